//! What is left of an event that was erased: who did it and when, and the digest by which a repetition is told from another
//! body. One text in the row, absent from all others.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::Digest;

/// Who erased an event, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Erasure {
    /// When, by the wall clock of whoever did it.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

/// What went with an event that was erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ErasedParts {
    /// Deliveries that were pending or dead.
    pub deliveries: u64,
    /// Refused requests with its id or its body.
    pub quarantined: u64,
}

/// Hex digits of the digest that a stored text begins with.
const DIGEST: usize = 64;

impl Erasure {
    /// What follows the digest in the row.
    pub(super) fn stored(&self) -> String {
        format!(" {} {}", self.at.as_microsecond(), self.by)
    }

    /// What the row holds; `None` where nothing was erased. One that cannot be read was erased all the same.
    pub(super) fn from_stored(text: Option<&str>) -> Option<Self> {
        let rest = text?.get(DIGEST + 1..).unwrap_or_default();
        let (at, by) = rest.split_once(' ').unwrap_or_default();
        let at = at.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok());
        Some(Self { at: at.unwrap_or(Timestamp::UNIX_EPOCH), by: by.to_owned() })
    }
}

/// Whether the event that left `text` had the body with this digest.
pub(super) fn had_body(text: &str, digest: &Digest) -> bool {
    text.get(..DIGEST) == Some(digest.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_comes_back() {
        let erasure = Erasure { at: Timestamp::from_microsecond(1_790_000_000_123_456).unwrap(), by: "ann b".into() };
        let digest = Digest::of(b"body");
        let text = format!("{digest}{}", erasure.stored());
        assert_eq!(Erasure::from_stored(Some(&text)), Some(erasure));
        assert!(had_body(&text, &digest) && !had_body(&text, &Digest::of(b"other")));
        assert_eq!(Erasure::from_stored(None), None);
        assert!(Erasure::from_stored(Some("x")).is_some());
    }
}
