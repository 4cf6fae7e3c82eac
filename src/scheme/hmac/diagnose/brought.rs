//! The MACs that a request brought, wherever they stand: every run of hex or base64 digits as long as a MAC.

use http::{HeaderMap, HeaderName};

use crate::scheme::hmac::spelled::Spelled;
use crate::scheme::mac::{Algorithm, Mac};

/// MACs of one request that are looked at.
const MAX_MACS: usize = 32;

/// The longest header value that is looked at, bytes.
const MAX_VALUE: usize = 4096;

/// Names that items with a timestamp have in vendors' lists.
const TIME_NAMES: [&str; 5] = ["t", "ts", "timestamp", "time", "s"];

/// A MAC that the request brought: where it stood, and how.
pub(super) struct Brought {
    pub header: HeaderName,
    /// Itself.
    pub mac: Mac,
    /// What makes MACs of its length.
    pub algorithm: Algorithm,
    /// What `signature_format` may say of it, the closest first; not all of them need be formats.
    pub formats: Vec<String>,
    /// A timestamp in the same header, with what stands for it in the formats.
    pub timestamp: Option<String>,
}

/// Every MAC in `headers`, those of the headers `first` before others.
pub(super) fn brought(headers: &HeaderMap, first: &[Spelled<HeaderName>]) -> Vec<Brought> {
    let mut found = Vec::new();
    let lines = headers.iter().filter(|(_, value)| value.len() <= MAX_VALUE);
    let lines = lines.filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    let (own, others): (Vec<_>, Vec<_>) = lines.partition(|(name, _)| first.iter().any(|own| **own == **name));
    for (name, value) in own.into_iter().chain(others) {
        for token in tokens(value) {
            let Some((mac, algorithm, placeholders)) = decode(token) else { continue };
            if found.len() == MAX_MACS {
                return found;
            }
            let timestamp = timestamp(value);
            let formats = placeholders.iter().flat_map(|placeholder| formats(value, token, placeholder)).collect();
            found.push(Brought { header: name.clone(), mac, algorithm, formats, timestamp });
        }
    }
    found
}

/// What may be a MAC in `value`: itself, each part of a list, and what stands behind the first `=` or `:` of each.
fn tokens(value: &str) -> Vec<&str> {
    let edges = |c: char| matches!(c, ',' | ';' | ' ' | '\t' | '"');
    let mut tokens = Vec::new();
    for part in std::iter::once(value).chain(value.split(edges)).map(str::trim) {
        let behind = ['=', ':'].into_iter().filter_map(|mark| Some(part.split_once(mark)?.1));
        for token in std::iter::once(part).chain(behind) {
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
    }
    tokens
}

/// The MAC that a token is by its length, and what may stand for it in a format.
fn decode(token: &str) -> Option<(Mac, Algorithm, &'static [&'static str])> {
    let text = token.as_bytes();
    let hex = Algorithm::ALL.into_iter().find_map(|algorithm| Some((Mac::from_hex(text, algorithm)?, algorithm)));
    if let Some((mac, algorithm)) = hex {
        return Some((mac, algorithm, &["{hex}"]));
    }
    let base64 = |algorithm| Some((Mac::from_base64(text, algorithm)?, algorithm));
    let (mac, algorithm) = Algorithm::ALL.into_iter().find_map(base64)?;
    Some((mac, algorithm, &["{base64}"]))
}

/// How a list says when it was signed: an item `t=…`.
fn timestamp(value: &str) -> Option<String> {
    let mut items = value.split([',', ';']).filter_map(|item| item.trim().split_once('='));
    items.find(|(name, text)| is_time(name, text)).map(|(_, text)| text.to_owned())
}

fn is_time(name: &str, text: &str) -> bool {
    TIME_NAMES.contains(&name) && text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// `value` with its MAC, and a timestamp beside it, replaced by placeholders.
fn formats(value: &str, token: &str, placeholder: &str) -> Vec<String> {
    let mut formats = Vec::new();
    for separator in [',', ';'] {
        let items = value.split(separator).map(str::trim);
        let written = items.filter_map(|item| {
            let (name, text) = item.split_once('=')?;
            match text {
                _ if text == token => Some(format!("{name}={placeholder}")),
                _ if is_time(name, text) => Some(format!("{name}={{timestamp}}")),
                _ => None,
            }
        });
        let mut written: Vec<String> = written.collect();
        // Several MACs of one name are one item of the format.
        written.dedup();
        let list = value.contains(separator) && !written.is_empty();
        if list {
            formats.push(written.join(&separator.to_string()));
        }
    }
    // A list `v1,MAC v1,MAC` is one format for each item.
    formats
        .extend(value.split(' ').filter(|item| item.contains(token)).map(|item| item.replacen(token, placeholder, 1)));
    formats.push(value.replacen(token, placeholder, 1));
    formats.dedup();
    formats
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const BASE64: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";

    fn found(value: &str) -> Vec<Brought> {
        let mut headers = HeaderMap::new();
        headers.insert("x-sig", value.parse().unwrap());
        brought(&headers, &[HeaderName::from_static("x-sig").into()])
    }

    #[test]
    fn macs_are_found_however_they_stand() {
        for (value, format) in [
            (HEX.to_owned(), "{hex}"),
            (format!("sha256={HEX}"), "sha256={hex}"),
            (format!("HMAC-SHA256 {HEX}"), "HMAC-SHA256 {hex}"),
            (format!("t=5,v1={HEX}"), "t={timestamp},v1={hex}"),
            (format!("t=5; v1={HEX}"), "t={timestamp};v1={hex}"),
            (format!("v0=x, v1={HEX}"), "v1={hex}"),
            (BASE64.to_owned(), "{base64}"),
            (format!("v1,{BASE64} v1a,x"), "v1,{base64}"),
            (BASE64.trim_end_matches('=').to_owned(), "{base64}"),
            ("a".repeat(128), "{hex}"),
            ("a".repeat(40), "{hex}"),
        ] {
            let found = found(&value);
            let formats: Vec<&String> = found.iter().flat_map(|mac| &mac.formats).collect();
            assert!(formats.iter().any(|own| *own == format), "{value}: {formats:?}");
        }
        assert_eq!(found(&format!("t=5,v1={HEX}"))[0].timestamp.as_deref(), Some("5"));
        for none in ["", "abc", "v1=,t=5", &HEX[..60], &BASE64[..40]] {
            assert!(found(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn there_is_an_end_to_them() {
        assert_eq!(found(&format!("v1={HEX},").repeat(60)).len(), 1, "one text is one MAC");
        let many: Vec<String> = (0..60).map(|at| format!("v1={at:064x}")).collect();
        assert_eq!(found(&many.join(",")).len(), MAX_MACS);
        assert!(found(&format!("{}{HEX}", "x".repeat(MAX_VALUE))).is_empty());
    }
}
