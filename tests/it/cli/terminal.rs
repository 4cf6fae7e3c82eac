//! What a terminal is given, and a pipe is not: tables that fit, short ids, colours, bars.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cli::offline::gatepost;
use crate::support::sign::Signer;
use crate::support::terminal::Terminal;
use crate::support::{Setup, accepted, eventually, nameless};

/// A setup with two events whose ids are digests.
fn two() -> Setup {
    let setup = Setup::new().preset("cognigy");
    let daemon = setup.start();
    for _ in 0..2 {
        accepted(&daemon.send(&Signer::of("cognigy").sign(nameless())));
    }
    setup
}

fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command();
    command.args(arguments);
    command
}

fn shown(setup: &Setup, arguments: &[&str], columns: u16) -> String {
    let (code, shown) = Terminal::run(command(setup, arguments), columns).end();
    assert_eq!(code, Some(0), "{arguments:?}: {shown}");
    shown
}

#[test]
fn a_table_fits_the_terminal_and_its_ids_are_taken_by_commands() {
    let setup = two();
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    let table = shown(&setup, &["events", "list"], 60);
    assert!(widest(&table) <= 60 && table.lines().count() == 3, "{table}");
    let id = table.lines().nth(1).unwrap().split(' ').next().unwrap();
    assert!(id.starts_with("sha256:") && id.len() < 30, "{table}");
    let output = setup.run(&["events", "show", id, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["id"].as_str().unwrap().starts_with(id), "{found}");

    let full = shown(&setup, &["events", "list", "--full-id"], 60);
    assert!(full.lines().nth(1).unwrap().starts_with(found["id"].as_str().unwrap()), "{full}");
    let wide = shown(&setup, &["events", "list", "--wide"], 60);
    let piped = String::from_utf8(setup.run(&["events", "list"]).stdout).unwrap();
    assert!(widest(&wide) > 100 && wide == piped, "{wide}\n{piped}");
}

#[test]
fn many_have_a_bar_at_a_terminal_and_nowhere_else() {
    let setup = Setup::new().preset("cognigy");
    let daemon = setup.start();
    let url = format!("https://localhost:{}", daemon.webhook.port());
    std::fs::write(setup.path("ca.pem"), setup.ca.pem()).unwrap();
    let ca = setup.path("ca.pem").display().to_string();
    let send = ["send", "cognigy", "--url", &url, "--ca-file", &ca, "--count", "50"];
    let bar = shown(&setup, &send, 100);
    assert!(bar.contains(" of 50 events sent") && bar.contains("50  200 validated"), "{bar:?}");
    let piped = setup.run(&send);
    assert_eq!((piped.status.code(), piped.stderr.as_slice()), (Some(0), &b""[..]));
    let replayed = shown(&setup, &["events", "replay", "--all"], 100);
    assert!(replayed.contains("of 100 events queued again"), "{replayed:?}");
    let copy = setup.path("copy.db").display().to_string();
    let copied = shown(&setup, &["store", "backup", &copy], 100);
    assert!(copied.contains("bytes copied") && copied.contains("the store is copied"), "{copied:?}");
}

/// What `dev` shows of a request, from its start to Ctrl-C.
fn dev(no_colour: bool) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut program = gatepost(directory.path());
    program.env("GATEPOST_LISTEN", "127.0.0.1:0").env("GATEPOST_ADMIN_LISTEN", "127.0.0.1:0").arg("dev");
    if no_colour {
        program.env("NO_COLOR", "1");
    }
    // What it says of itself is read here, so that its address is known; its log goes to the terminal.
    let port = directory.path().join("stderr");
    let stderr = std::fs::File::create(&port).unwrap();
    let terminal = Terminal::run_with_stderr(program, 100, Stdio::from(stderr));
    let line = eventually("dev says how to send", || {
        let text = std::fs::read_to_string(&port).unwrap();
        text.contains(" events list")
            .then(|| text.lines().find(|line| line.contains(" send nice ")).unwrap().to_owned())
    });
    let (_, arguments) = line.split_once(" send ").unwrap();
    let mut sender = gatepost(directory.path());
    let sent = sender.args(["--config", "config/dev.toml", "send"]).args(arguments.split(' ')).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    shown
}

#[test]
fn dev_shows_a_line_a_request_and_leaves_at_once() {
    let coloured = dev(false);
    assert!(coloured.contains("\u{1b}[32maccepted"), "{coloured:?}");
    let plain = dev(true);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let about: Vec<&str> = plain.lines().filter(|line| line.contains("accepted") || line.contains("nice")).collect();
    assert_eq!(about.len(), 1, "{plain}");
    assert!(about[0].chars().count() <= 100 && about[0].contains(" 200 ") && about[0].contains("  nice  "), "{plain}");
    assert!(plain.contains("delay_seconds=0.0"), "nobody has to notice first: {plain}");
}
