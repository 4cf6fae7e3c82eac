//! Contract 4: one row per reason, with its status, its headers and the shape of its body.
//!
//! `overloaded` and the timeouts need a daemon with little patience: `limits.rs`. The order of checks: `order.rs`.

use rusqlite::Connection;
use serde_json::json;

use crate::support::{
    Daemon, Request, Setup, Signer, assert_refusal, callback, event, eventually, nameless, now, sign, unique,
};

fn daemon() -> Daemon {
    Setup::every_preset()
        .set("limits", "body_bytes", "4096")
        .preset_at("elsewhere", "cognigy", "/webhook/elsewhere", "allowed_ips = [\"192.0.2.0/24\", \"2001:db8::/32\"]")
        .start()
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn nice() -> Request {
    Signer::of("nice").sign(event(&unique()))
}

fn cxone() -> Request {
    Signer::of("cxone").sign(event(&unique()))
}

fn standard() -> Request {
    Signer::of("standard-webhooks").sign(nameless())
}

#[track_caller]
fn refused(daemon: &Daemon, rows: Vec<(Request, u16, &str)>) {
    for (request, status, reason) in rows {
        let response = daemon.send(&request);
        assert!(
            response.status == status && response.reason() == reason,
            "wanted {status} {reason} for {} {:?}, got {response:?}",
            request.target,
            request.headers
        );
        assert_refusal(&response, status, reason);
    }
}

#[test]
fn routes_and_methods() {
    let daemon = daemon();
    let mut rows = vec![(cognigy().at("/nowhere"), 404, "not_found"), (Request::new("GET", "/"), 404, "not_found")];
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        rows.push((cognigy().method(method), 405, "method_not_allowed"));
    }
    refused(&daemon, rows);
    let mut conn = daemon.connect();
    conn.send(&cognigy().method("HEAD").header("Connection", "close").bytes());
    let head = conn.all_responses().remove(0);
    assert_eq!((head.status, head.header("allow")), (405, Some("POST")), "{head:?}");
}

#[test]
fn content_types_and_codings() {
    let daemon = daemon();
    let mut rows = Vec::new();
    for media in [
        "text/plain",
        "",
        "application/jsonx",
        "application/json-patch+json",
        "application/xml",
        "json",
        ";",
        "application/json, text/plain",
    ] {
        rows.push((cognigy().set("Content-Type", media), 415, "unsupported_media_type"));
    }
    rows.push((cognigy().without("Content-Type"), 415, "unsupported_media_type"));
    for coding in ["gzip", "deflate", "br", "aws-chunked", "identity, gzip", "gzip, identity", "x-unknown"] {
        rows.push((cognigy().header("Content-Encoding", coding), 415, "unsupported_media_type"));
    }
    let twice = cognigy().header("Content-Encoding", "identity").header("Content-Encoding", "gzip");
    rows.push((twice, 415, "unsupported_media_type"));
    rows.push((cxone().header("Content-Encoding", "aws-chunked"), 415, "unsupported_media_type"));
    refused(&daemon, rows);
    for media in [
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/json;charset=\"utf-8\"",
        "application/json ; a=b",
    ] {
        assert_eq!(daemon.send(&cognigy().set("Content-Type", media)).status, 200, "{media}");
    }
    for coding in ["identity", "Identity"] {
        assert_eq!(daemon.send(&cognigy().header("Content-Encoding", coding)).status, 200, "{coding}");
    }
}

#[test]
fn sizes_and_addresses() {
    let daemon = daemon();
    let large = |length: usize| Signer::of("cognigy").sign(vec![b' '; length]);
    let elsewhere = Signer::of("cognigy").target("/webhook/elsewhere").sign(nameless());
    let rows = vec![
        (large(4097), 413, "payload_too_large"),
        (large(100_000), 413, "payload_too_large"),
        (elsewhere.clone(), 403, "ip_not_whitelisted"),
        (elsewhere.clone().header("X-Forwarded-For", "192.0.2.1"), 403, "ip_not_whitelisted"),
        (elsewhere.clone().header("Forwarded", "for=192.0.2.1"), 403, "ip_not_whitelisted"),
        (elsewhere.clone().header("X-Real-IP", "192.0.2.1"), 403, "ip_not_whitelisted"),
    ];
    refused(&daemon, rows);
    // Declared, never sent: the answer must not wait for a byte of it.
    for declared in ["4097", "1099511627776", "9223372036854775807"] {
        let mut conn = daemon.connect();
        conn.send(&cognigy().header("Content-Length", declared).head());
        assert_refusal(&conn.response(), 413, "payload_too_large");
    }
    // Chunked: as soon as the limit is passed, though the end never comes.
    let mut conn = daemon.connect();
    conn.send(&cognigy().header("Transfer-Encoding", "chunked").head());
    conn.send(format!("1400\r\n{}", "x".repeat(0x1400)).as_bytes());
    assert_refusal(&conn.response(), 413, "payload_too_large");
}

#[test]
fn timestamps() {
    let daemon = daemon();
    let mut rows = vec![
        (cognigy().without("X-Cognigy-Timestamp"), 401, "missing_timestamp"),
        (cxone().without("X-Amz-Date"), 401, "missing_timestamp"),
        (cxone().without("X-Amz-Date").header("Date", "Tue, 15 Nov 1994 08:12:31 GMT"), 401, "missing_timestamp"),
        (standard().without("webhook-timestamp"), 401, "missing_timestamp"),
        (Signer::of("cxone-expert").sign(nameless()).without("X-Nexus-Timestamp"), 401, "missing_timestamp"),
        (nice().set("X-NICE-Signature", &format!("v1={}", "0".repeat(64))), 401, "missing_timestamp"),
    ];
    let formats = ["abc", "+5", "-1", "1.5", "0x5", "1 2", "12345678901234567890", "2026-01-01T00:00:00Z", "\u{0661}"];
    for value in formats {
        rows.push((cognigy().set("X-Cognigy-Timestamp", value), 401, "invalid_timestamp_format"));
        rows.push((standard().set("webhook-timestamp", value), 401, "invalid_timestamp_format"));
        let nice_value = format!("v1={},t={value}", "0".repeat(64));
        rows.push((nice().set("X-NICE-Signature", &nice_value), 401, "invalid_timestamp_format"));
    }
    for value in [
        "20260230T000000Z",
        "20261301T000000Z",
        "20260101T240000Z",
        "20260101T000060Z",
        "20260101T000000",
        "20260101 000000Z",
        "2026-01-01T00:00:00Z",
        "20260101T000000z",
        "1767225600",
        "20260101T000000+0000",
        "00000000T000000Z",
    ] {
        rows.push((cxone().set("X-Amz-Date", value), 401, "invalid_timestamp_format"));
    }
    for seconds in [-100_000, -305, 310, 100_000] {
        rows.push((Signer::of("cognigy").shifted(seconds).sign(nameless()), 410, "timestamp_expired"));
        for preset in ["cxone", "nice", "cxone-expert", "standard-webhooks"] {
            rows.push((Signer::of(preset).shifted(seconds).sign(event(&unique())), 401, "timestamp_expired"));
        }
    }
    // Milliseconds are not guessed; the smallest time is stale, not a fault.
    let now = now();
    rows.push((cognigy().set("X-Cognigy-Timestamp", &(now * 1000).to_string()), 410, "timestamp_expired"));
    rows.push((cognigy().set("X-Cognigy-Timestamp", "0"), 410, "timestamp_expired"));
    rows.push((cognigy().set("X-Cognigy-Timestamp", "9223372036854775807"), 410, "timestamp_expired"));
    refused(&daemon, rows);
    for seconds in [-290, 290] {
        for preset in ["cognigy", "cxone", "nice", "cxone-expert", "standard-webhooks"] {
            let response = daemon.send(&Signer::of(preset).shifted(seconds).sign(event(&unique())));
            assert_eq!(response.status, 200, "{preset} {seconds} {response:?}");
        }
    }
    for value in ["9999999999999999999", &format!("0{now}")] {
        let status = daemon.send(&cognigy().set("X-Cognigy-Timestamp", value)).status;
        assert!([200, 401, 410].contains(&status), "{value}: {status}");
    }
}

#[test]
fn a_header_that_feeds_verification_twice_is_refused() {
    let daemon = daemon();
    let rows = [
        (cognigy(), "X-Cognigy-Signature"),
        (cognigy(), "X-Cognigy-Timestamp"),
        (Signer::of("cognigy-callback").sign(callback()), "X-Cognigy-Signature"),
        (nice(), "X-NICE-Signature"),
        (cxone(), "Authorization"),
        (cxone(), "X-Amz-Date"),
        (standard(), "webhook-id"),
        (standard(), "webhook-timestamp"),
        (standard(), "webhook-signature"),
        (Signer::of("cxone-expert").sign(nameless()), "X-Nexus-Signature-256"),
        (Signer::of("cxone-expert").sign(nameless()), "X-Nexus-Timestamp"),
    ];
    for (request, name) in rows {
        let value = request.get(name).to_owned();
        for second in [value.as_str(), "junk", ""] {
            let doubled = request.clone().header(name, second);
            let response = daemon.send(&doubled);
            // Two Authorization headers may also count as one that cannot be parsed.
            let malformed = name == "Authorization" && response.reason() == "malformed_authorization";
            assert!(response.status == 401 || malformed, "{name} twice ({second}): {response:?}");
        }
    }
}

#[test]
fn signatures() {
    let daemon = daemon();
    let expert = || Signer::of("cxone-expert").sign(nameless());
    let callback = || Signer::of("cognigy-callback").sign(callback());
    let v0 = |mark: &str| nice().get("X-NICE-Signature").replace("v1=", mark);
    let mut rows = vec![
        (cognigy().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (callback().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (nice().without("X-NICE-Signature"), 401, "missing_signature"),
        (nice().set("X-NICE-Signature", &v0("v0=")), 401, "missing_signature"),
        (nice().set("X-NICE-Signature", &v0("v2=")), 401, "missing_signature"),
        (nice().set("X-NICE-Signature", &v0("V1=")), 401, "missing_signature"),
        (nice().set("X-NICE-Signature", &format!("t={}", now())), 401, "missing_signature"),
        (expert().without("X-Nexus-Signature-256"), 401, "missing_signature"),
        (standard().without("webhook-signature"), 401, "missing_signature"),
        (cxone().without("Authorization"), 401, "missing_signature"),
        (cognigy().body(b"{\"tampered\":true}"), 401, "signature_mismatch"),
        (callback().body(b"{\"sessionId\":\"a\",\"userId\":\"b\"}"), 401, "signature_mismatch"),
        (nice().body(b"{}"), 401, "signature_mismatch"),
        (expert().body(b"{}"), 401, "signature_mismatch"),
        (standard().body(b"{}"), 401, "signature_mismatch"),
        (standard().set("webhook-id", "msg_other"), 401, "signature_mismatch"),
        (cxone().body(b"{}"), 401, "signature_mismatch"),
    ];
    let good = cognigy();
    let hex = good.get("X-Cognigy-Signature").to_owned();
    let wrong = [
        hex[..62].to_owned(),
        format!("{hex}{hex}"),
        format!("{hex}00"),
        format!("{hex}0"),
        format!("sha256={hex}"),
        format!("{hex},{hex}"),
        "0".repeat(64),
        "z".repeat(64),
        "a".to_owned(),
        format!("{}g", &hex[..63]),
        format!("{hex};"),
    ];
    for value in wrong {
        rows.push((good.clone().set("X-Cognigy-Signature", &value), 401, "signature_mismatch"));
    }
    refused(&daemon, rows);
    assert_eq!(
        daemon.send(&good.clone().set("X-Cognigy-Signature", &hex.to_uppercase())).status,
        200,
        "upper-case hex"
    );
    let empty = daemon.send(&good.set("X-Cognigy-Signature", ""));
    assert_eq!(empty.status, 401, "{empty:?}");
}

#[test]
fn bodies() {
    let daemon = daemon();
    let callback = |body: &str| Signer::of("cognigy-callback").sign(body);
    let rows = vec![
        (Signer::of("cognigy").sign("not json"), 400, "invalid_json"),
        (Signer::of("cognigy").sign(""), 400, "invalid_json"),
        (Signer::of("nice").sign("[1]"), 400, "invalid_json"),
        (callback("{}"), 400, "missing_required_fields"),
        (callback("{\"sessionId\":\"a\"}"), 400, "missing_required_fields"),
        (callback("{\"sessionId\":\"\",\"userId\":\"b\"}"), 400, "missing_required_fields"),
        (callback("{\"sessionId\":null,\"userId\":\"b\"}"), 400, "missing_required_fields"),
        (callback("{\"sessionid\":\"a\",\"userId\":\"b\"}"), 400, "missing_required_fields"),
        (Signer::of("nice").sign("{\"eventId\":\"\"}"), 400, "invalid_event_id"),
        (Signer::of("cxone").sign("{\"eventId\":true}"), 400, "invalid_event_id"),
    ];
    refused(&daemon, rows);
    let response = daemon.send(&callback("{\"sessionId\":\"\"}"));
    let detail = response.json()["detail"].to_string();
    assert!(detail.contains("sessionId") && detail.contains("userId"), "{response:?}");
    let response = daemon.send(&callback("{\"sessionId\":\"s\"}"));
    let detail = response.json()["detail"].to_string();
    assert!(!detail.contains("sessionId") && detail.contains("userId"), "{response:?}");
}

#[test]
fn nothing_of_a_refused_request_is_remembered() {
    let daemon = daemon();
    let id = unique();
    let forged = json!({ "eventId": id, "forged": true }).to_string();
    for request in [
        Signer::of("nice").secret(&sign::secret_of("cognigy")).sign(&forged),
        Signer::of("nice").shifted(-1000).sign(&forged),
        Signer::of("nice").sign(&forged).body(event(&id).as_slice()),
    ] {
        assert_eq!(daemon.send(&request).status, 401);
    }
    let first = daemon.send(&Signer::of("nice").sign(event(&id))).json();
    assert_eq!(first, json!({ "status": "accepted", "id": id, "duplicate": false }));
}

#[test]
fn a_store_that_stalls_is_503_then_not_ready_and_both_recover() {
    let setup = Setup::new().preset("nice");
    let daemon = setup.start();
    assert_eq!(daemon.send(&nice()).status, 200);
    let other = Connection::open(setup.path("gatepost.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").expect("another process may take the write lock");
    let request = nice();
    let begun = std::time::Instant::now();
    assert_refusal(&daemon.send(&request), 503, "store_unavailable");
    assert!(begun.elapsed().as_secs() < 13, "503 within 10 s: took {:?}", begun.elapsed());
    eventually("readiness follows", || (daemon.get("/readyz").status == 503).then_some(()));
    assert_eq!(daemon.scrape().count("gatepost_ready", &[]), 0);
    assert_refusal(&daemon.send(&Signer::of("nice").sign("[]")), 400, "invalid_json");
    other.execute_batch("ROLLBACK").unwrap();
    eventually("readiness returns", || (daemon.get("/readyz").status == 200).then_some(()));
    assert_eq!(daemon.scrape().count("gatepost_ready", &[]), 1);
    let answer = daemon.send(&request);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["duplicate"], false, "what was answered 503 was not accepted");
}
