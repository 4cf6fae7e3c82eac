//! HMAC schemes: which of the variants that senders use fits the configured secrets. Says what fits, never the MAC.

use std::borrow::Cow;

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::config::Source;

use super::request::Specimen;

/// What the sender may have signed, as `signed_content` spells it.
const CONTENTS: [&str; 6] = [
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}{body}",
    "{timestamp}:{body}",
    "{id}.{timestamp}.{body}",
    "{id}.{body}",
];

/// A MAC that the request brought: where it stood, and how.
struct Brought {
    header: String,
    /// The header's value with the MAC, and a timestamp beside it, replaced by placeholders.
    format: String,
    mac: [u8; 32],
    /// A timestamp in the same header.
    timestamp: Option<String>,
}

/// A text that may stand for `{timestamp}` or `{id}`, and the header it stands in.
#[derive(Clone)]
struct Text {
    header: Option<String>,
    value: String,
}

/// What could explain a mismatch, and the lines of configuration that would accept the request.
pub(super) fn causes(source: &Source, specimen: &Specimen) -> Vec<String> {
    let brought = brought(specimen);
    if brought.is_empty() {
        return vec![
            "no header holds the 32 bytes of an HMAC-SHA256, in hex or base64: another algorithm, or cut off"
                .to_owned(),
        ];
    }
    for mac in &brought {
        for (position, (key, decoded)) in keys(source).iter().enumerate() {
            for (body, mistake) in bodies(&specimen.body) {
                if let Some(found) = fitting(mac, key, &body, specimen) {
                    return said(mac, position, *decoded, mistake, &found);
                }
            }
        }
    }
    vec![
        "none of the known variants fits any configured secret, so most likely the secret differs, or a proxy changed the body".to_owned(),
        format!("tried: {} in hex and base64, bodies re-serialised and with line ends, secrets decoded", CONTENTS.join(", ")),
    ]
}

/// What fitted: the content, with the texts that stood for its placeholders.
struct Found {
    content: &'static str,
    timestamp: Option<Text>,
    id: Option<Text>,
}

fn fitting(mac: &Brought, key: &[u8], body: &[u8], specimen: &Specimen) -> Option<Found> {
    let mut timestamps = texts(specimen, |name| name.contains("timestamp") || name.ends_with("-time"));
    timestamps.extend(mac.timestamp.clone().map(|value| Text { header: None, value }));
    let ids = texts(specimen, |name| name.ends_with("-id") || name.ends_with("-delivery"));
    for content in CONTENTS {
        for timestamp in choices(&timestamps, content.contains("{timestamp}")) {
            for id in choices(&ids, content.contains("{id}")) {
                if mac.mac.ct_eq(&compute(key, content, body, timestamp.as_ref(), id.as_ref())).into() {
                    return Some(Found { content, timestamp, id });
                }
            }
        }
    }
    None
}

/// Each text, or nothing once where none is wanted.
fn choices(texts: &[Text], wanted: bool) -> Vec<Option<Text>> {
    if wanted { texts.iter().cloned().map(Some).collect() } else { vec![None] }
}

fn compute(key: &[u8], content: &str, body: &[u8], timestamp: Option<&Text>, id: Option<&Text>) -> [u8; 32] {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    let text = |text: Option<&Text>| text.map_or_else(String::new, |text| text.value.clone());
    let head = content.replace("{timestamp}", &text(timestamp)).replace("{id}", &text(id));
    mac.update(head.strip_suffix("{body}").unwrap_or(&head).as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn said(mac: &Brought, key: usize, decoded: Decoded, mistake: Option<&str>, found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    match (mistake, decoded) {
        (Some(mistake), _) => lines.push(format!("the sender's mistake: {mistake}")),
        (None, Decoded::No) => lines.push("the secret is right, and these lines would accept the request:".to_owned()),
        (None, Decoded::Base64) => lines.push("the sender decodes the secret from base64 before it signs; configured as the decoded bytes (in a file), these lines would accept the request:".to_owned()),
        (None, Decoded::Hex) => lines.push("the sender decodes the secret from hex before it signs; configured as the decoded bytes (in a file), these lines would accept the request:".to_owned()),
    }
    if mistake.is_some() {
        lines.push("no configuration accepts that; with the body signed as sent, it would be:".to_owned());
    }
    lines.push(format!("    signature_header = {:?}", mac.header));
    lines.push(format!("    signature_format = {:?}", mac.format));
    if let Some(timestamp) = &found.timestamp {
        if let Some(header) = &timestamp.header {
            lines.push(format!("    timestamp_header = {header:?}"));
        }
        let digits = timestamp.value.bytes().all(|byte| byte.is_ascii_digit());
        let unit = if !digits {
            "rfc3339"
        } else if timestamp.value.len() >= 13 {
            "ms"
        } else {
            "s"
        };
        lines.push(format!("    timestamp_unit = {unit:?}"));
    }
    lines.push(format!("    signed_content = {:?}", found.content));
    if let Some(header) = found.id.as_ref().and_then(|id| id.header.as_ref()) {
        lines.push(format!("    id_header = {header:?}"));
    }
    lines.push(format!("(it fits the secret at position {})", key / KEY_FORMS));
    lines
}

/// How a secret became a key.
#[derive(Clone, Copy)]
enum Decoded {
    No,
    Base64,
    Hex,
}

/// How many forms of each secret are tried.
const KEY_FORMS: usize = 3;

/// [`KEY_FORMS`] keys for each secret; a form that does not apply is the secret itself again.
fn keys(source: &Source) -> Vec<(zeroize::Zeroizing<Vec<u8>>, Decoded)> {
    let forms = source.scheme.secrets.iter().flat_map(|secret| {
        let plain = secret.expose();
        let text = plain.strip_prefix(b"whsec_").unwrap_or(plain);
        let base64 = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok().filter(|key| !key.is_empty());
        let hex = hex::decode(plain).ok().filter(|key| !key.is_empty());
        let form = |decoded: Option<Vec<u8>>, how| decoded.map_or((plain.to_vec(), Decoded::No), |key| (key, how));
        [(plain.to_vec(), Decoded::No), form(base64, Decoded::Base64), form(hex, Decoded::Hex)]
    });
    forms.map(|(key, how)| (zeroize::Zeroizing::new(key), how)).collect()
}

/// The body as it came, then as a sender may have signed it instead, with the mistake in words.
fn bodies(body: &[u8]) -> Vec<(Cow<'_, [u8]>, Option<&'static str>)> {
    let mut bodies = vec![(Cow::Borrowed(body), None)];
    for (end, words) in [
        (&b"\n"[..], "it signed the body with a line end that it did not send"),
        (b"\r\n", "it signed the body with a line end (CRLF) that it did not send"),
    ] {
        bodies.push((Cow::Owned([body, end].concat()), Some(words)));
    }
    if let Some(trimmed) = Some(body.trim_ascii()).filter(|trimmed| trimmed.len() < body.len()) {
        bodies
            .push((Cow::Borrowed(trimmed), Some("it signed the body without the white space around it that it sent")));
    }
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        // Compact and sorted fall together where the map keeps its names sorted; both are tried by their text.
        let texts =
            [serde_json::to_vec(&sorted(&value)), serde_json::to_vec_pretty(&sorted(&value)), Ok(compact(body))];
        for text in texts.into_iter().flatten().filter(|text| text != body) {
            bodies.push((
                Cow::Owned(text),
                Some("it signed the JSON in another form (compact, indented or with sorted names) than it sent"),
            ));
        }
    }
    bodies
}

/// The same value with the names of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            names.into_iter().map(|name| (name.clone(), sorted(&members[name]))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The same JSON without the white space between its parts, names in their order.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escaped) = (false, false);
    let kept = json.iter().copied().filter(|&byte| {
        let inside = quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        inside || !byte.is_ascii_whitespace()
    });
    kept.collect()
}

fn texts(specimen: &Specimen, fits: impl Fn(&str) -> bool) -> Vec<Text> {
    let names = specimen.names().filter(|name| fits(name));
    names
        .filter_map(|name| Some(Text { header: Some(name.to_owned()), value: specimen.header(name)?.to_owned() }))
        .collect()
}

/// Every MAC in every header: runs of hex or base64 digits that decode to 32 bytes.
fn brought(specimen: &Specimen) -> Vec<Brought> {
    let mut brought = Vec::new();
    for name in specimen.names() {
        let value = specimen.header(name).unwrap_or_default();
        // A list of signatures (`v1,… v1,…`) is one format for each item.
        for item in value.split_ascii_whitespace() {
            let timestamp = item.split([',', ';']).find_map(|part| part.strip_prefix("t=")).map(str::to_owned);
            for token in tokens(item) {
                let Some((mac, placeholder)) = decode(token) else { continue };
                let mut format = item.replacen(token, placeholder, 1);
                if let Some(timestamp) = &timestamp {
                    format = format.replacen(timestamp.as_str(), "{timestamp}", 1);
                }
                brought.push(Brought { header: name.to_owned(), format, mac, timestamp: timestamp.clone() });
            }
        }
    }
    brought
}

/// What may be a MAC in `item`: itself, each part of a list, and what stands behind the first `=` of each.
fn tokens(item: &str) -> Vec<&str> {
    let parts = std::iter::once(item).chain(item.split([',', ';']));
    let mut tokens: Vec<&str> =
        parts.flat_map(|part| [Some(part), part.split_once('=').map(|(_, value)| value)]).flatten().collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}

fn decode(token: &str) -> Option<([u8; 32], &'static str)> {
    let exactly = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).ok();
    if let Some(mac) = hex::decode(token).ok().and_then(exactly) {
        return Some((mac, "{hex}"));
    }
    let base64 = [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD];
    base64.iter().find_map(|engine| engine.decode(token).ok().and_then(exactly)).map(|mac| (mac, "{base64}"))
}
