//! What verifies a source: the part of its keys that its scheme is built from.

use super::enabled::Material;
use super::findings::Findings;
use super::section::Section;
use super::source::spelled_out;
use crate::event::Name;
use crate::scheme::{AccessKey, Family, Preset, Settings};
use crate::secret::Secret;

/// Keys that only sources with an HMAC signature have.
const HMAC: [&str; 7] = [
    "secrets",
    "signature_header",
    "signature_format",
    "timestamp_header",
    "timestamp_unit",
    "signed_content",
    "id_header",
];
/// Keys that only sources with an AWS signature have.
const SIGV4: [&str; 3] = ["region", "service", "keys"];

/// What the scheme of source `name` is built from; `over` replaces its key material.
pub fn settings(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    findings: &mut Findings,
) -> Settings {
    let blank = Settings {
        family: preset.family,
        secrets: Vec::new(),
        signature_header: None,
        signature_format: None,
        timestamp_header: None,
        timestamp_unit: None,
        signed_content: None,
        id_header: None,
        region: None,
        service: None,
        keys: Vec::new(),
    };
    match preset.family {
        Family::Hmac => hmac(section, preset, name, over, findings, blank),
        Family::SigV4 => sigv4(section, preset, name, over, findings, blank),
    }
}

fn hmac(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    findings: &mut Findings,
    blank: Settings,
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
    Settings {
        secrets: secrets(section, name, over, findings),
        signature_header: section.string("signature_header").or(owned(preset.signature_header)),
        signature_format: format.or(owned(preset.signature_format)),
        timestamp_header: given_header.or(owned(timestamp_header)),
        timestamp_unit: section.string("timestamp_unit").or(owned(unit)),
        signed_content: section.string("signed_content").or(owned(preset.signed_content)),
        id_header: section.string("id_header").or(owned(preset.id_header)),
        ..blank
    }
}

fn holds_timestamp(format: Option<&str>) -> bool {
    format.is_some_and(|format| format.contains("{timestamp}"))
}

fn secrets(section: &mut Section, name: &Name, over: Option<Material>, findings: &mut Findings) -> Vec<Secret> {
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
            for (at, reference) in references {
                if let Some(mut raw) = findings.resolve(&at, reference) {
                    let secret = findings.key(&at, &mut raw);
                    found.extend(secret.map(|secret| (secret, raw.origin)));
                }
            }
        }
    }
    for (index, (_, origin)) in found.iter().enumerate() {
        findings.origins.insert(format!("source.{name}.secrets[{index}]"), origin.clone());
    }
    found.into_iter().map(|(secret, _)| secret).collect()
}

fn sigv4(
    section: &mut Section,
    preset: &Preset,
    name: &Name,
    over: Option<Material>,
    findings: &mut Findings,
    blank: Settings,
) -> Settings {
    let why = format!("makes no sense with preset {}, whose AWS SigV4 signature says how it is made", preset.name);
    section.misplaced(&HMAC, &why);
    let (region, service) = (section.string("region"), section.string("service"));
    let entries = section.holds("keys").then(|| section.tables("keys"));
    let mut settings = Settings { service: service.or(preset.service.map(str::to_owned)), region, ..blank };
    if let Some(Material::AccessKey(key, region)) = over {
        // Unread, but their form is nobody's business any more than their content: the environment replaces them.
        settings.region = region;
        if let Some((key, origin)) = key {
            findings.origins.insert(format!("source.{name}.keys[0].secret"), origin);
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
                settings.keys.extend(access_key(&mut entry, &label, findings));
                entry.finish(&mut findings.faults);
            }
        }
    }
    settings
}

fn access_key(entry: &mut Section, label: &str, findings: &mut Findings) -> Option<AccessKey> {
    entry.require("access_key_id", "is missing");
    entry.require("secret", "is missing: { env = \"NAME\" } or { file = \"/path\" }");
    let access_key_id = entry.string("access_key_id");
    let (secret, token) = (entry.secret("secret"), entry.secret("session_token"));
    let (secret_at, token_at) = (entry.at("secret"), entry.at("session_token"));
    let secret = secret.and_then(|reference| findings.resolve(&secret_at, reference)).and_then(|mut raw| {
        let secret = findings.key(&secret_at, &mut raw)?;
        findings.origins.insert(format!("{label}.secret"), raw.origin);
        Some(secret)
    });
    let wants_token = token.is_some();
    let session_token = token.and_then(|reference| findings.resolve(&token_at, reference)).and_then(|mut raw| {
        let token = findings.bearer(&token_at, &mut raw)?;
        findings.origins.insert(format!("{label}.session_token"), raw.origin);
        Some(token)
    });
    // A key whose token is faulty must not become a key that needs none.
    if wants_token && session_token.is_none() {
        return None;
    }
    Some(AccessKey { access_key_id: access_key_id?, secret: secret?, session_token })
}
