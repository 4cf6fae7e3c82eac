//! `dev` and what an operator does beside it: send to every source, right and wrong, then look at what was stored.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;

use crate::cli::offline::{gatepost, run, stderr, stdout};

/// Far beyond what any step takes; only so that a hang is a failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// `gatepost dev` in a directory of its own, stopped when dropped.
pub(super) struct Dev {
    child: Child,
    directory: tempfile::TempDir,
    lines: Receiver<String>,
    /// What it has printed.
    told: Vec<String>,
    /// The lines that dev printed for sending, without the program.
    sends: Vec<Vec<String>>,
}

impl Dev {
    pub(super) fn start() -> Self {
        Self::start_with(Stdio::null())
    }

    fn start_with(stdin: Stdio) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = gatepost(directory.path())
            .env("GATEPOST_LISTEN", "127.0.0.1:0")
            .env("GATEPOST_ADMIN_LISTEN", "127.0.0.1:0")
            .arg("dev")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1024);
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut dev = Self { child, directory, lines, told: Vec::new(), sends: Vec::new() };
        loop {
            let line = dev.lines.recv_timeout(PATIENCE).expect("dev says how to look at events");
            dev.told.push(line.clone());
            if line.contains(" events list") {
                return dev;
            }
            if let Some((_, send)) = line.split_once(" send ") {
                dev.sends.push(send.split(' ').map(str::to_owned).collect());
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What it printed until it was ready.
    pub(super) fn told(&self) -> String {
        self.told.join("\n")
    }

    /// Where it takes webhooks: ADDRESS:PORT.
    pub(super) fn webhooks(&self) -> String {
        self.after("gatepost takes webhooks on https://")
    }

    /// Where its admin listener is.
    pub(super) fn admin(&self) -> String {
        self.after("metrics are on http://")
    }

    fn after(&self, words: &str) -> String {
        let rest = self.told.iter().find_map(|line| line.split_once(words)).expect("dev says where it listens").1;
        rest.split(',').next().unwrap().trim().to_owned()
    }

    /// `gatepost send` as dev printed it, with more arguments.
    fn send(&self, source: &str, more: &[&str]) -> (Option<i32>, String) {
        let printed = self.sends.iter().find(|send| send[0] == source).expect("dev printed a line for it");
        let mut arguments = vec!["--config", "config/dev.toml", "send"];
        arguments.extend(printed.iter().map(String::as_str));
        arguments.extend(more);
        let output = run(self.path(), &arguments);
        (output.status.code(), stdout(&output) + &stderr(&output))
    }

    fn operator(&self, arguments: &[&str]) -> String {
        let output = run(self.path(), &[&["--config", "config/dev.toml"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.operator(arguments)).expect("one JSON value")
    }

    /// SIGTERM, and how it ended.
    fn stop(mut self) -> Option<i32> {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_line_that_dev_prints_delivers_an_event() {
    let dev = Dev::start();
    assert!(dev.sends.len() >= 6, "{:?}", dev.sends);
    for send in &dev.sends {
        let (status, told) = dev.send(&send[0], &[]);
        assert_eq!(status, Some(0), "{send:?}: {told}");
        assert!(told.contains("\"duplicate\":false"), "{told}");
    }
}

#[test]
fn every_fault_is_answered_as_it_should_be() {
    let dev = Dev::start();
    for source in ["cxone", "cognigy", "cognigy-callback", "nice", "cxone-expert", "standard-webhooks"] {
        for fault in [
            "stale",
            "future",
            "wrong-key",
            "bad-signature",
            "missing-signature",
            "tampered-body",
            "oversize",
            "wrong-content-type",
            "duplicate",
            "conflict",
        ] {
            let timeless = source == "cognigy-callback" && ["stale", "future"].contains(&fault);
            let by_digest = ["cognigy", "cognigy-callback", "cxone-expert"].contains(&source) && fault == "conflict";
            let expected = if timeless || by_digest { 64 } else { 0 };
            let (status, told) = dev.send(source, &["--fault", fault]);
            assert_eq!(status, Some(expected), "{source} {fault}: {told}");
        }
    }
}

#[test]
fn many_are_many_different_events() {
    let dev = Dev::start();
    let (status, told) = dev.send("nice", &["--count", "40", "--concurrency", "4"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains("40  200 accepted\n") && told.contains("p99"), "{told}");
}

#[test]
fn an_operator_lists_shows_and_replays_beside_the_daemon() {
    let dev = Dev::start();
    std::fs::write(dev.path().join("one.json"), r#"{"eventId":"e:1","eventType":"t.one"}"#).unwrap();
    assert_eq!(dev.send("nice", &["--body", "one.json"]).0, Some(0));
    assert_eq!(dev.send("cognigy", &[]).0, Some(0));
    assert_eq!(dev.json(&["events", "list", "--json"]).as_array().map(Vec::len), Some(2));

    let listed = dev.json(&["events", "list", "--json", "--source", "nice", "--type", "t.one", "--since", "1h"]);
    assert_eq!(listed[0]["id"], "e:1");
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(dev.json(&["events", "list", "--json", "--until", "1h"]), Value::Array(Vec::new()));

    for name in ["e:1", "nice:e:1"] {
        assert_eq!(dev.operator(&["events", "show", name, "--body"]), r#"{"eventId":"e:1","eventType":"t.one"}"#);
        assert!(dev.operator(&["events", "show", name]).contains("t.one"));
        dev.operator(&["events", "replay", name]);
    }
    let digest = dev.json(&["events", "list", "--json", "--source", "cognigy"])[0]["id"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"));
    assert_eq!(dev.json(&["events", "show", &digest, "--json"])["source"], "cognigy");
    assert_eq!(run(dev.path(), &["--config", "config/dev.toml", "events", "show", "nothing"]).status.code(), Some(1));
    assert_eq!(run(dev.path(), &["--config", "config/dev.toml", "events", "replay"]).status.code(), Some(64));
}

#[test]
fn a_conflict_is_found_in_quarantine_and_discarded() {
    let dev = Dev::start();
    assert_eq!(dev.send("nice", &["--fault", "conflict"]).0, Some(0));
    let listed = dev.json(&["quarantine", "list", "--json", "--reason", "id_conflict"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let id = listed[0]["id"].to_string();
    assert!(dev.operator(&["quarantine", "show", &id, "--body"]).contains("\"tampered\":true"));
    dev.operator(&["quarantine", "discard", &id]);
    assert_eq!(dev.json(&["quarantine", "list", "--json", "--reason", "id_conflict"]), Value::Array(Vec::new()));
}

#[test]
fn dev_leaves_in_time_and_keeps_its_certificates() {
    let dev = Dev::start();
    let certificate = dev.path().join("certs-dev/server.pem");
    assert!(std::fs::read_to_string(certificate).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn dev_is_for_loopback_only() {
    let directory = tempfile::tempdir().unwrap();
    let output = gatepost(directory.path()).env("GATEPOST_LISTEN", "0.0.0.0:0").arg("dev").output().unwrap();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(stderr(&output).contains("listener.address"), "{}", stderr(&output));
}

/// How `dev` ended by itself, which must come soon.
fn ended(mut dev: Dev) -> Option<i32> {
    let begun = std::time::Instant::now();
    loop {
        if let Some(status) = dev.child.try_wait().unwrap() {
            return status.code();
        }
        assert!(begun.elapsed() < PATIENCE, "dev is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn dev_ends_with_the_hangup_of_its_terminal() {
    let dev = Dev::start();
    let pid = rustix::process::Pid::from_child(&dev.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    assert_eq!(ended(dev), Some(0));
}

#[test]
fn dev_ends_with_its_terminal_also_where_nobody_sends_a_signal() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let inside = rustix::fs::open(name, flags, rustix::fs::Mode::empty()).unwrap();
    let mut dev = Dev::start_with(inside.into());
    assert!(dev.child.try_wait().unwrap().is_none(), "the terminal is there");
    drop(terminal);
    assert_eq!(ended(dev), Some(0));
}
