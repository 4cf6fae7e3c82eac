//! Sample events: what a vendor's webhooks look like, by its preset, fitted to how the source is configured.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ingress::{IdRule, SourceSettings as Source, TypeRule};
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
        BodyFormat::Any if is_xml(media) => filled(source.preset.sample.xml, id, at).into(),
        BodyFormat::Any if !is_json(media) && !media.is_empty() => format!("sample event {id} of {at}\n").into(),
        BodyFormat::Any | BodyFormat::Json => fitted(source, id, at).to_string().into(),
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
    // What a row holds is JSON: a test reads every row.
    let mut value = serde_json::from_str(&filled(source.preset.sample.json, id, at)).unwrap_or_else(|_| json!({}));
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

/// `sample` with its id and its time.
fn filled(sample: &str, id: &str, at: Timestamp) -> String {
    sample.replace("{id}", id).replace("{at}", &format!("{at:.0}"))
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
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::scheme::{self, Preset, presets};

    /// The source of `config/dev.toml` with this preset, taking small bodies only.
    pub(in super::super) fn source(preset: &Preset) -> Source {
        let config = config::load(Some(Path::new("config/dev.toml")), &BTreeMap::new()).unwrap();
        let of_preset = |source: &Source| source.preset.name == preset.name;
        let source = config.live.sources.into_iter().find(of_preset);
        Source { body_bytes: 4096, ..source.unwrap_or_else(|| other(preset)) }
    }

    /// A source of a preset that `config/dev.toml` leaves out: those that need a client certificate, which nobody has for
    /// development, and vendors beside whom others sign in the same way.
    fn other(preset: &Preset) -> Source {
        let verifier = match preset.scheme.scheme() {
            "HMAC" => "secrets = [{ value = '00112233445566778899aabbccddeeff' }]",
            _ => "client_certificates = [{ san = 'dns:sender.example' }]",
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "[tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_ca_file = 'ca'\n[[source]]\nname = 'other'\npreset = '{preset}'\n\
             path = '/other'\nallowed_ips = ['127.0.0.1']\n{verifier}\n"
        );
        std::fs::write(&file, text).unwrap();
        let config = config::load(Some(file.path()), &BTreeMap::new()).unwrap_or_else(|errors| panic!("{errors}"));
        config.live.sources.into_iter().next().unwrap()
    }

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn every_presets_sample_has_what_the_preset_wants_and_differs_by_id() {
        for preset in presets() {
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
