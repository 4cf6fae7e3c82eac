//! What tests share: a running program, raw clients and independent signers, which know only the contract, and what the
//! tests of sinks and dispatch stand on, a scripted upstream and a store in memory.

pub(crate) mod certs;
pub(crate) mod collector;
pub(crate) mod crowd;
pub(crate) mod daemon;
pub(crate) mod dispatch_memory;
pub(crate) mod docs;
pub(crate) mod http2;
pub(crate) mod jwt;
pub(crate) mod proxy;
pub(crate) mod scrape;
pub(crate) mod setup;
pub(crate) mod sign;
pub(crate) mod sink_upstream;
pub(crate) mod terminal;
pub(crate) mod wire;

pub(crate) use daemon::{Daemon, eventually};
pub(crate) use setup::Setup;
pub(crate) use sign::{Signer, now, unique};
pub(crate) use wire::{Conn, Request, Response};

use serde_json::{Value, json};

/// Stands in every body that tests send; a log line that holds it has leaked a body.
pub(crate) const MARKER: &str = "b0dy-marker-that-no-log-line-may-hold";

/// The body of an event with `id` at `/eventId`.
pub(crate) fn event(id: &str) -> Vec<u8> {
    json!({ "eventId": id, "eventType": "case.created", "intent": "book", "note": MARKER }).to_string().into_bytes()
}

/// The body of an event that differs from every other one, with no id of its own.
pub(crate) fn nameless() -> Vec<u8> {
    json!({ "nonce": unique(), "intent": "book", "note": MARKER }).to_string().into_bytes()
}

/// The body of a valid `cognigy-callback`.
pub(crate) fn callback() -> Vec<u8> {
    json!({ "sessionId": unique(), "userId": "u-1", "note": MARKER }).to_string().into_bytes()
}

/// The id an event has when it brings none.
pub(crate) fn digest_id(body: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(body)))
}

/// Checks a 200 and gives its JSON.
#[track_caller]
pub(crate) fn accepted(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_answer_headers(response);
    response.json()
}

/// Checks everything contract 4 says of one refusal.
#[track_caller]
pub(crate) fn assert_refusal(response: &Response, status: u16, reason: &str) {
    let body = response.text();
    assert!(body.contains(reason) && response.status == status, "wanted {status} {reason}, got {response:?}");
    assert_answer_headers(response);
    let json = response.json();
    let object = json.as_object().expect("a refusal is an object");
    let phrase = http::StatusCode::from_u16(status).unwrap().canonical_reason().unwrap();
    assert_eq!(object["error"], phrase, "{body}");
    assert_eq!(object["code"], status, "{body}");
    assert_eq!(object["message"], reason, "{body}");
    for key in object.keys() {
        assert!(["error", "code", "message", "detail"].contains(&key.as_str()), "unknown member {key}: {body}");
    }
    assert_eq!(status == 401, response.header("www-authenticate").is_some(), "WWW-Authenticate: {response:?}");
    if status == 405 {
        assert_eq!(response.header("allow"), Some("POST"), "{response:?}");
    }
    let retry = response.header("retry-after").map(str::parse::<u64>);
    assert_eq!(status == 503, matches!(retry, Some(Ok(_))), "Retry-After: {response:?}");
}

#[track_caller]
fn assert_answer_headers(response: &Response) {
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
}
