//! Contract 5, logs: one access record a request, one audit record a validation, each with all of its fields.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::http2::Http2;
use crate::support::sign::{fingerprint, secret_of};
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Setup, Signer, callback, digest_id, event, eventually, nameless, unique};

const ACCESS: [&str; 18] = [
    "timestamp",
    "level",
    "request_id",
    "source",
    "outcome",
    "method",
    "path",
    "content_type",
    "reason",
    "quarantine_id",
    "status",
    "event_id",
    "event_type",
    "client_ip",
    "peer_ip",
    "bytes",
    "latency_us",
    "key",
];
const AUDIT: [&str; 9] =
    ["event", "timestamp", "source", "bot_id", "intent", "validated", "reason", "latency_us", "rejections"];

#[test]
fn the_reference_has_a_row_for_every_field() {
    let page = include_str!("../../../docs/reference/logs.md");
    let rows = |heading: &str| -> Vec<String> {
        let section = page.split(&format!("## `{heading}`")).nth(1).unwrap().split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.split('`').nth(1).unwrap().to_owned()).collect()
    };
    let sorted = |fields: &[&str]| {
        let mut fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        fields.sort();
        fields
    };
    let told = |heading: &str| sorted(&rows(heading).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(told("gatepost::access"), sorted(&[&ACCESS[..], &["target"]].concat()));
    assert_eq!(told("gatepost::audit"), sorted(&[&AUDIT[..], &["level", "target"]].concat()));
}

fn daemon() -> Daemon {
    Setup::every_preset()
        .preset_at("elsewhere", "cognigy", "/webhook/elsewhere", "allowed_ips = [\"192.0.2.0/24\"]")
        .start()
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// Waits for the access record of what is sent now: requests are sent one at a time.
#[track_caller]
fn record_of(daemon: &Daemon, request: &Request) -> Value {
    let before = daemon.access().len();
    daemon.send(request);
    eventually("an access record", || daemon.access().get(before).cloned())
}

#[test]
fn every_request_ends_in_exactly_one_access_record_with_every_field() {
    let daemon = daemon();
    let body = event(&unique());
    let rows = [
        (cognigy(), "cognigy", "accepted", Value::Null, 200),
        (Signer::of("nice").sign(&body), "nice", "accepted", Value::Null, 200),
        (Signer::of("nice").sign(&body), "nice", "duplicate", Value::Null, 200),
        (Signer::of("nice").sign([&body[..], b" "].concat()), "nice", "quarantined", json!("id_conflict"), 200),
        (cognigy().at("/nowhere"), "none", "refused", json!("not_found"), 404),
        (cognigy().method("GET"), "cognigy", "refused", json!("method_not_allowed"), 405),
        (cognigy().set("Content-Type", "a/b"), "cognigy", "refused", json!("unsupported_media_type"), 415),
        (cognigy().header("Content-Length", "99999999"), "cognigy", "refused", json!("payload_too_large"), 413),
        (cognigy().at("/webhook/elsewhere"), "elsewhere", "refused", json!("ip_not_whitelisted"), 403),
        (Signer::of("cognigy").shifted(-4000).sign("{}"), "cognigy", "refused", json!("timestamp_expired"), 410),
        (cognigy().without("X-Cognigy-Signature"), "cognigy", "refused", json!("missing_signature"), 401),
        (cognigy().body(b"{}"), "cognigy", "refused", json!("signature_mismatch"), 401),
        (Signer::of("cognigy").sign("x"), "cognigy", "refused", json!("invalid_json"), 400),
        (
            Signer::of("cognigy-callback").sign("{}"),
            "cognigy-callback",
            "refused",
            json!("missing_required_fields"),
            400,
        ),
    ];
    let count = rows.len();
    for (request, source, outcome, reason, status) in rows {
        let record = record_of(&daemon, &request);
        for field in ACCESS {
            assert!(record.get(field).is_some(), "no {field}: {record}");
        }
        assert_eq!(record["outcome"], outcome, "{record}");
        assert_eq!(record["status"], status, "{record}");
        // What the reason of a quarantined request is called in this record is not fixed.
        if outcome != "quarantined" {
            assert_eq!(record["reason"], reason, "{record}");
        }
        if source != "none" {
            assert_eq!(record["source"], source, "{record}");
        }
        assert_eq!(record["client_ip"], "127.0.0.1", "{record}");
        assert_eq!(record["peer_ip"], "127.0.0.1", "{record}");
        assert!(record["latency_us"].is_u64() && record["bytes"].is_u64(), "{record}");
        let _: jiff::Timestamp = record["timestamp"].as_str().unwrap().parse().unwrap();
    }
    // Records are written in order, so once the next one stands there no second one of an earlier request will come.
    record_of(&daemon, &cognigy());
    assert_eq!(daemon.access().len(), count + 1, "one record a request");
    let ids: std::collections::HashSet<_> =
        daemon.access().iter().map(|record| record["request_id"].to_string()).collect();
    assert_eq!(ids.len(), count + 1, "request ids are unique");
}

#[test]
fn what_was_accepted_is_told_in_full() {
    let daemon = daemon();
    let body = nameless();
    let record = record_of(&daemon, &Signer::of("cognigy").sign(&body));
    assert_eq!(record["event_id"], digest_id(&body));
    assert_eq!(record["event_type"], "book");
    assert_eq!(record["bytes"], body.len());
    assert_eq!(record["key"], fingerprint(&secret_of("cognigy")));
    let id = unique();
    let record = record_of(&daemon, &Signer::of("cxone").sign(event(&id)));
    assert_eq!((&record["event_id"], &record["event_type"]), (&json!(id), &json!("case.created")));
    assert_eq!(record["key"], "AKIDEXAMPLE");
    let record = record_of(&daemon, &Signer::of("cognigy-callback").sign(callback()));
    assert_eq!(record["event_type"], "cognigy-callback");
    let record = record_of(&daemon, &Signer::of("nice").sign(json!({ "nonce": unique() }).to_string()));
    assert_eq!(record["event_type"], "nice", "no type in the body: the preset's name");
    let record = record_of(&daemon, &cognigy().body(b"{\"intent\":\"forged\"}"));
    for field in ["event_id", "event_type", "key"] {
        assert_eq!(record[field], Value::Null, "nothing is known of an unverified request: {record}");
    }
}

#[test]
fn a_key_has_its_own_name_wherever_it_stands() {
    let setup = Setup::new().env("NEW", "the-new-secret-0123456789").env("OLD", "the-old-secret-0123456789");
    let daemon = setup.source("nice", "nice", "secrets = [{ env = \"NEW\" }, { env = \"OLD\" }]").start();
    let record = record_of(&daemon, &Signer::of("nice").secret("the-old-secret-0123456789").sign(event(&unique())));
    assert_eq!(record["key"], fingerprint("the-old-secret-0123456789"), "{record}");
}

#[test]
fn keep_alive_pipelining_and_http_2_have_a_record_each() {
    let daemon = daemon();
    let mut conn = daemon.connect();
    conn.send(&[cognigy().bytes(), cognigy().bytes(), cognigy().bytes()].concat());
    for _ in 0..3 {
        conn.response();
    }
    let mut client = Http2::open(&daemon);
    for answer in client.ask_all(&[cognigy(), cognigy()]) {
        answer.unwrap();
    }
    eventually("five records", || (daemon.access().len() == 5).then_some(()));
}

#[test]
fn a_sender_that_goes_away_has_a_record_too() {
    let daemon = daemon();
    let mut conn = daemon.connect();
    let request = cognigy().header("Expect", "100-continue").header("Content-Length", "100");
    conn.send(&request.head());
    assert_eq!(conn.response().status, 100);
    drop(conn);
    let record = eventually("an access record", || daemon.access().first().cloned());
    assert_ne!(record["outcome"], "accepted", "{record}");
    for field in ACCESS {
        assert!(record.get(field).is_some(), "no {field}: {record}");
    }
}

#[test]
fn every_validation_has_an_audit_record_with_nine_fields() {
    let daemon = daemon();
    let body = json!({ "intent": "cancel", "botId": "bot-7", "nonce": unique() }).to_string();
    let rows = [
        (Signer::of("cognigy").sign(&body), true, Value::Null),
        (Signer::of("cognigy").sign(&body).body(b"{\"intent\":\"forged\"}"), false, json!("signature_mismatch")),
        (Signer::of("cognigy").shifted(-4000).sign(&body), false, json!("timestamp_expired")),
        (Signer::of("cognigy").sign(&body).without("X-Cognigy-Signature"), false, json!("missing_signature")),
    ];
    let mut rejections = 0;
    for (n, (request, validated, reason)) in rows.into_iter().enumerate() {
        daemon.send(&request);
        let record = eventually("an audit record", || daemon.audit().get(n).cloned());
        for field in AUDIT {
            assert!(record.get(field).is_some(), "no {field}: {record}");
        }
        rejections += u64::from(!validated);
        assert_eq!(record["event"], "webhook_validation");
        assert_eq!(record["source"], "cognigy");
        assert_eq!(record["validated"], validated, "{record}");
        assert_eq!(record["reason"], reason, "{record}");
        assert_eq!(record["rejections"], rejections, "{record}");
        assert!(record["latency_us"].is_u64(), "{record}");
        let known = |value: &str| if validated { json!(value) } else { Value::Null };
        assert_eq!(record["intent"], known("cancel"), "{record}");
        assert_eq!(record["bot_id"], known("bot-7"), "{record}");
    }
}

#[test]
fn what_a_sender_controls_is_escaped_and_cut() {
    let daemon = daemon();
    let long = "\u{e9}".repeat(5000);
    let body =
        json!({ "eventId": unique(), "eventType": format!("a\n{{\"level\":\"ERROR\"}}\u{1b}[31m{long}") }).to_string();
    let record = record_of(&daemon, &Signer::of("nice").sign(body));
    let kind = record["event_type"].as_str().unwrap();
    assert!(kind.len() <= 256, "{} bytes", kind.len());
    assert!(!kind.contains('\n') && !kind.contains('\u{1b}'), "{kind:?}");
    let odd = format!("b\r\n\0\u{7f}\u{9b}31m\u{202e}{long}");
    record_of(&daemon, &Signer::of("cognigy").sign(json!({ "intent": odd, "botId": odd, "n": unique() }).to_string()));
    let audit = eventually("two audit records", || daemon.audit().get(1).cloned());
    for field in ["intent", "bot_id"] {
        assert!(audit[field].as_str().unwrap().len() <= 256, "{field}: {audit}");
    }
    // Control characters of C0 and C1 steer terminals: none of them reaches the line unescaped.
    assert!(!daemon.out().contains(|c: char| c.is_control() && c != '\n'), "{:?}", daemon.out());
    // Nor what a reader does not see: line separators, bidirectional marks, characters without width.
    let hidden = "c\u{2028}d\u{202e}e\u{200b}f\u{feff}";
    record_of(
        &daemon,
        &Signer::of("cognigy").sign(json!({ "intent": hidden, "botId": hidden, "n": unique() }).to_string()),
    );
    let audit = eventually("three audit records", || daemon.audit().get(2).cloned());
    assert_eq!(audit["intent"], "c\\u{2028}d\\u{202e}e\\u{200b}f\\u{feff}");
    assert!(!daemon.out().contains(['\u{2028}', '\u{202e}', '\u{200b}', '\u{feff}']), "{:?}", daemon.out());
    // Paths, methods and user agents are the sender's too.
    let before = daemon.out().len();
    record_of(&daemon, &cognigy().at(&format!("/{}", "p".repeat(3000))).header("User-Agent", &"u".repeat(3000)));
    assert!(daemon.out()[before..].lines().all(|line| line.len() < 2500), "{}", &daemon.out()[before..]);
}

#[test]
fn the_finest_log_level_still_keeps_secrets() {
    let daemon = Setup::every_preset().set("log", "filter", "\"trace\"").start();
    for preset in crate::support::sign::PRESETS {
        let body = if preset == "cognigy-callback" { callback() } else { event(&unique()) };
        let request = Signer::of(preset).sign(body);
        assert_eq!(daemon.send(&request).status, 200);
        assert_eq!(Http2::open(&daemon).ask(&request).unwrap().status, 200);
        assert_eq!(daemon.send(&request.clone().body(&nameless())).status, 401);
    }
    // What must not stand there is looked for when the daemon is dropped.
    daemon.access_where("all of them", |_| daemon.access().len() >= 18);
}

/// Log lines that nothing takes: requests are answered all the same, the loss is counted, and said once.
fn lines_are_lost(stdout: Stdio) {
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (webhook, admin) = (port(), port());
    let setup = Setup::new()
        .set("listener", "address", &format!("\"{webhook}\""))
        .set("admin", "address", &format!("\"{admin}\""))
        .preset("cognigy");
    let mut child = setup.command().arg("serve").stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    let config = client_config(&setup.ca, &["http/1.1"]);
    let mut conn = eventually("it listens", || Conn::open(webhook, Arc::clone(&config)).ok());
    for _ in 0..3 {
        assert_eq!(conn.ask(&cognigy()).status, 200);
    }
    // The start-up record, and two for each request.
    eventually("lost lines are counted", || {
        let mut stream = std::net::TcpStream::connect(admin).unwrap();
        let mut answer = String::new();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut answer).unwrap();
        let lost = answer.lines().find_map(|line| line.strip_prefix("gatepost_log_lines_dropped_total "))?;
        (lost.parse::<u64>().unwrap() >= 7).then_some(())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let mut words = String::new();
    child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{words}");
    assert_eq!(words.matches("log lines cannot be written").count(), 1, "{words}");
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_counted() {
    lines_are_lost(std::fs::File::options().write(true).open("/dev/full").unwrap().into());
}

#[test]
fn lines_whose_reader_went_away_are_counted() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    lines_are_lost(writer.into());
}

#[test]
fn pretty_logs_are_for_eyes_and_no_sender_writes_lines_of_his_own() {
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (webhook, admin) = (port(), port());
    let setup = Setup::new()
        .set("listener", "address", &format!("\"{webhook}\""))
        .set("admin", "address", &format!("\"{admin}\""))
        .env("GATEPOST_LOG_FORMAT", "pretty")
        .preset("cognigy");
    let child = setup.command().arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let config = client_config(&setup.ca, &["http/1.1"]);
    let mut conn = eventually("it listens", || Conn::open(webhook, Arc::clone(&config)).ok());
    let forged = "x\nFORGED a line\u{1b}[31m";
    let body = json!({ "intent": forged, "botId": forged, "n": unique() }).to_string();
    assert_eq!(conn.ask(&Signer::of("cognigy").sign(&body)).status, 200);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("FORGED"), "the record shows the intent: {text}");
    assert!(!text.lines().any(|line| line.trim_start().starts_with("FORGED")), "{text}");
    assert!(!text.contains("\u{1b}[31mx") && !text.contains("line\u{1b}[31m"), "{text:?}");
    assert!(text.lines().any(|line| !line.is_empty() && serde_json::from_str::<Value>(line).is_err()), "{text}");
}
