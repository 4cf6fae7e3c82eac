//! Secrets as operators have them: files with odd ends, things that are no files, weak ones among good ones; and the
//! names by which logs, metrics and commands call keys while they are rotated.

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::sign::{fingerprint, secret_of};
use crate::support::{Daemon, Setup, Signer, accepted, event, eventually, unique};

const KEY: &str = "a-secret-of-sufficient-length";
const OLD: &str = "the-old-secret-0123456789";
const NEW: &str = "the-new-secret-0123456789";
const LAST_USED: &str = "gatepost_verification_key_last_used_timestamp_seconds";

/// One source `nice` whose secret is in the file `secret`, which holds `content`.
fn from_file(content: &[u8]) -> Setup {
    let setup = Setup::new();
    let path = setup.path("secret");
    std::fs::write(&path, content).unwrap();
    setup.source("nice", "nice", &format!("secrets = [{{ file = \"{}\" }}]", path.display()))
}

fn checked(setup: &Setup) -> (Option<i32>, String, String) {
    let output = setup.run(&["check"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn reloads(daemon: &Daemon, outcome: &str) -> i64 {
    daemon.scrape().count("gatepost_reloads_total", &[("outcome", outcome)])
}

#[test]
fn odd_ends_of_a_secret_are_used_as_they_are_and_warned_about() {
    for (content, key, words) in [
        (format!("{KEY}\n"), KEY.to_owned(), None),
        (KEY.to_owned(), KEY.to_owned(), None),
        (format!("{KEY}\r\n"), format!("{KEY}\r"), Some("ends with a carriage return")),
        (format!("{KEY}\n\n"), format!("{KEY}\n"), Some("ends with a line end")),
        (format!("{KEY} \n"), format!("{KEY} "), Some("ends with a blank")),
        (format!(" {KEY}"), format!(" {KEY}"), Some("begins with a blank")),
        (format!("\u{feff}{KEY}\n"), format!("\u{feff}{KEY}"), Some("begins with a byte-order mark")),
    ] {
        let setup = from_file(content.as_bytes());
        let (status, _, said) = checked(&setup);
        assert_eq!(status, Some(0), "{said}");
        let daemon = setup.start();
        let warned = |text: &str, words: &str| text.contains("source[0].secrets[0]") && text.contains(words);
        match words {
            Some(words) => assert!(warned(&said, words) && warned(&daemon.out(), words), "{content:?}: {said}"),
            None => assert!(!said.contains("warning"), "{content:?}: {said}"),
        }
        assert!(!said.contains(KEY), "{said}");
        accepted(&daemon.send(&Signer::of("nice").secret(&key).sign(event(&unique()))));
        if key != KEY {
            assert_eq!(daemon.send(&Signer::of("nice").secret(KEY).sign(event(&unique()))).status, 401, "{content:?}");
        }
    }
}

#[test]
fn a_weak_secret_is_refused_at_start_and_at_reload_also_among_good_ones() {
    let blank = "\u{a0}\u{3000}\u{2003}\u{feff}                ";
    for weak in ["", "\n", "   \n", "                    ", blank, "fifteen-bytes!!\n", "sixteen-bytes-\0ok"] {
        let setup = from_file(weak.as_bytes());
        let (status, _, said) = checked(&setup);
        assert!(status == Some(64) && said.contains("source[0].secrets[0]"), "{weak:?}: {said}");
    }
    let setup = Setup::new();
    let path = setup.path("second");
    std::fs::write(&path, OLD).unwrap();
    let list = format!("secrets = [{{ env = \"IT_FIRST\" }}, {{ file = \"{}\" }}]", path.display());
    let setup = setup.env("IT_FIRST", NEW).source("nice", "nice", &list);
    let daemon = setup.start();
    for (round, weak) in (0..).zip(["", "\n", "short", "sixteen-bytes-\0ok", blank]) {
        std::fs::write(&path, weak).unwrap();
        daemon.signal(Signal::HUP);
        eventually("the reload is refused", || (reloads(&daemon, "failed") > round).then_some(()));
        accepted(&daemon.send(&Signer::of("nice").secret(OLD).sign(event(&unique()))));
        std::fs::write(&path, OLD).unwrap();
        let good = reloads(&daemon, "ok");
        daemon.signal(Signal::HUP);
        eventually("the good one is taken", || (reloads(&daemon, "ok") > good).then_some(()));
    }
}

#[test]
fn what_is_no_file_is_said_and_hangs_nothing() {
    let fifo = |setup: &Setup| {
        let path = setup.path("fifo");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        path
    };
    let setup = Setup::new();
    let path = fifo(&setup);
    let secret = format!("secrets = [{{ file = \"{}\" }}]", path.display());
    let (status, _, said) = checked(&setup.source("nice", "nice", &secret));
    assert!(status == Some(64) && said.contains("source[0].secrets[0]") && said.contains("a FIFO"), "{said}");

    let setup = Setup::new().source("nice", "nice", "secrets = [{ file = \"/dev/zero\" }, { file = \"/\" }]");
    let (status, _, said) = checked(&setup);
    assert!(status == Some(64) && said.contains("a device") && said.contains("a directory"), "{said}");

    let setup = Setup::new().preset("nice");
    let path = fifo(&setup);
    let (status, _, said) = checked(&setup.set("tls", "key_file", &format!("\"{}\"", path.display())));
    assert!(status == Some(64) && said.contains("a FIFO"), "{said}");

    let setup = Setup::env_only().env("NICE_WEBHOOK_SECRET", KEY);
    let path = fifo(&setup);
    let (status, _, said) = checked(&setup.env("GATEPOST_CONFIG", path.to_str().unwrap()));
    assert!(status == Some(64) && said.contains("a FIFO"), "{said}");
}

#[test]
fn a_secret_that_becomes_a_fifo_is_a_refused_reload() {
    let setup = from_file(KEY.as_bytes());
    let daemon = setup.start();
    let path = setup.path("secret");
    std::fs::remove_file(&path).unwrap();
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    daemon.signal(Signal::HUP);
    eventually("the reload is refused", || (reloads(&daemon, "failed") > 0).then_some(()));
    accepted(&daemon.send(&Signer::of("nice").secret(KEY).sign(event(&unique()))));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, NEW).unwrap();
    daemon.signal(Signal::HUP);
    eventually("a file again", || (reloads(&daemon, "ok") > 0).then_some(()));
    accepted(&daemon.send(&Signer::of("nice").secret(NEW).sign(event(&unique()))));
}

/// A source whose secrets are those that `lines` lists, of the variables `IT_OLD` and `IT_NEW`.
fn rotating(lines: &str) -> Setup {
    Setup::new().env("IT_OLD", OLD).env("IT_NEW", NEW).source("nice", "nice", &format!("secrets = [{lines}]"))
}

fn used(daemon: &Daemon, key: &str) -> f64 {
    daemon.scrape().get(LAST_USED, &[("source", "nice"), ("key", key)])
}

fn key_of(daemon: &Daemon, secret: &str) -> Value {
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").secret(secret).sign(event(&id))));
    daemon.access_where("of the event", |record| record["event_id"] == id.as_str())["key"].clone()
}

#[test]
fn the_series_of_an_old_secret_stays_its_own_through_a_rotation() {
    let setup = rotating("{ env = \"IT_OLD\" }");
    let daemon = setup.start();
    let (old, new) = (fingerprint(OLD), fingerprint(NEW));
    assert_eq!(used(&daemon, &old).to_bits(), 0.0_f64.to_bits());
    assert_eq!(key_of(&daemon, OLD), old.as_str());
    let before = used(&daemon, &old);
    assert!(before > 1_000_000.0);

    let path = setup.path("gatepost.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[{ env = \"IT_OLD\" }]", "[{ env = \"IT_NEW\" }, { env = \"IT_OLD\" }]"))
        .unwrap();
    daemon.signal(Signal::HUP);
    eventually("the reload", || (reloads(&daemon, "ok") > 0).then_some(()));
    assert!((used(&daemon, &old) - before).abs() < 1.0, "the old secret's series goes on where it was");
    assert_eq!(used(&daemon, &new).to_bits(), 0.0_f64.to_bits());
    assert_eq!(key_of(&daemon, NEW), new.as_str());
    assert!(used(&daemon, &new) > 1_000_000.0);
    assert!((used(&daemon, &old) - before).abs() < 1.0, "the new secret's use does not count for the old one");
    assert_eq!(key_of(&daemon, OLD), old.as_str());
}

#[test]
fn a_label_names_a_key_wherever_it_is_shown() {
    let setup = rotating("{ env = \"IT_NEW\", label = \"summer-2026\" }, { env = \"IT_OLD\" }");
    let daemon = setup.start();
    assert_eq!(key_of(&daemon, NEW), "summer-2026");
    assert_eq!(key_of(&daemon, OLD), fingerprint(OLD).as_str());
    assert!(used(&daemon, "summer-2026") > 1_000_000.0);
    let events: Value = serde_json::from_slice(&setup.run(&["events", "list", "--json"]).stdout).unwrap();
    let keys: Vec<&str> = events.as_array().unwrap().iter().filter_map(|event| event["key"].as_str()).collect();
    assert!(keys.contains(&"summer-2026") && keys.contains(&fingerprint(OLD).as_str()), "{keys:?}");
    let (_, shown, _) = checked(&setup);
    let line = shown.lines().find(|line| line.starts_with("secrets = ")).unwrap();
    assert!(line.contains("variable IT_NEW, key summer-2026"), "{line}");
    assert!(line.contains(&format!("variable IT_OLD, key {}", fingerprint(OLD))), "{line}");

    let label = "region = \"eu-west-1\"\n\
        keys = [{ access_key_id = \"AKIDEXAMPLE\", secret = { env = \"IT_CXONE\", label = \"partner\" } }]";
    let setup = Setup::new().env("IT_CXONE", &secret_of("cxone")).source("cxone", "cxone", label);
    let daemon = setup.start();
    let id = unique();
    accepted(&daemon.send(&Signer::of("cxone").sign(event(&id))));
    assert_eq!(daemon.access_where("cxone", |record| record["event_id"] == id.as_str())["key"], "partner");
    assert!(checked(&setup).1.contains("variable IT_CXONE, key partner"));
}

#[test]
fn labels_that_name_nothing_are_faults_and_a_secret_given_twice_a_warning() {
    for (lines, words) in [
        ("{ env = \"IT_OLD\", label = \"a\" }, { env = \"IT_NEW\", label = \"a\" }", "label a"),
        ("{ env = \"IT_OLD\", label = \"a b\" }", "source[0].secrets[0]"),
        ("{ env = \"IT_OLD\", label = \"released:ann\" }", "source[0].secrets[0]"),
        ("{ env = \"IT_OLD\", label = \"\" }", "source[0].secrets[0]"),
    ] {
        let (status, _, said) = checked(&rotating(lines));
        assert!(status == Some(64) && said.contains(words), "{lines}: {said}");
    }
    let (status, _, said) = checked(&rotating("{ env = \"IT_OLD\" }, { env = \"IT_OLD\" }"));
    assert!(status == Some(0) && said.contains("secrets[1] is the same secret as secrets[0]"), "{said}");
    let sink =
        "[[sink]]\nname = \"x\"\ntype = \"http\"\nurl = \"https://x/\"\nsecret = { env = \"IT_OLD\", label = \"a\" }";
    let (status, _, said) = checked(&rotating("{ env = \"IT_OLD\" }").block(sink));
    assert!(status == Some(64) && said.contains("sink[0].secret"), "a label that nobody would show: {said}");
}
