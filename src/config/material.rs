//! What verifies a source: the part of its keys that its scheme is built from.

use super::enabled::Material;
use super::section::Section;
use super::source::spelled_out;
use super::syntax;
use crate::event::Name;
use crate::scheme::{AccessKey, Family, Preset, Settings};
use crate::secret::Secret;
use crate::settings::Diagnostics;
use crate::settings::Labelled;

/// Keys that only sources with an HMAC signature have.
const HMAC: [&str; 9] = [
    "secrets",
    "secret_encoding",
    "algorithm",
    "signature_header",
    "signature_format",
    "timestamp_header",
    "timestamp_unit",
    "signed_content",
    "id_header",
];
/// Keys that only sources with an AWS signature have.
const SIGV4: [&str; 4] = ["region", "service", "keys", "unsigned_headers"];

/// What the scheme of source `name` is built from; `over` replaces its key material.
pub(super) fn settings(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    diagnostics: &mut Diagnostics,
) -> Settings {
    match preset.family {
        Family::Hmac => hmac(section, preset, name, over, diagnostics),
        Family::SigV4 => sigv4(section, preset, name, over, diagnostics),
    }
}

fn hmac(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    diagnostics: &mut Diagnostics,
) -> Settings {
    let why = format!("makes no sense with preset {}, which is signed with HMAC and not with AWS SigV4", preset.name);
    section.misplaced(&SIGV4, &why);
    for (key, default) in [
        ("signature_header", preset.signature_header),
        ("signature_format", preset.signature_format),
        ("signed_content", preset.signed_content),
    ] {
        if default.is_none() {
            section.require(key, &spelled_out(preset));
        }
    }
    let owned = |default: Option<&str>| default.map(str::to_owned);
    let format = section.string("signature_format");
    // A format that brings the time itself replaces the preset's header for it.
    let moved = holds_timestamp(format.as_deref());
    let timestamp_header = preset.timestamp_header.filter(|_| !moved);
    let given_header = section.string("timestamp_header");
    let timed = given_header.is_some()
        || timestamp_header.is_some()
        || holds_timestamp(format.as_deref().or(preset.signature_format));
    // The preset's unit goes with the preset's timestamp.
    let unit = preset.timestamp_unit.filter(|_| timed);
    let defaults = Settings::of(preset);
    Settings {
        secrets: secrets(section, name, over, diagnostics),
        secret_encoding: section.string("secret_encoding"),
        algorithm: section.string("algorithm"),
        signature_headers: signature_headers(section).unwrap_or(defaults.signature_headers),
        signature_format: format.or(owned(preset.signature_format)),
        timestamp_header: given_header.or(owned(timestamp_header)),
        timestamp_unit: section.string("timestamp_unit").or(owned(unit)),
        signed_content: section.string("signed_content").or(owned(preset.signed_content)),
        id_header: section.string("id_header").or(defaults.id_header),
        ..Settings::of(preset)
    }
}

/// The header that carries the signature, or a list of them.
fn signature_headers(section: &mut Section) -> Option<Vec<String>> {
    const KEY: &str = "signature_header";
    let names = section.string_or_strings(KEY)?;
    if names.is_empty() {
        section.fault(KEY, "is empty: name the header that carries the signature");
    }
    Some(names)
}

fn holds_timestamp(format: Option<&str>) -> bool {
    format.is_some_and(|format| format.contains("{timestamp}"))
}

fn secrets(section: &mut Section, name: &Name, over: Option<Material>, diagnostics: &mut Diagnostics) -> Vec<Secret> {
    let given = section.holds("secrets");
    // Taken even when the environment replaces it, so that its form is checked.
    let references = section.secrets("secrets").unwrap_or_default();
    let mut found = Vec::new();
    match over {
        Some(Material::Secrets(secrets)) => found = secrets,
        Some(Material::AccessKey(..)) => {}
        None => {
            if !given {
                section.fault("secrets", "is missing: name at least one, [{ file = \"/run/secrets/name\" }]");
            }
            for Labelled { at, reference, label } in references {
                if let Some(mut raw) = diagnostics.resolve(&at, reference) {
                    let secret = diagnostics.mac_key(&at, &mut raw);
                    found.extend(secret.map(|secret| (secret.labelled(label), raw.origin)));
                }
            }
        }
    }
    let names = found.iter().map(|(secret, _)| (secret.label(), secret)).collect::<Vec<_>>();
    tell_apart(section, "secrets", name, &names, diagnostics);
    for (index, (_, origin)) in found.iter().enumerate() {
        diagnostics.origins.insert(format!("source.{name}.secrets[{index}]"), origin.clone());
    }
    found.into_iter().map(|(secret, _)| secret).collect()
}

/// A label that stands twice names no key, and a secret that stands twice can be taken away only once.
fn tell_apart(
    section: &mut Section,
    key: &str,
    source: &Name,
    secrets: &[(Option<&str>, &Secret)],
    diagnostics: &mut Diagnostics,
) {
    for (index, (label, secret)) in secrets.iter().enumerate() {
        let earlier = || secrets.iter().take(index);
        if let Some(label) = label.filter(|label| earlier().any(|(other, _)| *other == Some(*label))) {
            section
                .fault(key, format!("two of them have the label {label}: logs and metrics could not tell them apart"));
        } else if let Some(same) = earlier().position(|(_, other)| secret.same_as(other)) {
            diagnostics.warn(format!("source {source}: {key}[{index}] is the same secret as {key}[{same}]"));
        }
    }
}

fn sigv4(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    diagnostics: &mut Diagnostics,
) -> Settings {
    let why = format!("makes no sense with preset {}, whose AWS SigV4 signature says how it is made", preset.name);
    section.misplaced(&HMAC, &why);
    let (region, service) = (section.string("region"), section.string("service"));
    let entries = section.holds("keys").then(|| section.tables("keys"));
    let unsigned_headers = section.parse_list("unsigned_headers", syntax::header_name).unwrap_or_default();
    let defaults = Settings::of(preset);
    let mut settings =
        Settings { service: service.or(defaults.service), region, unsigned_headers, ..Settings::of(preset) };
    if let Some(Material::AccessKey(key, region)) = over {
        // Unread, but their form is nobody's business any more than their content: the environment replaces them.
        settings.region = region;
        if let Some((key, origin)) = key {
            diagnostics.origins.insert(format!("source.{name}.keys[0].secret"), origin);
            settings.keys.push(key);
        }
        return settings;
    }
    if settings.region.is_none() && !section.faulted("region") {
        section.fault("region", "is missing: the AWS region that the sender signs for, such as \"eu-west-1\"");
    }
    match entries {
        None => section
            .fault("keys", "is missing: [{ access_key_id = \"AKIA…\", secret = { file = \"/run/secrets/name\" } }]"),
        Some(entries) if entries.is_empty() && !section.faulted("keys") => {
            section.fault("keys", "is empty: name at least one access key");
        }
        Some(entries) => {
            for (index, mut entry) in entries.into_iter().enumerate() {
                let label = format!("source.{name}.keys[{index}]");
                settings.keys.extend(access_key(&mut entry, &label, diagnostics));
                entry.finish(&mut diagnostics.errors);
            }
            let labels = settings.keys.iter().map(|key| (key.secret.label(), &key.secret)).collect::<Vec<_>>();
            tell_apart(section, "keys", name, &labels, diagnostics);
        }
    }
    settings
}

fn access_key(entry: &mut Section, label: &str, diagnostics: &mut Diagnostics) -> Option<AccessKey> {
    entry.require("access_key_id", "is missing");
    entry.require("secret", "is missing: { env = \"NAME\" } or { file = \"/path\" }");
    let access_key_id = entry.string("access_key_id");
    let (secret, token) = (entry.labelled_secret("secret"), entry.secret("session_token"));
    let token_at = entry.at("session_token");
    let secret = secret.and_then(|Labelled { at, reference, label: name }| {
        let mut raw = diagnostics.resolve(&at, reference)?;
        let secret = diagnostics.mac_key(&at, &mut raw)?;
        diagnostics.origins.insert(format!("{label}.secret"), raw.origin);
        Some(secret.labelled(name))
    });
    let wants_token = token.is_some();
    let session_token = token.and_then(|reference| diagnostics.resolve(&token_at, reference)).and_then(|mut raw| {
        let token = diagnostics.bearer(&token_at, &mut raw)?;
        diagnostics.origins.insert(format!("{label}.session_token"), raw.origin);
        Some(token)
    });
    // A key whose token is faulty must not become a key that needs none.
    if wants_token && session_token.is_none() {
        return None;
    }
    Some(AccessKey { access_key_id: access_key_id?, secret: secret?, session_token })
}
