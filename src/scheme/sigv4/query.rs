//! Query strings as AWS Signature Version 4 reads them: items, percent-decoding and encoding, canonical order.

/// The items of `query`: split at `&`, empty ones skipped, each split at its first `=` (none: an empty value).
pub(super) fn items(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|byte| *byte == b'&').filter(|item| !item.is_empty()).map(|item| {
        let mut halves = item.splitn(2, |byte| *byte == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

/// What a raw `+` in a query stands for. Clients disagree when they sign, so a verifier tries both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plus {
    /// A blank, as in forms: libcurl, aws4fetch, the AWS SDK for Rust, and what AWS itself reads.
    Blank,
    /// Itself: aws-c-auth.
    Sign,
}

impl Plus {
    /// The readings of `query` that differ from each other: one, unless a raw `+` stands in it.
    pub(super) fn readings(query: &[u8]) -> &'static [Self] {
        if query.contains(&b'+') { &[Self::Blank, Self::Sign] } else { &[Self::Sign] }
    }

    const fn read(self, byte: u8) -> u8 {
        match (self, byte) {
            (Self::Blank, b'+') => b' ',
            _ => byte,
        }
    }
}

/// The bytes that `text` stands for. A `%` without two hex digits stands for itself; a raw `+` is what `plus` says.
pub(super) fn decoded(text: &[u8], plus: Plus) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [b'%', behind @ ..] => match behind {
                [high, low, after @ ..] => match (nibble(*high), nibble(*low)) {
                    (Some(high), Some(low)) => (high << 4 | low, after),
                    _ => (b'%', behind),
                },
                _ => (b'%', behind),
            },
            [byte, after @ ..] => (plus.read(*byte), after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

/// The value of one hex digit.
const fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends `bytes`, each but `A-Za-z0-9-._~` (and `/`, where `slash` says so) as `%XX` in upper-case hex.
pub(super) fn put_encoded(out: &mut Vec<u8>, bytes: impl IntoIterator<Item = u8>, slash: bool) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + (nibble - 10) };
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (slash && byte == b'/') {
            out.push(byte);
        } else {
            out.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Appends the canonical query: decoded and encoded again, sorted by encoded name, then by encoded value.
pub(super) fn put_canonical(out: &mut Vec<u8>, query: &[u8], plus: Plus) {
    // Encoded once into one buffer; pairs of ranges are sorted, never the joined strings: `a=` comes before `a-b=`.
    let mut encoded = Vec::with_capacity(query.len() + 16);
    let mut pairs = Vec::new();
    for (name, value) in items(query) {
        let start = encoded.len();
        put_encoded(&mut encoded, decoded(name, plus), false);
        let middle = encoded.len();
        put_encoded(&mut encoded, decoded(value, plus), false);
        pairs.push((start..middle, middle..encoded.len()));
    }
    let part = |range: std::ops::Range<usize>| encoded.get(range).unwrap_or_default();
    let mut pairs: Vec<(&[u8], &[u8])> = pairs.into_iter().map(|(name, value)| (part(name), part(value))).collect();
    pairs.sort_unstable();
    for (position, (name, value)) in pairs.into_iter().enumerate() {
        if position > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(query: &str) -> String {
        let mut out = Vec::new();
        put_canonical(&mut out, query.as_bytes(), Plus::Sign);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_raw_plus_has_two_readings_and_an_escaped_one_has_one() {
        let read = |query: &str| {
            let readings = Plus::readings(query.as_bytes()).iter();
            let texts = readings.map(|plus| {
                let mut out = Vec::new();
                put_canonical(&mut out, query.as_bytes(), *plus);
                String::from_utf8(out).unwrap()
            });
            texts.collect::<Vec<_>>()
        };
        assert_eq!(read("a=1+2%2B3"), ["a=1%202%2B3", "a=1%2B2%2B3"]);
        assert_eq!(read("b+=1&b=2"), ["b=2&b%20=1", "b=2&b%2B=1"]);
        assert_eq!(read("a=1+1&a=1!"), ["a=1%201&a=1%21", "a=1%21&a=1%2B1"], "each is sorted by its own reading");
        assert_eq!(read("a=1%2B2%20"), ["a=1%2B2%20"]);
        assert_eq!(read("a=%+41"), ["a=%25%2041", "a=%25%2B41"]);
    }

    #[test]
    fn items_are_sorted_by_encoded_name_then_value() {
        assert_eq!(canonical("b=1&a=2&a=1"), "a=1&a=2&b=1");
        assert_eq!(canonical("a-b=1&a=2"), "a=2&a-b=1", "`=` must not take part: `-` sorts before it");
        assert_eq!(canonical("B=1&a=1&%E1%88%B4=1"), "%E1%88%B4=1&B=1&a=1");
        assert_eq!(canonical("a=1&a=1"), "a=1&a=1");
    }

    #[test]
    fn missing_and_empty_pieces() {
        assert_eq!(canonical(""), "");
        assert_eq!(canonical("&&"), "");
        assert_eq!(canonical("a"), "a=");
        assert_eq!(canonical("&a&&b=&"), "a=&b=");
        assert_eq!(canonical("=v"), "=v");
        assert_eq!(canonical("a=b=c"), "a=b%3Dc");
    }

    #[test]
    fn text_is_decoded_once_and_encoded_once() {
        assert_eq!(canonical("a=%2f%2F/"), "a=%2F%2F%2F");
        assert_eq!(canonical("%61=%7E~"), "a=~~");
        assert_eq!(canonical("a=%2520"), "a=%2520");
        assert_eq!(canonical("a=1+2%2B3%203"), "a=1%2B2%2B3%203", "a raw plus is a plus");
        assert_eq!(canonical("a=%&b=%2&c=%zz&d=%%41"), "a=%25&b=%252&c=%25zz&d=%25A");
        assert_eq!(canonical("a=\u{1234}&b=%ff"), "a=%E1%88%B4&b=%FF");
        assert_eq!(canonical("a=1;b=2"), "a=1%3Bb%3D2");
    }
}
