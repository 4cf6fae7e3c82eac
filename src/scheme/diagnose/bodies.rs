//! Bodies that a sender may have signed instead of the one that arrived: as middleboxes and serialisers make them.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::Cause;

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Larger bodies are not parsed: written again in some ways they take many times their size.
const MAX_JSON_BYTES: usize = 1024 * 1024;

/// A body, why it may be the signed one, and what it is in words.
pub(crate) type Variant<'a> = (Cow<'a, [u8]>, Cause, &'static str);

/// The bodies that may have been signed instead of `body`, the likely ones first; never `body` itself, none twice.
pub(crate) fn variants(body: &[u8]) -> Vec<Variant<'_>> {
    let mut found: Vec<Variant<'_>> = Vec::new();
    let mut add = |bytes: Cow<'static, [u8]>, cause, words| {
        if bytes.as_ref() != body && found.iter().all(|(known, ..)| known.as_ref() != bytes.as_ref()) {
            found.push((bytes, cause, words));
        }
    };
    for (end, words) in [(&b"\n"[..], "a line feed behind it"), (b"\r\n", "a carriage return and line feed behind it")]
    {
        add(Cow::Owned([body, end].concat()), Cause::BodyLineEnd, words);
    }
    add(Cow::Owned(body.trim_ascii().to_vec()), Cause::BodyTrimmed, "without the white space around it");
    match body.strip_prefix(MARK) {
        Some(rest) => add(Cow::Owned(rest.to_vec()), Cause::BodyMark, "without the byte-order mark"),
        None => add(Cow::Owned([MARK, body].concat()), Cause::BodyMark, "with a byte-order mark"),
    }
    for (text, words) in written_again(body) {
        add(Cow::Owned(text), Cause::BodyRewritten, words);
    }
    add(Cow::Borrowed(b""), Cause::BodyEmpty, "nothing");
    found
}

/// The JSON in `body` as serialisers write it.
fn written_again(body: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut texts = Vec::new();
    if body.len() > MAX_JSON_BYTES {
        return texts;
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return texts };
    // Names in the order they came, but for white space: numbers and escapes stay as they are.
    texts.push((respaced(body, b"", b""), "compact"));
    texts.push((respaced(body, b" ", b" "), "with a blank behind commas and colons"));
    let sorted = sorted(&value);
    texts.extend(serialized(&sorted, CompactFormatter).map(|text| (text, "compact, names sorted")));
    texts.extend(serialized(&sorted, Spaced).map(|text| (text, "names sorted, a blank behind commas and colons")));
    texts.extend(serialized(&sorted, PrettyFormatter::new()).map(|text| (text, "indented by two, names sorted")));
    texts.extend(
        serialized(&sorted, PrettyFormatter::with_indent(b"    ")).map(|text| (text, "indented by four, names sorted")),
    );
    let ascii: Vec<_> = texts
        .iter()
        .filter_map(|(text, _)| Some((escaped(text)?, "written again, letters beyond ASCII escaped")))
        .collect();
    texts.extend(ascii);
    texts.extend(escaped(body).map(|text| (text, "letters beyond ASCII escaped")));
    texts
}

fn serialized(value: &Value, formatter: impl Formatter) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    serde::Serialize::serialize(value, &mut Serializer::with_formatter(&mut out, formatter)).ok()?;
    Some(out)
}

/// As Python and others write by default: `{"a": 1, "b": 2}`.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// The same value with the names of every object in order. The parser bounds its depth.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut pairs: Vec<(&String, &Value)> = members.iter().collect();
            pairs.sort_unstable_by_key(|(name, _)| *name);
            pairs.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The same JSON with `comma` behind each comma, `colon` behind each colon and no other white space between its parts.
fn respaced(json: &[u8], comma: &[u8], colon: &[u8]) -> Vec<u8> {
    let (mut quoted, mut escape) = (false, false);
    let mut out = Vec::with_capacity(json.len());
    for &byte in json {
        let inside = quoted;
        match byte {
            _ if escape => escape = false,
            b'\\' if quoted => escape = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        if inside || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        match byte {
            b',' if !inside => out.extend_from_slice(comma),
            b':' if !inside => out.extend_from_slice(colon),
            _ => {}
        }
    }
    out
}

/// JSON with everything beyond ASCII as `\uXXXX`; `None` where there is nothing of the kind.
fn escaped(json: &[u8]) -> Option<Vec<u8>> {
    use std::fmt::Write as _;
    let text = std::str::from_utf8(json).ok().filter(|text| !text.is_ascii())?;
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    Some(out.into_bytes())
}

/// Whether a body begins as gzip, zlib or Zstandard begin (RFC 1952, RFC 1950, RFC 8878).
pub(crate) fn is_compressed(body: &[u8]) -> bool {
    matches!(body, [0x1f, 0x8b, ..] | [0x78, 0x01 | 0x9c | 0xda, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(body: &str, wanted: &str, cause: Cause) -> bool {
        variants(body.as_bytes()).iter().any(|(bytes, found, _)| bytes.as_ref() == wanted.as_bytes() && *found == cause)
    }

    #[test]
    fn what_serialisers_and_editors_do_is_undone() {
        let body = "{ \"b\": 1.50,\n \"a\": \"x, y: \\\" \u{fc}\" }";
        for (wanted, cause) in [
            (format!("{body}\n"), Cause::BodyLineEnd),
            (format!("{body}\r\n"), Cause::BodyLineEnd),
            (format!("\u{feff}{body}"), Cause::BodyMark),
            (String::new(), Cause::BodyEmpty),
            ("{\"b\":1.50,\"a\":\"x, y: \\\" \u{fc}\"}".to_owned(), Cause::BodyRewritten),
            ("{\"b\": 1.50, \"a\": \"x, y: \\\" \u{fc}\"}".to_owned(), Cause::BodyRewritten),
            ("{\"b\": 1.50, \"a\": \"x, y: \\\" \\u00fc\"}".to_owned(), Cause::BodyRewritten),
            ("{\"a\":\"x, y: \\\" \u{fc}\",\"b\":1.5}".to_owned(), Cause::BodyRewritten),
            ("{\"a\": \"x, y: \\\" \u{fc}\", \"b\": 1.5}".to_owned(), Cause::BodyRewritten),
        ] {
            assert!(has(body, &wanted, cause), "{wanted}");
        }
        assert!(has(" {} \n", "{}", Cause::BodyTrimmed));
        assert!(has("\u{feff}{}", "{}", Cause::BodyMark));
    }

    #[test]
    fn the_body_itself_is_no_variant_and_none_stands_twice() {
        for body in ["", "{}", "{\"a\":1}", "\n", "not json"] {
            let found = variants(body.as_bytes());
            for (position, (bytes, ..)) in found.iter().enumerate() {
                assert_ne!(bytes.as_ref(), body.as_bytes());
                assert!(found.iter().skip(position + 1).all(|(other, ..)| other != bytes), "{body:?}");
            }
        }
    }

    #[test]
    fn compressed_bodies_are_known_by_their_first_bytes() {
        assert!(
            is_compressed(&[0x1f, 0x8b, 8]) && is_compressed(&[0x78, 0x9c]) && is_compressed(&[0x28, 0xb5, 0x2f, 0xfd])
        );
        assert!(!is_compressed(b"{}") && !is_compressed(b"x^") && !is_compressed(b"(x") && !is_compressed(b""));
    }
}
