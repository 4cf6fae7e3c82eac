//! Contract 4: requests wrong in two ways, and which refusal wins, for every adjacent pair of checks.
//!
//! `overloaded` before everything is in `limits.rs`, `store_unavailable` after everything in `reject.rs`.

use crate::support::{Daemon, Request, Setup, Signer, assert_refusal, event, nameless, unique};

const ELSEWHERE: &str = "/webhook/elsewhere";
const STRICT: &str = "/webhooks/strict";

fn daemon() -> Daemon {
    Setup::every_preset()
        .set("limits", "body_bytes", "4096")
        .set("limits", "body_timeout", "\"2s\"")
        .preset_at("elsewhere", "cognigy", ELSEWHERE, "allowed_ips = [\"192.0.2.0/24\"]")
        .preset_at("strict", "nice", STRICT, "required_fields = [\"/eventId\", \"/caller\"]")
        .start()
}

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

fn stale() -> Request {
    Signer::of("cognigy").shifted(-4000).sign(nameless())
}

fn large(request: Request) -> Request {
    request.body(&[b' '; 5000])
}

#[test]
fn head_checks() {
    let daemon = daemon();
    let elsewhere = || cognigy().at(ELSEWHERE);
    let rows = [
        ("404 before 405", cognigy().at("/nowhere").method("GET"), 404, "not_found"),
        ("404 before 415", cognigy().at("/nowhere").set("Content-Type", "text/plain"), 404, "not_found"),
        ("405 before 415", cognigy().method("PUT").set("Content-Type", "text/plain"), 405, "method_not_allowed"),
        ("405 before 413", large(cognigy().method("PUT")), 405, "method_not_allowed"),
        ("405 before 403", elsewhere().method("PUT"), 405, "method_not_allowed"),
        ("415 before 413", large(cognigy().set("Content-Type", "text/plain")), 415, "unsupported_media_type"),
        ("coding before 413", large(cognigy().header("Content-Encoding", "gzip")), 415, "unsupported_media_type"),
        ("415 before 403", elsewhere().set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        ("413 before 403", large(elsewhere()), 413, "payload_too_large"),
        ("413 before 410", large(stale()), 413, "payload_too_large"),
        ("413 before 401", large(cognigy().without("X-Cognigy-Signature")), 413, "payload_too_large"),
        ("403 before missing timestamp", elsewhere().without("X-Cognigy-Timestamp"), 403, "ip_not_whitelisted"),
        ("403 before stale", stale().at(ELSEWHERE), 403, "ip_not_whitelisted"),
        ("403 before missing signature", elsewhere().without("X-Cognigy-Signature"), 403, "ip_not_whitelisted"),
        ("403 before mismatch", elsewhere().body(b"{}"), 403, "ip_not_whitelisted"),
    ];
    for (what, request, status, reason) in rows {
        let response = daemon.send(&request);
        assert!(response.reason() == reason, "{what}: {response:?}");
        assert_refusal(&response, status, reason);
    }
}

#[test]
fn timestamp_before_signature() {
    let daemon = daemon();
    let cxone = |seconds| Signer::of("cxone").shifted(seconds).sign(event(&unique()));
    let nice = || Signer::of("nice").sign(event(&unique()));
    let bare = |request: Request| request.without("X-Cognigy-Signature");
    let nice_with = |value: &str| nice().set("X-NICE-Signature", value);
    let rows = [
        ("no timestamp, no signature", bare(cognigy().without("X-Cognigy-Timestamp")), 401, "missing_timestamp"),
        (
            "bad timestamp, no signature",
            bare(cognigy().set("X-Cognigy-Timestamp", "x")),
            401,
            "invalid_timestamp_format",
        ),
        ("stale, no signature", bare(stale()), 410, "timestamp_expired"),
        (
            "no date, no authorization",
            cxone(0).without("X-Amz-Date").without("Authorization"),
            401,
            "missing_timestamp",
        ),
        ("no date, malformed", cxone(0).without("X-Amz-Date").set("Authorization", "x"), 401, "missing_timestamp"),
        (
            "bad date, malformed",
            cxone(0).set("X-Amz-Date", "x").set("Authorization", "x"),
            401,
            "invalid_timestamp_format",
        ),
        ("stale, malformed", cxone(-4000).set("Authorization", "x"), 401, "timestamp_expired"),
        ("stale, no authorization", cxone(-4000).without("Authorization"), 401, "timestamp_expired"),
        ("neither t nor v1", nice_with("v0=00"), 401, "missing_timestamp"),
        ("stale t, no v1", nice_with("t=1,v0=00"), 401, "timestamp_expired"),
        ("bad t, no v1", nice_with("t=x,v0=00"), 401, "invalid_timestamp_format"),
        (
            "stale and wrong key",
            Signer::of("nice").secret("wrong-secret-0123456789").shifted(-4000).sign("{}"),
            401,
            "timestamp_expired",
        ),
        ("stale and no JSON", Signer::of("nice").shifted(-4000).sign("x"), 401, "timestamp_expired"),
    ];
    for (what, request, status, reason) in rows {
        let response = daemon.send(&request);
        assert!(response.reason() == reason, "{what}: {response:?}");
        assert_refusal(&response, status, reason);
    }
}

#[test]
fn head_checks_do_not_wait_for_the_body() {
    let daemon = daemon();
    let cxone = || Signer::of("cxone").sign(event(&unique()));
    let rows = [
        (cognigy().without("X-Cognigy-Signature"), 401, "missing_signature"),
        (cxone().without("Authorization"), 401, "missing_signature"),
        (cxone().set("Authorization", "AWS4-HMAC-SHA256 x"), 400, "malformed_authorization"),
        (stale(), 410, "timestamp_expired"),
        (cognigy().at(ELSEWHERE), 403, "ip_not_whitelisted"),
        (cognigy().set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        (cognigy().at("/nowhere"), 404, "not_found"),
    ];
    for (request, status, reason) in rows {
        let mut conn = daemon.connect();
        // The body is promised and never comes, so an answer that waited for it would be 408.
        conn.send(&request.header("Content-Length", "100").head());
        assert_refusal(&conn.response(), status, reason);
    }
}

#[test]
fn body_checks() {
    let daemon = daemon();
    let wrong = |body: &str| Signer::of("nice").secret("wrong-secret-0123456789").sign(body);
    let callback = |body: &str| Signer::of("cognigy-callback").sign(body);
    let strict = |body: &str| Signer::of("nice").target(STRICT).sign(body);
    let rows = [
        ("mismatch before invalid_json", wrong("not json"), 401, "signature_mismatch"),
        ("mismatch before missing fields", callback("{}").body(b"{ }"), 401, "signature_mismatch"),
        ("mismatch before invalid id", wrong("{\"eventId\":\"\"}"), 401, "signature_mismatch"),
        ("invalid_json before missing fields", callback("{\"sessionId\":\"a\"} x"), 400, "invalid_json"),
        ("invalid_json before invalid id", Signer::of("nice").sign("{\"eventId\":true} x"), 400, "invalid_json"),
        (
            "invalid_json before a duplicate id",
            Signer::of("nice").sign("{\"eventId\":\"a\",\"eventId\":\"b\",}"),
            400,
            "invalid_json",
        ),
        ("missing fields before invalid id", strict("{\"eventId\":true}"), 400, "missing_required_fields"),
        ("all fields, invalid id", strict("{\"eventId\":true,\"caller\":\"x\"}"), 400, "invalid_event_id"),
    ];
    for (what, request, status, reason) in rows {
        let response = daemon.send(&request);
        assert!(response.reason() == reason, "{what}: {response:?}");
        assert_refusal(&response, status, reason);
    }
}

#[test]
fn a_chunked_body_past_the_limit_is_413_whatever_its_signature_and_a_slow_one_408() {
    let daemon = daemon();
    let forged = large(cognigy()).header("Connection", "close").chunked_bytes(1000);
    assert_refusal(&daemon.send_raw(&forged)[0], 413, "payload_too_large");
    let mut conn = daemon.connect();
    let unsigned_by_us = Signer::of("cognigy").secret("wrong-secret-0123456789").sign(nameless());
    conn.send(&unsigned_by_us.header("Content-Length", "100").head());
    conn.send(b"not json");
    assert_refusal(&conn.response(), 408, "body_timeout");
}
