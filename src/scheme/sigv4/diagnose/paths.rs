//! Paths that a sender may have signed: longer or shorter ones, and the same path encoded or normalised otherwise.

use http::request::Parts;

use super::super::canonical::{normalised, put_uri};
use super::super::query::{Plus, decoded, put_encoded};
use super::model::{Patch, Variant};
use super::parts::put_query;
use crate::scheme::diagnose::Cause;

/// Beginnings that gateways drop: API Gateway stages, versions, mount points of ingress controllers.
const PREFIXES: [&str; 26] = [
    "prod",
    "production",
    "prd",
    "live",
    "stage",
    "staging",
    "stg",
    "dev",
    "development",
    "test",
    "testing",
    "uat",
    "qa",
    "beta",
    "default",
    "$default",
    "v1",
    "v2",
    "v3",
    "api",
    "api/v1",
    "public",
    "external",
    "hooks",
    "webhooks",
    "webhook",
];

/// Headers in which proxies tell the target they were asked for.
const ORIGINAL_TARGET: [&str; 6] =
    ["x-original-uri", "x-original-url", "x-rewrite-url", "x-forwarded-uri", "x-envoy-original-path", "x-request-uri"];

/// Headers in which proxies tell what they dropped.
const DROPPED_PREFIX: [&str; 3] = ["x-forwarded-prefix", "x-script-name", "x-forwarded-path"];

/// Segments of one path that are looked at.
const MAX_SEGMENTS: usize = 16;

/// What may have been signed instead of the path that arrived; `own` is the source's.
pub(super) fn variants(head: &Parts, own: &str) -> Vec<Variant> {
    let path = head.uri.path();
    let mut found = encodings(path.as_bytes());
    found.extend(told(head));
    found.extend(longer(head, own));
    found.extend(shorter(path));
    let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    found.push(Variant::uri(Cause::PathSlash, canonical(&other), format!("it signed {other}")));
    for other in ["/", own] {
        found.push(Variant::uri(Cause::PathRewritten, canonical(other), format!("it signed {other}")));
    }
    found
}

fn canonical(path: &str) -> Vec<u8> {
    let mut uri = Vec::new();
    put_uri(&mut uri, path.as_bytes());
    uri
}

/// The same path, hashed in another form.
fn encodings(path: &[u8]) -> Vec<Variant> {
    let encoded = |bytes: &[u8]| {
        let mut uri = Vec::new();
        put_encoded(&mut uri, bytes.iter().copied(), true);
        uri
    };
    let plain = normalised(path).into_owned();
    let text: Vec<u8> = decoded(&plain, Plus::Sign).collect();
    let (double_slash, dots) = (path.windows(2).any(|pair| pair == b"//"), path.windows(2).any(|pair| pair == b"/."));
    let kept = if double_slash { Cause::SlashesKept } else { Cause::DotsKept };
    let mut found = vec![
        Variant::uri(Cause::PathNotEncoded, plain.clone(), shown("it hashed", &plain)),
        Variant::uri(Cause::PathEncodedOnce, encoded(&text), shown("it hashed", &encoded(&text))),
        Variant::uri(Cause::PathDecoded, text.clone(), shown("it hashed", &text)),
    ];
    if double_slash || dots {
        found.push(Variant::uri(kept, encoded(path), shown("it hashed", &encoded(path))));
        found.push(Variant::uri(kept, path.to_vec(), shown("it hashed", path)));
    }
    for other in [with_hex(&plain, u8::to_ascii_uppercase), with_hex(&plain, u8::to_ascii_lowercase), minimal(&plain)] {
        found.push(Variant::uri(Cause::PathReencoded, encoded(&other), shown("it signed", &other)));
    }
    found
}

fn shown(words: &str, path: &[u8]) -> String {
    format!("{words} {}", String::from_utf8_lossy(path))
}

/// `path` with the digits of its percent-encodings in the other case.
fn with_hex(path: &[u8], case: fn(&u8) -> u8) -> Vec<u8> {
    let mut left = 0;
    let digits = path.iter().map(|byte| match (byte, left) {
        (b'%', _) => {
            left = 2;
            b'%'
        }
        (byte, 1 | 2) => {
            left -= 1;
            case(byte)
        }
        (byte, _) => *byte,
    });
    digits.collect()
}

/// `path` decoded, and encoded where it has to be: what proxies that normalise do the other way round.
fn minimal(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_encoded(&mut out, decoded(path, Plus::Sign), true);
    out
}

/// What headers tell of the target before a proxy changed it.
fn told(head: &Parts) -> Vec<Variant> {
    let texts = |names: &'static [&'static str]| {
        names.iter().filter_map(|name| Some((*name, head.headers.get(*name)?.to_str().ok()?)))
    };
    let mut found = Vec::new();
    for (name, target) in texts(&ORIGINAL_TARGET) {
        let target = target.split_once("://").map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut canonical_query = Vec::new();
        put_query(&mut canonical_query, query.as_bytes());
        let same_path = canonical(path) == canonical(head.uri.path());
        let (cause, detail) = if same_path {
            (Cause::QueryDropped, format!("it signed the query that {name} tells of"))
        } else {
            (Cause::PathRewritten, format!("it signed {path}, as {name} tells"))
        };
        let whole = Patch { uri: Some(canonical(path)), query: Some(canonical_query), ..Patch::default() };
        found.push(Variant { cause, detail, patch: whole });
    }
    for (name, prefix) in texts(&DROPPED_PREFIX) {
        let path = format!("/{}{}", prefix.trim_matches('/'), head.uri.path());
        let detail = format!("it signed {path}; {name} tells of the beginning");
        found.push(Variant::uri(Cause::PathPrefixDropped, canonical(&path), detail));
    }
    found
}

/// The path behind what gateways drop, and behind the source's own first segments.
fn longer(head: &Parts, own: &str) -> Vec<Variant> {
    let path = head.uri.path();
    let segments: Vec<&str> = own.split('/').filter(|segment| !segment.is_empty()).take(MAX_SEGMENTS).collect();
    let mut prefixes: Vec<String> = PREFIXES.iter().map(|&prefix| prefix.to_owned()).collect();
    prefixes
        .extend((1..=segments.len()).map(|count| segments.iter().take(count).copied().collect::<Vec<_>>().join("/")));
    let mut found = Vec::new();
    for prefix in prefixes {
        let signed = format!("/{prefix}{path}");
        let detail = format!("it signed {signed}, and /{prefix} was dropped");
        found.push(Variant::uri(Cause::PathPrefixDropped, canonical(&signed), detail.clone()));
        // A sender that does not encode again, behind a gateway that drops the stage: two mistakes in one part.
        if path.contains('%') {
            found.push(Variant::uri(Cause::PathPrefixDropped, normalised(signed.as_bytes()).into_owned(), detail));
        }
    }
    found
}

/// The path without its first segments.
fn shorter(path: &str) -> Vec<Variant> {
    let starts = path.match_indices('/').map(|(at, _)| at).skip(1).take(MAX_SEGMENTS);
    let rests = starts.filter_map(|at| Some((path.get(..at)?, path.get(at..)?)));
    rests
        .map(|(dropped, rest)| {
            let detail = format!("it signed {rest}, and {dropped} was put before it");
            Variant::uri(Cause::PathPrefixAdded, canonical(rest), detail)
        })
        .collect()
}
