//! The effective configuration as text for `gatepost check`, in the file's own form, without any secret.

use std::fmt::Write as _;

use super::{Config, IdRule, Source, TypeRule};
use crate::scheme::{self, BodyFormat, Family};
use crate::server::networks::Networks;
use crate::settings::duration;
use crate::settings::redact::REDACTED;

/// Lines of `key = value` in sections.
struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        _ = writeln!(self.0, "{gap}{name}");
    }

    fn bare(&mut self, key: &str, value: impl std::fmt::Display) {
        _ = writeln!(self.0, "{key} = {value}");
    }

    fn quoted(&mut self, key: &str, value: &str) {
        self.bare(key, format_args!("{value:?}"));
    }

    fn maybe(&mut self, key: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.quoted(key, value);
        }
    }

    fn list<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        self.bare(key, format_args!("{values:?}"));
    }
}

impl Config {
    /// The effective configuration in the form of the file, with the variable that a value came from. Secrets are shown
    /// as `[redacted]`, with where they came from; passwords in URLs are left out.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for section in self.sections.iter() {
            section.write(&mut text);
        }
        text + "\n" + &self.describe_outlets()
    }

    /// Sources, sinks and SIEM.
    pub(super) fn describe_outlets(&self) -> String {
        let mut text = Text(String::new());
        for source in &self.live.sources {
            self.describe_source(source, &mut text);
        }
        text.0
    }

    fn describe_source(&self, source: &Source, text: &mut Text) {
        text.section("[[source]]");
        text.quoted("name", source.name.as_str());
        text.quoted("preset", source.preset.name);
        text.quoted("path", &source.path);
        text.bare("allowed_ips", networks(&source.allowed_ips));
        text.bare("body_bytes", source.body_bytes);
        if scheme::has_timestamp(&source.scheme) {
            text.quoted("max_drift", &duration::write(source.max_drift));
            text.bare("stale_status", source.stale_status);
        }
        text.quoted("event_id", &id_rule(&source.event_id));
        text.quoted("event_type", &type_rule(&source.event_type));
        text.list("required_fields", &source.required_fields);
        text.list("content_types", &source.content_types);
        text.quoted("body_format", if source.body_format == BodyFormat::Json { "json" } else { "any" });
        text.list("sinks", &source.sinks.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.describe_scheme(source, text);
    }

    fn describe_scheme(&self, source: &Source, text: &mut Text) {
        let (name, scheme) = (&source.name, &source.scheme);
        if scheme.family == Family::SigV4 {
            text.maybe("region", scheme.region.as_ref());
            text.maybe("service", scheme.service.as_ref());
            if !scheme.unsigned_headers.is_empty() {
                text.list("unsigned_headers", &scheme.unsigned_headers);
            }
            for (index, key) in scheme.keys.iter().enumerate() {
                text.quoted(&format!("keys[{index}].access_key_id"), &key.access_key_id);
                let secret = self.secret(&format!("source.{name}.keys[{index}].secret"));
                text.quoted(&format!("keys[{index}].secret"), &format!("{secret}, key {}", key.name()));
                if key.session_token.is_some() {
                    let label = format!("source.{name}.keys[{index}].session_token");
                    text.quoted(&format!("keys[{index}].session_token"), &self.secret(&label));
                }
            }
            return;
        }
        text.maybe("algorithm", scheme.algorithm.as_ref());
        match scheme.signature_headers.as_slice() {
            [one] => text.quoted("signature_header", one),
            several => text.list("signature_header", several),
        }
        text.maybe("signature_format", scheme.signature_format.as_ref());
        text.maybe("timestamp_header", scheme.timestamp_header.as_ref());
        text.maybe("timestamp_unit", scheme.timestamp_unit.as_ref());
        text.maybe("signed_content", scheme.signed_content.as_ref());
        text.maybe("id_header", scheme.id_header.as_ref());
        text.maybe("secret_encoding", scheme.secret_encoding.as_ref());
        // With what logs and metrics call it, so that a series leads to its secret.
        let secrets = scheme.secrets.iter().enumerate().map(|(index, secret)| {
            format!("{}, key {}", self.secret(&format!("source.{name}.secrets[{index}]")), secret.name())
        });
        text.list("secrets", &secrets.collect::<Vec<_>>());
    }

    fn secret(&self, label: &str) -> String {
        match self.origins.get(label) {
            Some(origin) => format!("{REDACTED} from {origin}"),
            None => REDACTED.to_owned(),
        }
    }
}

fn networks(networks: &Networks) -> String {
    match networks {
        Networks::Any => "\"any\"".to_owned(),
        Networks::List(list) => format!("{:?}", list.iter().map(ToString::to_string).collect::<Vec<_>>()),
    }
}

fn id_rule(rule: &IdRule) -> String {
    match rule {
        IdRule::Pointer(pointer) => pointer.clone(),
        IdRule::Header(header) => format!("header:{header}"),
        IdRule::Digest => "digest".to_owned(),
    }
}

fn type_rule(rule: &TypeRule) -> String {
    match rule {
        TypeRule::Pointer(text) | TypeRule::Literal(text) => text.clone(),
        TypeRule::Header(header) => format!("header:{header}"),
    }
}
