//! The vocabulary of what is received: source, id, digest, payload and the event they make.

mod kept_headers;

use std::borrow::Borrow;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::escape::is_printable_ascii;

pub use self::kept_headers::{KeptHeaders, text as header_text};

/// A short shared name: of a source or of a sink.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: AsRef<str>> From<T> for Name {
    fn from(name: T) -> Self {
        Self(name.as_ref().into())
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest event id taken, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// What a sender calls an event: 1 to [`MAX_ID_BYTES`] bytes without control characters, unique within its source.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventId(Box<str>);

impl EventId {
    /// Takes `id` when it is one; `None` when it is empty, too long or holds control characters.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let shows = || is_printable_ascii(id.as_bytes()) || !id.chars().any(char::is_control);
        (!id.is_empty() && id.len() <= MAX_ID_BYTES && shows()).then(|| Self(id.into()))
    }

    /// The id of an event that brought none of its own: `sha256:` and the body's digest in lower-case hex.
    #[must_use]
    pub(crate) fn of_digest(digest: &Digest) -> Self {
        Self(format!("sha256:{digest}").into())
    }

    /// Stands in listings for a stored id that cannot be read.
    #[must_use]
    pub fn unreadable() -> Self {
        Self("unreadable".into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// SHA-256 of a body as received; prints as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(Sha256::digest(body).into())
    }

    /// The digest of `parts`, one after the other.
    #[must_use]
    pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self(parts.into_iter().fold(Sha256::new(), Sha256::chain_update).finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// A body as received, with its digest computed at most once, when first asked for.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Bytes,
    digest: OnceLock<Digest>,
}

impl Payload {
    /// The bytes as they came.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, digest: OnceLock::new() }
    }
}

/// What uniqueness is decided by: the first 16 bytes of SHA-256 over source, NUL and id.
///
/// Half the index work of the texts themselves; 2^64 events make one accidental collision likely.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct EventKey(pub [u8; 16]);

impl EventKey {
    /// The key of event `id` of `source`. Names hold no NUL, so no two pairs share an input.
    #[must_use]
    pub fn of(source: &Name, id: &EventId) -> Self {
        let hash = Sha256::new().chain_update(source.as_str()).chain_update([0]).chain_update(id.as_str()).finalize();
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

/// A verified event, as stored and as delivered.
#[derive(Clone, Debug)]
pub struct Event {
    /// The source that took it.
    pub source: Name,
    /// Its id within that source.
    pub id: EventId,
    /// The event type, from the body, a header or the preset's name; at most 256 bytes.
    pub kind: String,
    /// When its body had been read.
    pub received_at: Timestamp,
    /// `Content-Type` as sent.
    pub content_type: String,
    /// The body as received and its digest.
    pub payload: Payload,
    /// Which key verified it: its label, its fingerprint, its access key id, or `released:<operator>`.
    pub key: String,
    /// The request that brought it, as in the access record.
    pub request_id: String,
    /// Where it came from.
    pub client_ip: Option<IpAddr>,
    /// W3C trace context, which is forwarded whatever else is kept.
    pub traceparent: Option<String>,
    /// The headers that its source keeps.
    pub headers: KeptHeaders,
}

impl Event {
    /// The key its uniqueness is decided by.
    #[must_use]
    pub fn unique_key(&self) -> EventKey {
        EventKey::of(&self.source, &self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_and_printable() {
        assert!(EventId::new("").is_none());
        assert!(EventId::new("a\u{7f}b").is_none());
        assert!(EventId::new(&"x".repeat(257)).is_none());
        assert!(EventId::new(&"x".repeat(256)).is_some());
    }

    #[test]
    fn two_sources_never_share_a_key() {
        let id = EventId::new("1").unwrap();
        assert_ne!(EventKey::of(&"a".into(), &id), EventKey::of(&"b".into(), &id));
    }

    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(EventId::of_digest(&Digest::of(b"")).as_str(), format!("sha256:{empty}"));
    }
}
