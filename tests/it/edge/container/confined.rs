//! One container as the README runs it, from `config/gatepost.env` after its one edit, with everything taken from it that
//! can be: what it accepts is stored, it ends in order, and comes back with what it had.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::super::fronts::{cognigy, swapped};
use super::{IMAGE, becomes_healthy, docker, inspect, log, published, readable, run, stored, wanted, within_patience};
use crate::support::certs::Ca;
use crate::support::sign::secret_of;
use crate::support::wire::client_config;
use crate::support::{Conn, accepted, unique};

/// Who the daemon is, in the image and in what it writes.
const OWNER: &str = "65532:65532";
/// The stand-in for Debian, to look into volumes with.
const DEBIAN: &str = "gatepost-it/debian";

/// A container with a volume of its own; both are gone when dropped.
struct Container {
    name: String,
    ca: Ca,
    _files: TempDir,
}

impl Container {
    /// Runs the image from the shipped environment and waits until it is healthy.
    fn start() -> Self {
        let (name, ca, files) = (format!("gatepost-it-{}", unique()), Ca::new(), tempfile::tempdir().unwrap());
        let leaf = ca.leaf(1);
        let tls = files.path().join("tls");
        readable(&tls.join("tls.crt"), &leaf.chain);
        readable(&tls.join("tls.key"), &leaf.key);
        let environment = files.path().join("gatepost.env");
        fs::write(&environment, edited()).unwrap();
        let container = Self { name, ca, _files: files };
        let tls = format!("{}:/run/tls:ro", tls.display());
        let data = format!("{}:/var/lib/gatepost", container.name);
        let arguments = ["run", "--detach", "--name", &container.name, "--env-file", environment.to_str().unwrap()];
        let volumes = ["--volume", &tls, "--volume", &data, "--publish", "127.0.0.1:0:8443"];
        let confined = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
        let limited = ["--memory", "256m", "--cpus", "1", "--pids-limit", "64"];
        docker(&[&arguments[..], &volumes, &confined, &limited, &[IMAGE]].concat());
        becomes_healthy(&container.name);
        container
    }

    fn connect(&self) -> Conn {
        Conn::open(published(&self.name, "8443/tcp"), client_config(&self.ca, &["http/1.1"])).expect("a TLS connection")
    }

    /// Its main process as this machine's kernel sees it: `/proc/PID/status`.
    fn process(&self) -> BTreeMap<String, String> {
        let file = format!("/proc/{}/status", inspect(&self.name, "{{.State.Pid}}"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.map(|(key, value)| (key.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
    }

    /// How its root is mounted.
    fn root_options(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/mounts", inspect(&self.name, "{{.State.Pid}}"))).unwrap();
        let root = text.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|mount| mount[1] == "/");
        root.expect("it has a root")[3].to_owned()
    }

    /// Waits until it has ended, and gives its exit code.
    fn ended(&self) -> String {
        within_patience("the end", &self.name, || inspect(&self.name, "{{.State.Running}}") == "false");
        inspect(&self.name, "{{.State.ExitCode}}")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, log(&self.name));
        }
        run("docker", &["rm", "--force", "--volumes", &self.name]);
        run("docker", &["volume", "rm", "--force", &self.name]);
    }
}

/// `config/gatepost.env` after the edit that it asks for: who may send (as the daemon sees this machine: a gateway in Docker's network),
/// and the secret of one source.
fn edited() -> String {
    let shipped = include_str!("../../../../config/gatepost.env");
    let line = |start: &str| shipped.lines().find(|line| line.starts_with(start)).expect("a line to edit");
    let network = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]);
    let text = swapped(shipped, line("#GATEPOST_ALLOWED_IPS="), &format!("GATEPOST_ALLOWED_IPS={network}"));
    let secret = format!("COGNIGY_WEBHOOK_SECRET={}", secret_of("cognigy"));
    swapped(&text, line("#COGNIGY_WEBHOOK_SECRET="), &secret)
}

#[test]
fn with_everything_taken_from_it_the_daemon_receives_and_its_volume_is_its_own() {
    if !wanted() {
        return;
    }
    let container = Container::start();
    assert_eq!(accepted(&container.connect().ask(&cognigy()))["duplicate"], false);
    assert_eq!(stored(&container.name).len(), 1);
    let process = container.process();
    let is = |key: &str, value: &str| assert_eq!(process[key], value, "{key}");
    is("Uid", "65532 65532 65532 65532");
    is("Gid", "65532 65532 65532 65532");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        is(set, "0000000000000000");
    }
    is("NoNewPrivs", "1");
    assert!(process["NSpid"].ends_with(" 1"), "the daemon is process 1: {}", process["NSpid"]);
    let data = format!("{}:/data:ro", container.name);
    let owners = docker(&["run", "--rm", "--volume", &data, DEBIAN, "find", "/data", "-printf", "%U:%G %P\\n"]);
    assert!(owners.contains(&format!("{OWNER} gatepost.db\n")), "{owners}");
    assert!(owners.lines().all(|line| line.starts_with(OWNER)), "{owners}");
    assert!(container.root_options().starts_with("ro,"), "nothing but the volume can be written");
}

#[test]
fn sigterm_to_process_1_drains_and_what_was_acknowledged_is_there_after_a_restart() {
    if !wanted() {
        return;
    }
    let container = Container::start();
    let (first, second) = (cognigy(), cognigy());
    accepted(&container.connect().ask(&first));
    // Half a request is on its way when the signal comes.
    let mut conn = container.connect();
    let (head, body) = (second.head(), second.body.clone());
    conn.send(&[&head[..], &body[..1]].concat());
    docker(&["kill", "--signal", "TERM", &container.name]);
    within_patience("not ready any more", &container.name, || log(&container.name).contains("drain"));
    conn.send(&body[1..]);
    let answer = conn.response();
    accepted(&answer);
    assert_eq!(answer.header("connection"), Some("close"), "it is leaving");
    assert_eq!(container.ended(), "0", "{}", log(&container.name));
    docker(&["start", &container.name]);
    becomes_healthy(&container.name);
    for request in [first, second] {
        assert_eq!(accepted(&container.connect().ask(&request))["duplicate"], true);
    }
    assert_eq!(stored(&container.name).len(), 2);
}
