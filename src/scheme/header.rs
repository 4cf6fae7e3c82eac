//! How often a header stands in a request, for both families: what feeds verification must stand exactly once.

use http::HeaderMap;
use http::header::AsHeaderName;

/// What a request says in one header. Trailers are no part of the map, so a value there does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Occurrence<'a> {
    /// It does not stand at all.
    Absent,
    /// It stands once, with this value, byte for byte.
    Once(&'a [u8]),
    /// It stands twice or more, equal or not: a refusal, never a choice.
    Repeated,
}

impl<'a> Occurrence<'a> {
    /// Looks `name` up in `headers`.
    pub(super) fn of(headers: &'a HeaderMap, name: impl AsHeaderName) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::Once(value.as_bytes()),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }

    /// The value, where there is exactly one.
    pub(super) const fn once(self) -> Option<&'a [u8]> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Repeated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_same_value_twice_is_still_repeated() {
        let mut headers = HeaderMap::new();
        assert_eq!(Occurrence::of(&headers, "x"), Occurrence::Absent);
        headers.append("x", HeaderValue::from_static("1"));
        assert_eq!(Occurrence::of(&headers, "x"), Occurrence::Once(b"1"));
        headers.append("x", HeaderValue::from_static("1"));
        assert_eq!(Occurrence::of(&headers, "x"), Occurrence::Repeated);
        assert_eq!(Occurrence::of(&headers, "x").once(), None);
    }
}
