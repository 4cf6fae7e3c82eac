//! What is kept of a request that was set aside: its head without credentials, and its body.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use jiff::Timestamp;

use crate::store::Quarantined;

use super::record::Arrival;
use super::source::Source;

/// The reason of a verified request whose id belongs to another body.
pub const ID_CONFLICT: &str = "id_conflict";

/// Headers whose values grant something to whoever reads them. Signatures stay: `explain` needs them, and they
/// verify nothing but this one body.
const CREDENTIALS: [&str; 4] = ["cookie", "proxy-authorization", "x-amz-security-token", "x-api-key"];

/// The entry for a request that is set aside for `reason`.
#[must_use]
pub fn entry(source: &Arc<Source>, head: &Parts, body: Bytes, reason: &str, now: Timestamp) -> Quarantined {
    let arrival = head.extensions.get::<Arrival>();
    Quarantined {
        id: 0,
        source: source.config.name.clone(),
        reason: reason.to_owned(),
        received_at: now,
        request_id: arrival.map(|arrival| arrival.request_id.to_string()).unwrap_or_default(),
        client_ip: arrival.and_then(|arrival| arrival.client.ok()),
        target: format!("{} {}", head.method, head.uri),
        headers: headers(head),
        event_id: None,
        body,
    }
}

/// The header lines as a JSON array of pairs; bytes that are not UTF-8 become replacement characters.
fn headers(head: &Parts) -> String {
    let pairs = head.headers.iter().map(|(name, value)| {
        let granting = CREDENTIALS.contains(&name.as_str())
            || (name == http::header::AUTHORIZATION && !value.as_bytes().starts_with(b"AWS4-"));
        let value = if granting { "[redacted]".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        (name.as_str(), value)
    });
    // Pairs of texts always serialise.
    serde_json::to_string(&pairs.collect::<Vec<_>>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_reach_the_store() {
        let (head, ()) = http::Request::post("/x")
            .header("authorization", "Bearer abc")
            .header("cookie", "abc")
            .header("x-nice-signature", "v1=00")
            .body(())
            .unwrap()
            .into_parts();
        let text = headers(&head);
        assert!(!text.contains("abc"));
        assert!(text.contains(r#"["x-nice-signature","v1=00"]"#));
    }
}
