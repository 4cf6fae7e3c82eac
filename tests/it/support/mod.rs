//! What tests share: a running program, raw clients and independent signers, which know only the contract, and what the
//! tests of sinks and dispatch stand on, a scripted upstream and a store in memory.

pub mod certs;
pub mod crowd;
pub mod daemon;
pub mod dispatch_memory;
pub mod http2;
pub mod proxy;
pub mod scrape;
pub mod setup;
pub mod sign;
pub mod sink_upstream;
pub mod wire;

pub use daemon::{Daemon, eventually};
pub use setup::Setup;
pub use sign::{Signer, now, unique};
pub use wire::{Conn, Request, Response};

use serde_json::{Value, json};

/// Stands in every body that tests send; a log line that holds it has leaked a body.
pub const MARKER: &str = "b0dy-marker-that-no-log-line-may-hold";

/// The body of an event with `id` at `/eventId`.
pub fn event(id: &str) -> Vec<u8> {
    json!({ "eventId": id, "eventType": "case.created", "intent": "book", "note": MARKER }).to_string().into_bytes()
}

/// The body of an event that differs from every other one, with no id of its own.
pub fn nameless() -> Vec<u8> {
    json!({ "nonce": unique(), "intent": "book", "note": MARKER }).to_string().into_bytes()
}

/// The body of a valid `cognigy-callback`.
pub fn callback() -> Vec<u8> {
    json!({ "sessionId": unique(), "userId": "u-1", "note": MARKER }).to_string().into_bytes()
}

/// The id an event has when it brings none.
pub fn digest_id(body: &[u8]) -> String {
    use sha2::Digest as _;
    format!("sha256:{}", hex::encode(sha2::Sha256::digest(body)))
}

/// Checks a 200 and gives its JSON.
#[track_caller]
pub fn accepted(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_answer_headers(response);
    response.json()
}

/// Checks everything contract 4 says of one refusal.
#[track_caller]
pub fn assert_refusal(response: &Response, status: u16, reason: &str) {
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
