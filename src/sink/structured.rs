//! An event as one JSON object: the structured mode of `CloudEvents` 1.0, for sinks that carry a text and `http` where it is told so.
//!
//! Source: `CloudEvents` 1.0.2 JSON format.

use serde::Serialize;
use serde_json::value::RawValue;

use super::cloudevent::{headers, id, source};
use crate::event::Event;

/// The whole event as one JSON object: `data` as it came where it is JSON, else `data_base64` (JSON format 3.1).
///
/// # Errors
/// None that is known; serialising texts and bytes does not fail.
pub(super) fn structured(event: &Event) -> Result<String, serde_json::Error> {
    let body = event.payload.bytes();
    let data = if is_json(&event.content_type) { raw_json(body) } else { None };
    serde_json::to_string(&Structured {
        specversion: "1.0",
        id: id(event),
        source: source(event),
        kind: &event.kind,
        time: event.received_at.to_string(),
        datacontenttype: &event.content_type,
        traceparent: event.traceparent.as_deref(),
        gatepostkey: &event.key,
        gatepostheaders: headers(event)?,
        data,
        data_base64: data.is_none().then(|| base64(body)),
    })
}

#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: &'a str,
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    datacontenttype: &'a str,
    // The distributed tracing extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    /// See [`super::cloudevent::KEY`].
    #[serde(skip_serializing_if = "str::is_empty")]
    gatepostkey: &'a str,
    /// See [`headers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    gatepostheaders: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// Whether a media type says JSON: `application/json`, `text/json` or anything with the suffix `+json`.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media_type.as_str(), "application/json" | "text/json") || media_type.ends_with("+json")
}

/// The body as it stands, where it is JSON that queues take: SQS refuses U+FFFE and U+FFFF in a message.
fn raw_json(body: &[u8]) -> Option<&RawValue> {
    let text = std::str::from_utf8(body).ok()?;
    if text.contains(['\u{fffe}', '\u{ffff}', '\u{7f}']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::cloudevent::tests::event;
    use super::*;
    use crate::event::Payload;

    #[test]
    fn json_data_stands_in_the_structured_form_as_it_came() {
        let text = structured(&event("e 1", br#"{ "n": 1.0,  "big": 12345678901234567890123 }"#)).unwrap();
        assert!(text.contains(r#""data":{ "n": 1.0,  "big": 12345678901234567890123 }"#), "{text}");
        assert!(text.contains(r#""id":"bot-a:e 1""#), "{text}");
        assert!(
            text.contains(r#""source":"/gatepost/bot-a","type":"order.created","time":"2026-01-02T03:04:05.678Z""#)
        );
        assert!(text.contains(r#""datacontenttype":"application/json; charset=utf-8","traceparent":"00-"#));
        assert!(!text.contains("data_base64"));
    }

    #[test]
    fn what_is_not_json_goes_as_base64() {
        for (content_type, body) in [
            ("text/xml", &b"<a/>"[..]),
            ("application/json", b"\xff"),
            ("application/json", b"{"),
            ("application/json", "{\"a\":\"\u{ffff}\"}".as_bytes()),
        ] {
            let mut event = event("e", b"");
            event.content_type = content_type.into();
            event.payload = Payload::from(Bytes::from_static(body));
            let value: serde_json::Value = serde_json::from_str(&structured(&event).unwrap()).unwrap();
            assert_eq!(value["data_base64"], base64(body));
            assert!(value.get("data").is_none());
        }
    }
}
