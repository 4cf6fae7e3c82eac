//! Contract 6.4: which refused requests are kept, how much of them and how many, and what releasing one does.

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{
    Daemon, MARKER, Request, Setup, Signer, accepted, assert_refusal, callback, digest_id, event, eventually, nameless,
    unique,
};

const WRONG: &str = "wrong-secret-0123456789";

#[track_caller]
fn output(setup: &Setup, arguments: &[&str]) -> Vec<u8> {
    let output = setup.run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[track_caller]
fn json_of(setup: &Setup, arguments: &[&str]) -> Vec<Value> {
    let value: Value = serde_json::from_slice(&output(setup, arguments)).expect("JSON on stdout");
    value.as_array().expect("one array").clone()
}

fn listed(setup: &Setup) -> Vec<Value> {
    json_of(setup, &["quarantine", "list", "--json", "--limit", "1000"])
}

/// Waits until `count` requests are kept.
#[track_caller]
fn kept(setup: &Setup, count: usize) -> Vec<Value> {
    eventually(&format!("{count} kept requests"), || Some(listed(setup)).filter(|entries| entries.len() >= count))
}

/// Has a request refused and kept, as the only one of `source`; gives its number.
#[track_caller]
fn keep(setup: &Setup, daemon: &Daemon, request: &Request, status: u16) -> String {
    let before = listed(setup).len();
    assert_eq!(daemon.send(request).status, status);
    kept(setup, before + 1)[0]["id"].to_string()
}

/// Gives the program time to keep what it should not: a request that is kept, sent after them, is there.
#[track_caller]
fn only(setup: &Setup, daemon: &Daemon) {
    assert_eq!(daemon.send(&forged(&nameless())).status, 401);
    let entries = kept(setup, 1);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["source"], &entries[0]["reason"]), (&json!("cognigy"), &json!("signature_mismatch")));
}

fn forged(body: &[u8]) -> Request {
    Signer::of("cognigy").secret(WRONG).sign(body)
}

fn release(setup: &Setup, id: &str) -> Value {
    let outcomes = json_of(setup, &["quarantine", "release", id, "--operator", "ann", "--json"]);
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    outcomes[0].clone()
}

fn events(setup: &Setup) -> Vec<Value> {
    json_of(setup, &["events", "list", "--json"])
}

#[test]
fn what_is_refused_for_its_time_signature_or_json_is_kept_whole() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let cognigy = || Signer::of("cognigy").sign(nameless());
    let cxone = || Signer::of("cxone").sign(event(&unique()));
    let nice = |body: &str| Signer::of("nice").sign(body);
    let binary =
        Signer::of("cxone-expert").secret(WRONG).sign([b"\0\xff\xfe\r\n\r\n".as_slice(), &nameless()].concat());
    let rows = [
        (cognigy().without("X-Cognigy-Timestamp"), 401, "cognigy", "missing_timestamp"),
        (cognigy().set("X-Cognigy-Timestamp", "abc"), 401, "cognigy", "invalid_timestamp_format"),
        (Signer::of("cognigy").shifted(-4000).sign(nameless()), 410, "cognigy", "timestamp_expired"),
        (cognigy().without("X-Cognigy-Signature"), 401, "cognigy", "missing_signature"),
        (cxone().set("Authorization", "AWS4-HMAC-SHA256 x"), 400, "cxone", "malformed_authorization"),
        (cxone().body(&nameless()), 401, "cxone", "signature_mismatch"),
        (binary, 401, "cxone-expert", "signature_mismatch"),
        (nice(&format!("not json {}", unique())), 400, "nice", "invalid_json"),
        (nice(&format!("{{\"eventId\":true,\"x\":\"{}\"}}", unique())), 400, "nice", "invalid_event_id"),
        (Signer::of("cognigy-callback").sign(nameless()), 400, "cognigy-callback", "missing_required_fields"),
    ];
    for (request, status, _, reason) in &rows {
        assert_refusal(&daemon.send(request), *status, reason);
    }
    let entries = kept(&setup, rows.len());
    assert_eq!(entries.len(), rows.len(), "{entries:?}");
    for (request, _, source, reason) in &rows {
        let fits = |entry: &&Value| entry["source"] == *source && entry["reason"] == *reason;
        let entry = entries.iter().find(fits).unwrap_or_else(|| panic!("{source} {reason}: {entries:?}"));
        let id = entry["id"].to_string();
        assert_eq!(output(&setup, &["quarantine", "show", &id, "--body"]), request.body, "{source} {reason}");
        assert_eq!(entry["target"], format!("POST {}", request.target));
        assert_eq!(entry["client_ip"], "127.0.0.1");
        let record = daemon.access_where("of the kept one", |record| record["request_id"] == entry["request_id"]);
        assert_eq!(record["reason"], *reason);
        let words = String::from_utf8(setup.run(&["explain", &id]).stdout).unwrap();
        assert!(words.contains(reason), "{words}");
    }
    assert!(events(&setup).is_empty());
    eventually("the gauge", || (daemon.scrape().get("gatepost_quarantine_entries", &[]) >= 10.0).then_some(()));
}

#[test]
fn what_comes_from_elsewhere_or_is_too_large_is_not_kept() {
    let setup = Setup::every_preset().set("limits", "body_bytes", "4096").preset_at(
        "elsewhere",
        "cognigy",
        "/webhook/elsewhere",
        "allowed_ips = [\"192.0.2.0/24\"]",
    );
    let daemon = setup.start();
    let stale = || Signer::of("cognigy").shifted(-4000);
    assert_refusal(&daemon.send(&forged(&nameless()).at("/webhook/elsewhere")), 403, "ip_not_whitelisted");
    assert_refusal(&daemon.send(&stale().sign(nameless()).at("/webhook/elsewhere")), 403, "ip_not_whitelisted");
    assert_refusal(&daemon.send(&forged(&[b' '; 5000])), 413, "payload_too_large");
    assert_refusal(&daemon.send(&forged(b"{}").set("Content-Type", "text/plain")), 415, "unsupported_media_type");
    assert_refusal(&daemon.send(&forged(b"{}").method("PUT")), 405, "method_not_allowed");
    let closing = |request: Request| request.header("Connection", "close");
    let chunked = |request: Request| daemon.send_raw(&closing(request).chunked_bytes(1000))[0].clone();
    assert_refusal(&chunked(forged(&[b' '; 5000])), 413, "payload_too_large");
    // Too large as well, though its head is what it is refused for.
    assert_refusal(&chunked(stale().sign([b' '; 5000])), 410, "timestamp_expired");
    only(&setup, &daemon);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for_and_not_asked_for() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let stale = || Signer::of("cognigy").shifted(-4000).sign(nameless()).header("Content-Length", "100");
    let mut conn = daemon.connect();
    conn.send(&stale().head());
    assert_refusal(&conn.response(), 410, "timestamp_expired");
    let mut conn = daemon.connect();
    conn.send(&stale().header("Expect", "100-continue").head());
    // 100 (Continue) would be the first answer.
    assert_refusal(&conn.response(), 410, "timestamp_expired");
    only(&setup, &daemon);
}

#[test]
fn a_flood_is_kept_in_part_and_holds_up_nobody() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let begun = Instant::now();
    let mut conn = daemon.connect();
    for round in 0..200 {
        assert_refusal(&conn.ask(&forged(&nameless())), 401, "signature_mismatch");
        if round % 20 == 0 {
            accepted(&conn.ask(&Signer::of("cognigy").sign(nameless())));
        }
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let entries = kept(&setup, 20);
    assert!(entries.len() <= 21 + seconds, "{} kept in {seconds} s", entries.len());
    // Another source has a rate of its own.
    let other = Signer::of("nice").secret(WRONG).sign(event(&unique()));
    assert_refusal(&daemon.send(&other), 401, "signature_mismatch");
    eventually("the other source's", || listed(&setup).into_iter().find(|entry| entry["source"] == "nice"));
}

/// Whoever has one captured body and its id, or a sender gone wrong, fills the quarantine no more than anybody else.
#[test]
fn a_flood_of_conflicts_leaves_all_other_evidence_where_it_is() {
    let setup = Setup::every_preset().set("quarantine", "max_entries", "30");
    let daemon = setup.start();
    let evidence = keep(&setup, &daemon, &forged(&nameless()), 401);
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    let body = |n: usize| json!({ "eventId": id, "eventType": "case.other", "n": n }).to_string();
    let mut conn = daemon.connect();
    let mut conflict = |n: usize| {
        let answer = accepted(&conn.ask(&Signer::of("nice").sign(body(n))));
        assert_eq!((&answer["status"], &answer["id"]), (&json!("quarantined"), &json!(id)));
    };
    let of_conflicts = || listed(&setup).iter().filter(|entry| entry["reason"] == "id_conflict").count();
    for _ in 0..60 {
        conflict(0);
    }
    assert_eq!(of_conflicts(), 1, "the same body once");
    let begun = Instant::now();
    for n in 1..=60 {
        conflict(n);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let kept = of_conflicts();
    assert!((20..=22 + seconds).contains(&kept), "{kept} kept in {seconds} s");
    assert!(listed(&setup).iter().any(|entry| entry["id"].as_u64() == evidence.parse().ok()), "the evidence is gone");
}

#[test]
fn the_oldest_make_room() {
    let setup = Setup::every_preset().set("quarantine", "max_entries", "3");
    let daemon = setup.start();
    let bodies: Vec<Vec<u8>> = (0..8).map(|_| nameless()).collect();
    for body in &bodies {
        assert_eq!(daemon.send(&forged(body)).status, 401);
    }
    let body_of = |entry: &Value| output(&setup, &["quarantine", "show", &entry["id"].to_string(), "--body"]);
    // Not by its number, which may have made room by the time it is asked for.
    let last =
        |entry: &Value| setup.run(&["quarantine", "show", &entry["id"].to_string(), "--body"]).stdout == bodies[7];
    let newest =
        eventually("the last one", || Some(listed(&setup)).filter(|entries| entries.first().is_some_and(last)));
    assert_eq!(newest.iter().map(body_of).collect::<Vec<_>>(), [&bodies[7][..], &bodies[6], &bodies[5]]);
}

#[test]
fn credentials_do_not_reach_the_store() {
    let setup = Setup::every_preset();
    let mut daemon = setup.start();
    let marked = |request: Request| {
        request
            .header("Cookie", "session=crumb-of-the-cookie")
            .header("Proxy-Authorization", "Basic proxy-pass-of-ours")
            .header("X-Api-Key", "api-key-of-somebody")
    };
    let bearer = marked(forged(&nameless())).header("Authorization", "Bearer bearer-of-a-token");
    let query = marked(forged(&nameless())).at("/webhook/cognigy?token=query-of-a-token");
    assert_eq!((daemon.send(&bearer).status, daemon.send(&query).status), (401, 401));
    let id = kept(&setup, 2)[0]["id"].to_string();
    let shown = String::from_utf8(output(&setup, &["quarantine", "show", &id])).unwrap();
    assert!(shown.contains("cookie: [redacted]") && shown.contains("x-cognigy-signature: "), "{shown}");
    daemon.kill();
    let mut found_body = false;
    for suffix in ["", "-wal"] {
        let file = std::fs::read(setup.path(&format!("gatepost.db{suffix}"))).unwrap_or_default();
        let holds = |text: &str| file.windows(text.len()).any(|window| window == text.as_bytes());
        found_body |= holds(MARKER);
        for credential in [
            "crumb-of-the-cookie",
            "proxy-pass-of-ours",
            "api-key-of-somebody",
            "bearer-of-a-token",
            "query-of-a-token",
        ] {
            assert!(!holds(credential), "{credential} is in the store");
        }
    }
    assert!(found_body, "the test looks in the wrong place");
}

#[test]
fn a_released_forgery_is_an_event_of_the_operators_and_only_once() {
    let upstream = Upstream::start(|_, _| Reply::status(204));
    let setup = Setup::every_preset().block(&format!(
        "[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\nevent_types = [\"case.*\"]\n",
        upstream.url()
    ));
    let daemon = setup.start();
    let id = unique();
    let body = event(&id);
    let forgery = || Signer::of("nice").secret(WRONG).sign(&body);
    let entry = keep(&setup, &daemon, &forgery(), 401);
    let done = release(&setup, &entry);
    assert_eq!(
        (&done["status"], &done["event_id"], &done["duplicate"]),
        (&json!("released"), &json!(id), &json!(false))
    );
    let events_now = events(&setup);
    assert_eq!(events_now.len(), 1, "{events_now:?}");
    assert_eq!(events_now[0]["key"], "released:ann");
    assert_eq!((&events_now[0]["id"], &events_now[0]["type"]), (&json!(id), &json!("case.created")));
    assert!(listed(&setup).is_empty(), "what is released leaves the quarantine");
    eventually("the delivery", || (upstream.count() >= 1).then_some(()));
    assert_eq!(upstream.seen()[0].body, body);
    // The number is spent, not given to the next.
    let again = setup.run(&["quarantine", "release", &entry, "--operator", "ann"]);
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    // The running daemon knows it, and so does a second release of the same.
    assert_eq!(accepted(&daemon.send(&Signer::of("nice").sign(&body)))["duplicate"], true);
    let entry = keep(&setup, &daemon, &forgery(), 401);
    let done = release(&setup, &entry);
    assert_eq!((&done["status"], &done["duplicate"]), (&json!("duplicate"), &json!(true)));
    assert!(listed(&setup).is_empty());
    assert_eq!(events(&setup).len(), 1);
}

#[test]
fn an_id_that_belongs_to_another_body_is_not_taken_over() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let id = unique();
    assert_eq!(accepted(&daemon.send(&Signer::of("nice").sign(event(&id))))["duplicate"], false);
    let second = json!({ "eventId": id, "eventType": "case.other" }).to_string().into_bytes();
    let third = json!({ "eventId": id, "eventType": "case.third" }).to_string().into_bytes();
    let conflict = keep(&setup, &daemon, &Signer::of("nice").sign(&second), 200);
    let forgery = keep(&setup, &daemon, &Signer::of("nice").secret(WRONG).sign(&third), 401);
    for (entry, body) in [(conflict, second), (forgery, third)] {
        let done = release(&setup, &entry);
        assert_eq!((&done["status"], &done["event_id"]), (&json!("released"), &json!(digest_id(&body))));
        assert!(done["note"].as_str().unwrap().contains("belongs to another body"), "{done}");
    }
    let first = setup.run(&["events", "show", &id, "--body"]).stdout;
    assert_eq!(first, event(&id), "the first body stays");
    assert_eq!(events(&setup).len(), 3);
}

#[test]
fn what_is_not_understood_is_released_by_its_digest() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let body = format!("not json {}", unique()).into_bytes();
    let entry = keep(&setup, &daemon, &Signer::of("nice").sign(&body), 400);
    let said = output(&setup, &["quarantine", "release", &entry, "--operator", "ann"]);
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains(&digest_id(&body)) && said.contains("invalid_json"), "{said}");
    let event = &events(&setup)[0];
    assert_eq!((&event["id"], &event["type"]), (&json!(digest_id(&body)), &json!("nice")));
    // A required field is missing, the rest is fine.
    let body = callback();
    let entry = keep(&setup, &daemon, &Signer::of("cognigy-callback").secret(WRONG).sign(&body), 401);
    assert_eq!(release(&setup, &entry)["event_id"], digest_id(&body));
}

#[test]
fn a_release_needs_an_operator_and_a_source_and_all_or_nothing() {
    let setup = Setup::every_preset();
    let daemon = setup.start();
    let entry = keep(&setup, &daemon, &forged(&nameless()), 401);
    let refused = |setup: &Setup, arguments: &[&str], status: i32, word: &str| {
        let output = setup.run(arguments);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(status) && words.contains(word), "{arguments:?}: {words}");
    };
    refused(&setup, &["quarantine", "release", &entry], 64, "--operator");
    refused(&setup, &["quarantine", "release"], 64, "");
    refused(&setup, &["quarantine", "release", &entry, "999", "--operator", "ann"], 1, "999");
    drop(daemon);
    let store = format!("\"sqlite:{}\"", setup.path("gatepost.db").display());
    let other = Setup::new().preset("nice").set("store", "url", &store);
    refused(&other, &["quarantine", "release", &entry, "--operator", "ann"], 64, "cognigy");
    assert!(events(&setup).is_empty());
    assert_eq!(listed(&setup).len(), 1);
    let setup = setup.env("USER", "root").env("SUDO_USER", "bob");
    output(&setup, &["quarantine", "release", &entry]);
    assert_eq!(events(&setup)[0]["key"], "released:bob");
}
