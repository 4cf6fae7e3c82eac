//! Queries that a sender may have signed: the same one sorted or encoded otherwise, or with fewer parameters.

use super::super::query::{Plus, decoded, items, put_canonical, put_encoded};
use super::model::Variant;
use crate::scheme::diagnose::Cause;

/// Parameters of one query that are left out in turn.
const MAX_ITEMS: usize = 32;

/// What may have been signed instead of `query`.
pub(super) fn variants(query: &str) -> Vec<Variant> {
    if query.is_empty() {
        return Vec::new();
    }
    let raw = query.as_bytes();
    let mut found = vec![
        Variant::query(Cause::QueryUnsorted, joined(raw, encoded, false, false), "it kept them in their order"),
        Variant::query(
            Cause::QueryUnsorted,
            sorted_whole(raw),
            "it sorted them by the whole text, `=` and value included",
        ),
        Variant::query(Cause::QueryEqualsMissing, joined(raw, encoded, true, true), "it left the `=` out"),
        Variant::query(
            Cause::QueryEqualsMissing,
            joined(raw, encoded, false, true),
            "it left the `=` out and did not sort",
        ),
    ];
    if raw.contains(&b'+') {
        // The verifier tries %20 and %2B; nobody should sign it as it stands, and some do.
        let bare = |out: &mut Vec<u8>, text: &[u8]| {
            for (at, part) in text.split(|byte| *byte == b'+').enumerate() {
                if at > 0 {
                    out.push(b'+');
                }
                encoded(out, part);
            }
        };
        found.push(Variant::query(Cause::QueryPlus, joined(raw, bare, true, false), "it signed it as it stands, `+`"));
    }
    found.push(Variant::query(Cause::QueryNotEncoded, raw.to_vec(), "it hashed the query byte for byte"));
    let as_sent = |out: &mut Vec<u8>, text: &[u8]| out.extend_from_slice(text);
    found.push(Variant::query(
        Cause::QueryNotEncoded,
        joined(raw, as_sent, true, false),
        "it sorted and did not encode",
    ));
    let again = |out: &mut Vec<u8>, text: &[u8]| put_encoded(out, text.iter().copied(), false);
    found.push(Variant::query(Cause::QueryEncodedTwice, joined(raw, again, true, false), "a percent sign became %25"));
    found.push(Variant::query(Cause::QueryAdded, Vec::new(), "it signed no query at all"));
    let parts: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).take(MAX_ITEMS).collect();
    for (position, part) in parts.iter().enumerate() {
        let rest: Vec<&str> =
            parts.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, part)| *part).collect();
        let name = part.split('=').next().unwrap_or_default();
        for plus in Plus::readings(raw) {
            let mut signed = Vec::new();
            put_canonical(&mut signed, rest.join("&").as_bytes(), *plus);
            found.push(Variant::query(Cause::QueryAdded, signed, format!("it did not sign {name}")));
        }
    }
    found
}

fn encoded(out: &mut Vec<u8>, text: &[u8]) {
    put_encoded(out, decoded(text, Plus::Sign), false);
}

/// The items of `query`, written by `put`, in their order or `sorted`; `bare`: without `=` where there was none.
fn joined(query: &[u8], put: impl Fn(&mut Vec<u8>, &[u8]), sorted: bool, bare: bool) -> Vec<u8> {
    let with_equals =
        query.split(|byte| *byte == b'&').filter(|item| !item.is_empty()).map(|item| item.contains(&b'='));
    let pairs = items(query).zip(with_equals).map(|((name, value), equals)| {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        put(&mut left, name);
        put(&mut right, value);
        (left, right, equals || !bare)
    });
    let mut pairs: Vec<_> = pairs.collect();
    if sorted {
        pairs.sort_unstable();
    }
    let texts: Vec<Vec<u8>> = pairs
        .into_iter()
        .map(|(name, value, equals)| if equals { [name.as_slice(), b"=", &value].concat() } else { name })
        .collect();
    texts.join(&b"&"[..])
}

fn sorted_whole(query: &[u8]) -> Vec<u8> {
    let text = joined(query, encoded, false, false);
    let mut texts: Vec<&[u8]> = text.split(|byte| *byte == b'&').collect();
    texts.sort_unstable();
    texts.join(&b"&"[..])
}
