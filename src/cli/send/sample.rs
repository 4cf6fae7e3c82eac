//! Sample events: what each vendor's webhooks look like, fitted to how the source is configured.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::{IdRule, Source, TypeRule};
use crate::scheme::BodyFormat;

/// A content type of `source` that suits `body`: what it looks like decides among those the source takes.
pub(super) fn content_type<'a>(source: &'a Source, body: &[u8]) -> &'a str {
    let suits = |media: &&String| match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => is_json(media),
        Some(b'<') => is_xml(media),
        _ => !is_json(media) && !is_xml(media),
    };
    let types = &source.content_types;
    types.iter().find(suits).or(types.first()).map_or("application/octet-stream", String::as_str)
}

/// A body that `source` accepts, different for every `id`.
pub(super) fn body(source: &Source, id: &str, at: Timestamp) -> Bytes {
    let media = source.content_types.first().map_or("", String::as_str);
    match source.body_format {
        BodyFormat::Any if is_xml(media) => xml(id, at).into(),
        BodyFormat::Any if !is_json(media) && !media.is_empty() => format!("sample event {id} of {at}\n").into(),
        _ => fitted(source, id, at).to_string().into(),
    }
}

fn is_json(media: &str) -> bool {
    media.ends_with("/json") || media.ends_with("+json")
}

fn is_xml(media: &str) -> bool {
    media.ends_with("/xml") || media.ends_with("+xml")
}

/// The vendor's sample, with whatever this source wants besides.
fn fitted(source: &Source, id: &str, at: Timestamp) -> Value {
    let mut value = vendor(source.preset.name, id, at);
    if let TypeRule::Pointer(pointer) = &source.event_type {
        put(&mut value, pointer, "sample.event".into(), false);
    }
    for pointer in &source.required_fields {
        put(&mut value, pointer, "sample".into(), false);
    }
    if let IdRule::Pointer(pointer) = &source.event_id {
        put(&mut value, pointer, id.into(), true);
    }
    value
}

fn vendor(preset: &str, id: &str, at: Timestamp) -> Value {
    match preset {
        "cxone" => json!({
            "eventId": id,
            "eventType": "contact.ended",
            "eventTime": at,
            "tenantId": "11eb0a53-8d4c-4f6e-a0c1-0242ac110002",
            "contact": {
                "contactId": "398276410",
                "mediaType": "voice",
                "direction": "inbound",
                "skill": { "skillId": "4200", "name": "Billing" },
                "agentId": "7301",
                "durationSeconds": 184,
            },
        }),
        "cognigy" => json!({
            "botId": "64f1c0de9b1e8a0012ab34cd",
            "intent": "order.status",
            "sessionId": id,
            "userId": "customer-4711",
            "text": "Where is my order?",
            "language": "en-GB",
            "timestamp": at,
            "data": { "orderNumber": "A-10023", "intentScore": 0.93 },
        }),
        "cognigy-callback" => json!({
            "sessionId": id,
            "userId": "customer-4711",
            "status": "completed",
            "result": { "transferred": false },
        }),
        "nice" => json!({
            "eventId": id,
            "eventType": "interaction.completed",
            "timestamp": at,
            "interaction": { "channel": "chat", "queue": "support", "agent": "j.doe", "csat": 5 },
        }),
        "cxone-expert" => {
            json!({ "event": { "id": id, "type": "page:update", "datetime": at, "page": { "id": 1042 } } })
        }
        "standard-webhooks" => json!({
            "type": "order.created",
            "timestamp": at,
            "data": { "id": id, "total": "42.00", "currency": "EUR" },
        }),
        _ => json!({ "id": id, "type": "sample.event", "timestamp": at }),
    }
}

/// A page event of the knowledge base.
fn xml(id: &str, at: Timestamp) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            "\n",
            r#"<event id="{id}" datetime="{at:.0}" type="page:update" wikiid="site_1" version="2">"#,
            "\n",
            r#"  <page id="1042" path="Billing/Refunds"><uri>https://docs.example.com/Billing/Refunds</uri></page>"#,
            "\n",
            r#"  <user id="7" anonymous="false"/>"#,
            "\n</event>\n"
        ),
        id = id,
        at = at
    )
}

/// Puts `with` where an RFC 6901 pointer points, making the objects on the way; what already holds something stays
/// unless `overwrite`.
fn put(value: &mut Value, pointer: &str, with: Value, overwrite: bool) {
    let mut at = value;
    for token in pointer.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        let name = token.replace("~1", "/").replace("~0", "~");
        at = &mut at[name.as_str()];
    }
    if overwrite || at.is_null() || *at == "" {
        *at = with;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scheme::{self, PRESETS, Preset};
    use crate::secret::Secret;
    use crate::server::networks::Networks;

    /// A source as the preset has it, with development secrets.
    pub(in super::super) fn source(preset: &'static Preset) -> Source {
        let rule = preset.event_id.unwrap_or("/id");
        let event_id = match rule.strip_prefix("header:") {
            Some(header) => IdRule::Header(header.to_owned()),
            None if rule == "digest" => IdRule::Digest,
            None => IdRule::Pointer(rule.to_owned()),
        };
        let kind = preset.event_type.unwrap_or(preset.name);
        let text = |value: Option<&str>| value.map(str::to_owned);
        Source {
            name: preset.name.into(),
            preset,
            path: preset.path.unwrap_or("/webhooks/other").to_owned(),
            allowed_ips: Networks::Any,
            body_bytes: 4096,
            max_drift: Duration::from_secs(300),
            event_id,
            event_type: if kind.starts_with('/') {
                TypeRule::Pointer(kind.into())
            } else {
                TypeRule::Literal(kind.into())
            },
            required_fields: preset.required_fields.iter().map(|&field| field.to_owned()).collect(),
            content_types: preset.content_types.iter().map(|&media| media.to_owned()).collect(),
            body_format: preset.body_format,
            stale_status: preset.stale_status,
            sinks: Vec::new(),
            scheme: scheme::Settings {
                family: preset.family,
                secrets: vec![Secret::new("whsec_c2l4dGVlbi1ieXRlcy1vci1tb3JlLW9mLXNlY3JldA==").unwrap()],
                signature_header: text(preset.signature_header.or(Some("X-Signature"))),
                signature_format: text(preset.signature_format.or(Some("sha256={hex}"))),
                timestamp_header: text(preset.timestamp_header),
                timestamp_unit: text(preset.timestamp_unit),
                signed_content: text(preset.signed_content.or(Some("{body}"))),
                id_header: text(preset.id_header),
                region: Some("eu-west-1".to_owned()),
                service: text(preset.service),
                keys: vec![scheme::AccessKey {
                    access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                    secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap(),
                    session_token: None,
                }],
            },
        }
    }

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn every_presets_sample_has_what_the_preset_wants_and_differs_by_id() {
        for preset in &PRESETS {
            let source = source(preset);
            let sample = body(&source, "id-1", AT);
            assert_ne!(sample, body(&source, "id-2", AT), "{}", preset.name);
            if preset.body_format == BodyFormat::Json {
                let value: Value = serde_json::from_slice(&sample).unwrap();
                for pointer in preset.required_fields {
                    assert!(
                        value.pointer(pointer).is_some_and(|field| field.as_str().is_some_and(|text| !text.is_empty()))
                    );
                }
                if let IdRule::Pointer(pointer) = &source.event_id {
                    assert_eq!(value.pointer(pointer), Some(&"id-1".into()), "{}", preset.name);
                }
            }
        }
    }

    #[test]
    fn fields_the_operator_requires_are_there() {
        let mut source = source(scheme::preset("hmac").unwrap());
        source.required_fields = vec!["/order/no~1x".to_owned(), "/id/deep".to_owned()];
        source.event_id = IdRule::Pointer("/meta/id".to_owned());
        let value: Value = serde_json::from_slice(&body(&source, "7", AT)).unwrap();
        assert_eq!(value["order"]["no/x"], "sample");
        assert_eq!(value["id"]["deep"], "sample");
        assert_eq!(value["meta"]["id"], "7");
    }

    #[test]
    fn the_content_type_follows_the_body() {
        let expert = source(scheme::preset("cxone-expert").unwrap());
        assert_eq!(content_type(&expert, &body(&expert, "1", AT)), "text/xml");
        assert_eq!(content_type(&expert, b" {}"), "application/json");
        let nice = source(scheme::preset("nice").unwrap());
        assert_eq!(content_type(&nice, b"<a/>"), "application/json");
    }

    #[test]
    fn other_media_get_text() {
        let mut source = source(scheme::preset("hmac").unwrap());
        source.body_format = BodyFormat::Any;
        source.content_types = vec!["text/plain".to_owned()];
        assert!(body(&source, "7", AT).starts_with(b"sample event 7"));
        assert_eq!(content_type(&source, b"x"), "text/plain");
    }
}
