//! Contract 5, access records: what was asked for stands in each, whatever became of it, and is the sender's only as
//! far as a log can bear it.

use serde_json::{Value, json};

use crate::support::{Daemon, Request, Setup, Signer, event, eventually, nameless, unique};

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
fn every_record_says_what_was_asked_for() {
    let daemon = Setup::every_preset().start();
    let rows = [
        (cognigy(), "POST", "/webhook/cognigy", json!("application/json"), 200),
        (cognigy().at("/nowhere?token=query-value"), "POST", "/nowhere", json!("application/json"), 404),
        (cognigy().set("Content-Type", "text/plain"), "POST", "/webhook/cognigy", json!("text/plain"), 415),
        (cognigy().without("Content-Type"), "POST", "/webhook/cognigy", Value::Null, 415),
        (cognigy().method("BREW"), "BREW", "/webhook/cognigy", json!("application/json"), 405),
        (cognigy().header("Host", "b.test"), "POST", "/webhook/cognigy", json!("application/json"), 400),
        (cognigy().body(b"{}"), "POST", "/webhook/cognigy", json!("application/json"), 401),
        (cognigy().at("*").method("OPTIONS"), "OPTIONS", "*", json!("application/json"), 404),
    ];
    for (request, method, path, content_type, status) in rows {
        let record = record_of(&daemon, &request);
        assert_eq!(record["method"], method, "{record}");
        assert_eq!(record["path"], path, "{record}");
        assert_eq!(record["content_type"], content_type, "{record}");
        assert_eq!(record["status"], status, "{record}");
        assert_eq!(record["quarantine_id"], Value::Null, "{record}");
    }
    assert!(!daemon.out().contains("query-value"), "a query was logged");
}

#[test]
fn what_the_sender_wrote_is_escaped_and_cut() {
    let daemon = Setup::new().preset("cognigy").start();
    let long = format!("/{}", "x".repeat(5000));
    let record = record_of(&daemon, &cognigy().at(&long).set("Content-Type", &"y".repeat(5000)));
    assert_eq!(record["path"], long[..256], "{record}");
    assert_eq!(record["content_type"], "y".repeat(256), "{record}");
    let record = record_of(&daemon, &cognigy().set("Content-Type", "a\u{85}b"));
    assert_eq!(record["content_type"], "a\\u{85}b", "{record}");
    let record = record_of(&daemon, &cognigy().method(&"M".repeat(3000)));
    assert_eq!(record["method"], "M".repeat(256), "{record}");
}

#[test]
fn a_conflict_names_its_quarantine_entry() {
    let setup = Setup::new().preset("nice");
    let daemon = setup.start();
    let body = event(&unique());
    assert_eq!(record_of(&daemon, &Signer::of("nice").sign(&body))["quarantine_id"], Value::Null);
    let record = record_of(&daemon, &Signer::of("nice").sign([&body[..], b" "].concat()));
    assert_eq!(record["outcome"], "quarantined", "{record}");
    let listed = setup.command().args(["quarantine", "list", "--json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(record["quarantine_id"], listed[0]["id"], "{record} {listed}");
    assert!(record["quarantine_id"].is_i64(), "{record}");
}
