//! An event as `CloudEvents` 1.0, for every sink: its attributes and their header form.
//!
//! Knows no transport. Source: `CloudEvents` 1.0.2 core and HTTP protocol binding.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::event::Event;

/// `id`: `<source>:<event id>`, unique over all sources.
#[must_use]
pub(super) fn id(event: &Event) -> String {
    [event.source.as_str(), ":", event.id.as_str()].concat()
}

/// The header of the extension attribute that names the key by which the event was verified: its label, fingerprint or access key
/// id. Letters and digits alone behind the prefix, as attribute names are (core 3.1).
pub(super) const KEY: &str = "ce-gatepostkey";

/// The extension attribute of the structured form that holds the headers which the sender's source keeps: the text of a
/// JSON array of pairs of name and value. Attributes are texts, and names of theirs have no `-` (core 3.1).
pub(super) fn headers(event: &Event) -> Result<Option<String>, serde_json::Error> {
    if event.headers.stored().is_none() {
        return Ok(None);
    }
    let json = serde_json::to_string(&event.headers)?;
    // Control characters and noncharacters may stand in no attribute (core 3.1, String), nor in a message of SQS.
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            let _ = c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(text, "\\u{unit:04x}"));
        }
    }
    Ok(Some(text))
}

/// The required attributes, `time` and [`KEY`], each as a header (HTTP binding 3.1.3), values in header form ([`header_value`]).
pub(super) fn attributes(event: &Event) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let always = [
        ("ce-specversion", "1.0".into()),
        ("ce-id", header_value(id(event))),
        ("ce-source", header_value(source(event))),
        ("ce-type", header_value(&event.kind)),
        ("ce-time", event.received_at.to_string().into()),
    ];
    let key = (!event.key.is_empty()).then(|| (KEY, header_value(&event.key)));
    always.into_iter().chain(key)
}

/// A value as a header carries it (HTTP binding 3.1.3.2): blank, `"`, `%` and all that is not printable ASCII become
/// `%XX` of its UTF-8 bytes, so that two different values never look the same.
#[must_use]
pub(super) fn header_value<'v>(value: impl Into<Cow<'v, str>>) -> Cow<'v, str> {
    let value = value.into();
    let stands = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'%');
    // All of them, not up to the first that does not: many are looked at together.
    if value.bytes().fold(true, |all, byte| all & stands(byte)) {
        return value;
    }
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if stands(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
    }
    encoded.into()
}

/// `source`: `/gatepost/<source>`.
#[must_use]
pub(super) fn source(event: &Event) -> String {
    ["/gatepost/", event.source.as_str()].concat()
}

#[cfg(test)]
pub(super) mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::{EventId, KeptHeaders, Payload};
    use crate::sink::Attempt;

    pub(in crate::sink) fn event(id: &str, body: &'static [u8]) -> Event {
        Event {
            source: "bot-a".into(),
            id: EventId::new(id).unwrap(),
            kind: "order.created".into(),
            received_at: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            content_type: "application/json; charset=utf-8".into(),
            payload: Payload::from(Bytes::from_static(body)),
            key: "0".into(),
            request_id: "r1".into(),
            client_ip: None,
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            headers: KeptHeaders::default(),
        }
    }

    #[test]
    fn a_replay_is_told_from_the_event_and_from_every_other_event() {
        let dedupe_id = |id, replay| Attempt { number: 1, replay }.dedupe_id(&event(id, b""));
        assert_eq!(dedupe_id("e", 0), "bot-a:e");
        assert_eq!(dedupe_id("e", 1), "bot-a:e#1");
        assert_eq!(dedupe_id("e", 12), "bot-a:e#12");
        assert_eq!(dedupe_id("e#x", 0), "bot-a:e#x");
        let mut all = std::collections::HashSet::new();
        for id in ["e", "e#", "e#0", "e#1", "e#1#1", "e#01", "#1", "e##1"] {
            for replay in 0..3 {
                assert!(all.insert(dedupe_id(id, replay)), "{id} {replay}");
            }
        }
    }

    #[test]
    fn header_values_are_encoded_as_the_http_binding_says() {
        assert_eq!(header_value("bot-a:e-1/2?x=~"), "bot-a:e-1/2?x=~");
        assert_eq!(header_value("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(header_value("a\"b%20"), "a%22b%2520");
        assert_ne!(header_value("a "), header_value("a%20"));
    }
}
