//! `init`: what it writes is good, a daemon runs on it, and every sender that is known can send to that.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use gatepost::scheme::presets;
use rcgen::{KeyPair, SanType};
use serde_json::Value;

use crate::cli::offline::{gatepost, run, stderr, stdout};
use crate::support::certs::Ca;
use crate::support::terminal::Terminal;

/// A daemon, killed when dropped.
struct Served(Child, u16);

impl Served {
    fn on(directory: &Path) -> Self {
        let mut command = gatepost(directory);
        command.args(["--config", "made/gatepost.toml", "serve"]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let listening = lines.find_map(|line| {
            let record: Value = serde_json::from_str(&line).ok()?;
            (record["message"] == "listening").then(|| record["webhook"].as_str().unwrap().to_owned())
        });
        // What comes later is read, so that no log is lost for want of a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let (_, port) = listening.as_deref().and_then(|address| address.rsplit_once(':')).expect("it listens");
        Self(child, port.parse().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ADDRESSES: [&str; 6] =
    ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--allowed-ips", "127.0.0.1,::1"];
const ALONE: [&str; 4] = ["--sink", "none", "--proxy", "none"];

fn init(directory: &Path, arguments: &[&str]) -> std::process::Output {
    run(directory, &[&["init", "--dir", "made"][..], &ADDRESSES, &ALONE, arguments].concat())
}

/// Fills what a vendor would have made.
fn fill(directory: &Path) -> usize {
    let files = std::fs::read_dir(directory.join("made/secrets")).unwrap().map(|entry| entry.unwrap());
    let empty: Vec<_> = files.filter(|file| file.metadata().unwrap().len() == 0).collect();
    for file in &empty {
        let standard = file.file_name() == "standard-webhooks";
        let secret =
            if standard { "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3" } else { "00112233445566778899aabbccddeeff" };
        std::fs::write(file.path(), secret).unwrap();
    }
    empty.len()
}

#[test]
fn every_sender_that_is_known_can_send_to_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (ca, key) = (Ca::new(), KeyPair::generate().unwrap());
    std::fs::write(path.join("clients.pem"), ca.pem()).unwrap();
    let name = SanType::DnsName("sender.example".try_into().unwrap());
    let (cert, key) = ca.client(&key, vec![name], 2020, 4096).write(path);
    let all: Vec<&str> = presets().map(|preset| preset.name).collect();
    let sources: Vec<&str> = all.iter().flat_map(|preset| ["--source", preset]).collect();
    let client = ["--client-ca-file", "clients.pem", "--client-san", "dns:sender.example"];
    let output = init(path, &[&sources[..], &client].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("secrets/stripe): put it there"), "what is missing is said: {}", stderr(&output));
    let check = ["--config", "made/gatepost.toml", "check"];
    let unfilled = run(path, &check);
    assert!(
        unfilled.status.code() == Some(64) && stderr(&unfilled).contains("secrets/stripe"),
        "{}",
        stderr(&unfilled)
    );
    assert!(fill(path) >= 8);
    let checked = run(path, &check);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));

    let served = Served::on(path);
    let url = format!("https://localhost:{}", served.1);
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    for preset in all {
        let mut arguments = vec!["--config", "made/gatepost.toml", "send", preset, "--json"];
        arguments.extend(["--url", &url, "--ca-file", "made/tls/ca.pem", "--cert", &cert, "--key", &key]);
        let sent = run(path, &arguments);
        assert_eq!(sent.status.code(), Some(0), "{preset}: {}{}", stdout(&sent), stderr(&sent));
        let told: Value = serde_json::from_slice(&sent.stdout).unwrap();
        assert_eq!((&told["sent"], &told["answers"][0]["status"]), (&1.into(), &200.into()), "{preset}: {told}");
    }
}

#[test]
fn secrets_are_strong_and_for_their_owner_alone_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let sources = ["--source", "nice", "--source", "bot-a=cognigy", "--source", "bot-b=cognigy"];
    let output = init(path, &sources);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    let secret = |name: &str| std::fs::read_to_string(path.join("made/secrets").join(name)).unwrap();
    for name in ["nice", "bot-a", "bot-b"] {
        let mode = std::fs::metadata(path.join("made/secrets").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(secret(name).len() >= 32 && !told.contains(&secret(name)), "{name}");
    }
    assert_ne!(secret("bot-a"), secret("bot-b"));
    assert!(told.contains("https://YOUR-HOST/webhook/cognigy/bot-a") && told.contains("X-NICE-Signature"), "{told}");
    let mode = std::fs::metadata(path.join("made/secrets")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let again = init(path, &sources);
    assert!(again.status.code() == Some(64) && stderr(&again).contains("--force"), "{}", stderr(&again));
    let before = secret("nice");
    let forced = init(path, &[&["--force"], &sources[..]].concat());
    assert_eq!(forced.status.code(), Some(0), "{}", stderr(&forced));
    assert!(secret("nice") == before && stdout(&forced).contains("kept "), "what a sender uses stays");
}

#[test]
fn what_stands_in_front_and_behind_is_written_and_checked() {
    for (proxy, required) in [("haproxy", true), ("nlb", true), ("nginx", false), ("alb", false)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let mut arguments = vec!["init", "--dir", "made", "--source", "token"];
        arguments.extend(ADDRESSES);
        arguments.extend(["--proxy", proxy, "--trusted-proxies", "10.0.0.0/8,192.0.2.7"]);
        arguments.extend(["--sink", "http", "--sink-url", "https://orders.example/events"]);
        let output = run(path, &arguments);
        assert_eq!(output.status.code(), Some(0), "{proxy}: {}", stderr(&output));
        let json = run(path, &["--config", "made/gatepost.toml", "check", "--json"]);
        let value: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!((json.status.code(), &value["ok"]), (Some(0), &true.into()), "{value}");
        let key = |title: &str, key: &str| {
            let sections = value["sections"].as_array().unwrap().iter();
            let keys = sections
                .filter(|section| section["title"] == title)
                .flat_map(|section| section["keys"].as_array().unwrap());
            keys.clone().find(|shown| shown["key"] == key).map(|shown| shown["value"].as_str().unwrap().to_owned())
        };
        let protocol = if required { "\"required\"" } else { "\"off\"" };
        assert_eq!(key("[listener]", "proxy_protocol").as_deref(), Some(protocol), "{proxy}");
        assert!(key("[listener]", "trusted_proxies").is_some_and(|list| list.contains("192.0.2.7")), "{proxy}");
        assert!(key("[[sink]]", "secret").is_some_and(|secret| secret.contains("secrets/sink-main")), "{proxy}");
    }
}

#[test]
fn without_a_terminal_every_flag_that_is_missing_is_named_and_nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["init", "--sink", "none"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("say --source, --allowed-ips, --proxy"), "{}", stderr(&output));
    for (arguments, told) in [
        (&["--source", "slak"][..], "did you mean slack?"),
        (&["--source", "nice", "--allowed-ips", "everybody"], "--allowed-ips"),
        (&["--source", "nice", "--source", "nice"], "two are called nice"),
        (&["--source", "nice", "--set", "other.path=\"/x\""], "no source is called \"other\""),
        (&["--source", "nice", "--set", "nice.path=/x"], "is not TOML"),
        (&["--source", "client-certificate"], "--client-ca-file"),
    ] {
        let mut all = vec!["init", "--proxy", "none", "--sink", "none"];
        all.extend(arguments);
        if !arguments.contains(&"--allowed-ips") {
            all.extend(["--allowed-ips", "any"]);
        }
        let output = run(directory.path(), &all);
        assert!(output.status.code() == Some(64) && stderr(&output).contains(told), "{all:?}: {}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_key_that_makes_no_sense_is_said_by_its_own_check() {
    let directory = tempfile::tempdir().unwrap();
    let output = init(directory.path(), &["--source", "nice", "--set", "nice.max_drfit=\"60s\""]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("did you mean max_drift?"), "{}", stderr(&output));
}

#[test]
fn at_a_terminal_it_asks_and_asks_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = gatepost(directory.path());
    command.args(["init", "--dir", "made"]).args(&ADDRESSES[..4]);
    let mut terminal = Terminal::run(command, 100);
    terminal.enter("slak\nslack, bot=cognigy\nanywhere\n127.0.0.1\nnone\nhaproxy\n10.0.0.1\n\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("did you mean slack?") && shown.contains("is neither an address nor a CIDR"), "{shown}");
    assert!(shown.contains("genesys-messaging") && shown.contains("Genesys Cloud Open Messaging"), "{shown}");
    let text = std::fs::read_to_string(directory.path().join("made/gatepost.toml")).unwrap();
    assert!(text.contains("preset = \"cognigy\"") && text.contains("proxy_protocol = \"required\""), "{text}");
    assert!(text.contains("# The secrets that verify; all are tried"), "each key is explained: {text}");
}
