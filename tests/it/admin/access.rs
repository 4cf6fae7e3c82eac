//! Contract 5, access records: what was asked for stands in each, whatever became of it, and is the sender's only as
//! far as a log can bear it.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::support::http2::Http2;
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Request, Setup, Signer, assert_refusal, event, eventually, nameless, unique};

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

/// The record of `raw`, whose head nobody can read, and the answer to it.
#[track_caller]
fn unreadable(daemon: &Daemon, raw: &[u8]) -> (Value, crate::support::Response) {
    let before = daemon.access().len();
    let mut answers = daemon.send_raw(raw);
    assert_eq!(answers.len(), 1, "{answers:?}");
    let record = eventually("an access record", || daemon.access().get(before).cloned());
    for unknown in ["method", "path", "content_type", "event_id", "key", "quarantine_id"] {
        assert_eq!(record.get(unknown), Some(&Value::Null), "{unknown}: {record}");
    }
    assert_eq!(record["peer_ip"], "127.0.0.1", "{record}");
    assert_eq!(record["request_id"].as_str().map(str::len), Some(32), "{record}");
    assert_eq!(record["outcome"], "refused", "{record}");
    (record, answers.remove(0))
}

#[test]
fn what_the_http_library_refuses_is_counted_recorded_and_answered_like_every_refusal() {
    let daemon = Setup::new().preset("cognigy").start();
    let post = |lines: &str| format!("POST /webhook/cognigy HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n");
    let rows = [
        (post("Bad Header: x"), 400, "bad_request"),
        (post(" folded: x"), 400, "bad_request"),
        (post("Content-Length: +5"), 400, "bad_request"),
        (post("Content-Length: 5\r\nContent-Length: 6"), 400, "bad_request"),
        (post("Transfer-Encoding: gzip"), 400, "bad_request"),
        ("P@ST / HTTP/1.1 x\r\n\r\n".to_owned(), 400, "bad_request"),
        ("POST / HTTP/9.9\r\n\r\n".to_owned(), 400, "bad_request"),
        (post(&"x: y\r\n".repeat(101)), 431, "header_fields_too_large"),
        (post(&format!("x: {}", "y".repeat(150_000))), 431, "header_fields_too_large"),
        (format!("POST /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(66_000)), 414, "uri_too_long"),
    ];
    for (raw, status, reason) in rows {
        let (record, answer) = unreadable(&daemon, raw.as_bytes());
        assert_refusal(&answer, status, reason);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
        assert!(answer.header("date").is_some(), "{answer:?}");
        assert_eq!((&record["status"], &record["reason"]), (&json!(status), &json!(reason)), "{record}");
    }
    let scrape = daemon.scrape();
    assert_eq!(scrape.count("gatepost_requests_total", &[("source", "none"), ("outcome", "refused")]), 10);
    let bad = [("source", "none"), ("reason", "bad_request")];
    assert_eq!(scrape.count("gatepost_refusals_total", &bad), 7);
}

#[test]
fn a_head_that_cannot_be_read_behind_one_that_can_has_its_own_record() {
    let daemon = Setup::new().preset("cognigy").start();
    let good = cognigy().bytes();
    let answers = daemon.send_raw(&[&good[..], b"P@ST / HTTP/1.1\r\nx y\r\n\r\n", &good].concat());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 400], "{answers:?}");
    assert_refusal(&answers[1], 400, "bad_request");
    let outcomes = eventually("two records", || Some(daemon.access()).filter(|records| records.len() == 2));
    assert_eq!((&outcomes[0]["outcome"], &outcomes[1]["outcome"]), (&json!("accepted"), &json!("refused")));
}

#[test]
fn head_has_no_body_also_where_it_cannot_be_read() {
    let daemon = Setup::new().preset("cognigy").start();
    let target = "y".repeat(66_000);
    for (head, status) in
        [("/ HTTP/1.1\r\nHost: a\r\nBad Header: x", "400"), (&format!("/{target} HTTP/1.1\r\nHost: a"), "414")]
    {
        let mut conn = daemon.connect();
        conn.send(format!("HEAD {head}\r\n\r\n").as_bytes());
        let mut answer = Vec::new();
        // What came before the connection was reset is still an answer.
        let _ = conn.tls.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains("content-length: "), "{answer}");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("content-length: 0"), "{answer}");
    }
}

#[test]
fn a_client_behind_a_proxy_that_cannot_be_told_is_null() {
    let daemon = Setup::new().set("listener", "trusted_proxies", "[\"127.0.0.1\"]").preset("cognigy").start();
    let raw = b"POST / HTTP/1.1\r\nX-Forwarded-For: 192.0.2.1\r\nBad Header: x\r\n\r\n";
    assert_eq!(unreadable(&daemon, raw).0["client_ip"], Value::Null);
    let daemon = Setup::new().preset("cognigy").start();
    assert_eq!(unreadable(&daemon, raw).0["client_ip"], "127.0.0.1");
}

#[test]
fn a_body_framed_wrongly_is_the_senders_fault() {
    let daemon = Setup::new().preset("cognigy").start();
    let chunked = cognigy().without("Content-Length").header("Transfer-Encoding", "chunked");
    for body in ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "fffffffffffffffff\r\n{}"] {
        let before = daemon.access().len();
        let answers = daemon.send_raw(&[&chunked.head()[..], body.as_bytes()].concat());
        assert_refusal(&answers[0], 400, "bad_request");
        let record = eventually("an access record", || daemon.access().get(before).cloned());
        assert_eq!((&record["outcome"], &record["path"]), (&json!("refused"), &json!("/webhook/cognigy")), "{record}");
    }
}

/// An HTTP/2 connection by hand: preface and empty SETTINGS have been sent.
fn http2(daemon: &Daemon) -> Conn {
    let mut conn = Conn::open(daemon.webhook, client_config(&daemon.ca, &["h2"])).unwrap();
    conn.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    conn
}

/// HEADERS that end headers and stream.
fn headers(stream: u8, block: &[u8]) -> Vec<u8> {
    [&[0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, stream], block].concat()
}

#[test]
fn http_2_spoken_wrongly_is_counted_and_recorded_each_time() {
    let daemon = Setup::new().preset("cognigy").start();
    // `:method: GET`, `:scheme: https`, `:path: /`, `:authority: a`, then a header whose name is in upper case.
    let upper = [&[0x82, 0x87, 0x84, 0x41, 1, b'a'][..], &[0, 1, b'X', 1, b'y']].concat();
    let no_path = vec![0x82, 0x87, 0x41, 1, b'a'];
    let broken = vec![0xff; 20];
    let mut records = 0;
    for blocks in [vec![upper.clone(), no_path.clone(), upper], vec![no_path], vec![broken]] {
        let mut conn = http2(&daemon);
        // At once: the connection ends with the first (RFC 9113 section 4.3), and what comes later nobody reads.
        let heads: Vec<u8> = blocks.iter().zip([1, 3, 5]).flat_map(|(block, stream)| headers(stream, block)).collect();
        conn.send(&heads);
        for _ in &blocks {
            let record = eventually("an access record", || daemon.access().get(records).cloned());
            assert_eq!((&record["outcome"], &record["reason"]), (&json!("refused"), &json!("bad_request")), "{record}");
            assert_eq!((&record["status"], &record["path"]), (&Value::Null, &Value::Null), "{record}");
            records += 1;
        }
    }
    // Not HTTP/2 at all.
    let mut conn = Conn::open(daemon.webhook, client_config(&daemon.ca, &["h2"])).unwrap();
    conn.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("an access record", || daemon.access().get(5).cloned());
    // And HTTP/2 where it was not agreed.
    let mut conn = daemon.connect();
    conn.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    eventually("an access record", || daemon.access().get(6).cloned());
    assert_eq!(daemon.send(&cognigy()).status, 200);
    eventually("one record each", || (daemon.access().len() == 8).then_some(()));
    let refused = [("source", "none"), ("outcome", "refused")];
    assert_eq!(daemon.scrape().count("gatepost_requests_total", &refused), 7);
}

#[test]
fn good_and_bad_requests_of_one_http_2_connection_have_a_record_each() {
    let daemon = Setup::new().preset("cognigy").start();
    let large = (0..30).fold(cognigy(), |request, n| request.header(&format!("x-{n}"), &"y".repeat(1000)));
    let mut client = Http2::open(&daemon);
    for n in 0..3 {
        assert_eq!(client.ask(&cognigy()).unwrap().status, 200);
        assert_eq!(client.ask(&large).unwrap().status, 431);
        let record = eventually("an access record", || daemon.access().get(2 * n + 1).cloned());
        assert_eq!(record["reason"], "header_fields_too_large", "{record}");
        assert_eq!((&record["status"], &record["path"]), (&json!(431), &Value::Null), "{record}");
    }
    assert_eq!(client.ask(&cognigy()).unwrap().status, 200);
    eventually("one record each", || (daemon.access().len() == 7).then_some(()));
}

/// HEADERS that end headers only, with the head of `request`: nothing indexed, nothing compressed (RFC 7541 section 6.2.2).
fn open_stream(stream: u16, request: &Request) -> Vec<u8> {
    let literal = |name: &str, value: &str| {
        let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [vec![0], text(name), text(value)].concat()
    };
    let mut block = [0x83, 0x87].to_vec();
    block.extend([literal(":path", &request.target), literal(":authority", "localhost")].concat());
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        block.extend(literal(&name.to_lowercase(), value));
    }
    let ([high, low], [above, below]) = (u16::try_from(block.len()).unwrap().to_be_bytes(), stream.to_be_bytes());
    [&[0, high, low, 1, 4, 0, 0, above, below], &block[..]].concat()
}

#[test]
fn http_2_streams_beyond_the_most_are_shed_with_a_record_each() {
    let daemon = Setup::new().preset("cognigy").start();
    let mut conn = http2(&daemon);
    for number in 0..131 {
        conn.send(&open_stream(2 * number + 1, &cognigy()));
    }
    eventually("a record for each beyond 128", || (daemon.access().len() == 3).then_some(()));
    for record in daemon.access() {
        assert_eq!((&record["outcome"], &record["reason"]), (&json!("shed"), &json!("overloaded")), "{record}");
        assert_eq!((&record["status"], &record["path"]), (&Value::Null, &Value::Null), "{record}");
    }
}
