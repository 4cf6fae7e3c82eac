//! Headers of the sender's that stay with an event, as they came.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::ser::{Serialize, Serializer};

/// Header lines with names in lower case and values byte for byte, in the order in which they are kept; cheap to clone.
///
/// One text, in memory as in the store: a line end before, between and after lines of `name: value`. No field value
/// holds a line end (RFC 9110 5.5), so that nothing is escaped, and a header is found by its line with both ends.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeptHeaders(Bytes);

const LINE_END: u8 = b'\n';
const AFTER_NAME: &[u8] = b": ";

impl KeptHeaders {
    /// What the store holds.
    #[must_use]
    pub fn from_stored(lines: Option<Vec<u8>>) -> Self {
        Self(lines.unwrap_or_default().into())
    }

    /// What the store is to hold; `None` where nothing is kept, which costs it nothing.
    #[must_use]
    pub fn stored(&self) -> Option<&[u8]> {
        if self.0.is_empty() { None } else { Some(&self.0) }
    }

    /// Each line's name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.split(|byte| *byte == LINE_END).filter_map(|line| {
            let colon = line.windows(AFTER_NAME.len()).position(|part| part == AFTER_NAME)?;
            let (name, rest) = line.split_at_checked(colon)?;
            Some((str::from_utf8(name).ok()?, rest.get(AFTER_NAME.len()..)?))
        })
    }

    /// Whether every line of `others`, side by side, stands here.
    #[must_use]
    pub fn hold(&self, others: &Self) -> bool {
        others.0.is_empty() || self.0.windows(others.0.len()).any(|part| part == others.0)
    }
}

impl<'a> FromIterator<(&'a str, &'a [u8])> for KeptHeaders {
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a [u8])>>(headers: T) -> Self {
        let mut lines = Vec::new();
        for (name, value) in headers {
            if lines.is_empty() {
                lines.push(LINE_END);
            }
            for part in [name.as_bytes(), AFTER_NAME, value, &[LINE_END]] {
                lines.extend_from_slice(part);
            }
        }
        Self(lines.into())
    }
}

/// How many there are: what a sender wrote has no place in a log.
impl fmt::Debug for KeptHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeptHeaders({})", self.iter().count())
    }
}

/// A list of pairs of name and [`text`].
impl Serialize for KeptHeaders {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|(name, value)| (name, text(value))))
    }
}

/// A value where only text can stand: UTF-8 where it is that, else ISO 8859-1, which field values were once (RFC 9110 5.5).
#[must_use]
pub fn text(value: &[u8]) -> Cow<'_, str> {
    str::from_utf8(value).map_or_else(|_| value.iter().copied().map(char::from).collect(), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(headers: &[(&str, &[u8])]) -> KeptHeaders {
        headers.iter().copied().collect()
    }

    #[test]
    fn what_is_kept_comes_back_from_the_store_byte_for_byte() {
        let given: &[(&str, &[u8])] = &[("x-type", b"page:update"), ("x-a", b""), ("x-a", b" : b\xff: \xc3\xa9\t ")];
        let headers = kept(given);
        assert_eq!(headers.iter().collect::<Vec<_>>(), given);
        let stored = headers.stored().map(<[u8]>::to_vec);
        assert_eq!(KeptHeaders::from_stored(stored), headers);
        assert_eq!(kept(&[]).stored(), None);
        assert_eq!(KeptHeaders::from_stored(None).iter().count(), 0);
    }

    #[test]
    fn a_damaged_store_shows_what_can_be_read() {
        for (stored, lines) in [("", 0), ("\n", 0), ("x", 0), ("x: y", 1), ("\nx: y\nz\n: \n", 2)] {
            assert_eq!(KeptHeaders::from_stored(Some(stored.into())).iter().count(), lines, "{stored:?}");
        }
        assert_eq!(KeptHeaders::from_stored(Some(b"\n\xff: y\nx: z\n".into())).iter().next(), Some(("x", &b"z"[..])));
    }

    #[test]
    fn a_header_is_found_whole_or_not_at_all() {
        let headers = kept(&[("x-a", b"1"), ("x-b", b"12"), ("x-b", b"3")]);
        for there in [("x-a", b"1".as_slice()), ("x-b", b"12"), ("x-b", b"3")] {
            assert!(headers.hold(&kept(&[there])), "{there:?}");
        }
        for absent in [("x-a", b"".as_slice()), ("x-b", b"1"), ("x-b", b"2"), ("b", b"3"), ("x", b"1"), ("", b"")] {
            assert!(!headers.hold(&kept(&[absent])), "{absent:?}");
        }
        assert!(headers.hold(&kept(&[])) && !kept(&[]).hold(&headers));
    }

    #[test]
    fn as_text_it_is_utf_8_or_one_character_a_byte() {
        let headers = kept(&[("x-a", "Zo\u{eb}".as_bytes()), ("x-b", b"Zo\xeb")]);
        assert_eq!(serde_json::to_string(&headers).unwrap(), "[[\"x-a\",\"Zo\u{eb}\"],[\"x-b\",\"Zo\u{eb}\"]]");
        assert_eq!(format!("{headers:?}"), "KeptHeaders(2)");
    }
}
