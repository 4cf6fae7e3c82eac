//! Secrets: bytes that can be used but not printed, compared or serialised, and are wiped when dropped.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The shortest secret taken, in bytes.
pub(crate) const MIN_BYTES: usize = 16;

/// How often a secret is hashed for its fingerprint: not noticed at start, but so many times the work for somebody who
/// has only the fingerprint and guesses passphrases.
const FINGERPRINT_ROUNDS: usize = 1024;

/// Bytes of a fingerprint: enough to tell a few keys apart, too few to single out one guess among many.
const FINGERPRINT_LEN: usize = 4;

/// Secret bytes. No `Debug`, `Display`, `Serialize` or `PartialEq`, so that no log line or `==` can reach them.
#[derive(Clone)]
pub struct Secret {
    value: Zeroizing<Vec<u8>>,
    label: Option<Arc<str>>,
}

/// Why a value cannot be a secret; never holds the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WeakSecret {
    /// Zero bytes.
    #[error("the secret is empty")]
    Empty,
    /// Nothing but white space.
    #[error("the secret is only white space")]
    Blank,
    /// Fewer than [`MIN_BYTES`] bytes.
    #[error("the secret is shorter than {MIN_BYTES} bytes")]
    Short,
    /// Holds a NUL byte, which cuts it off in every C library on the way.
    #[error("the secret holds a NUL byte")]
    Nul,
}

impl Secret {
    /// Takes `value` as a secret that keys a MAC.
    ///
    /// # Errors
    /// [`WeakSecret`] where the value is empty, blank, shorter than [`MIN_BYTES`] or holds NUL.
    pub fn new(value: impl Into<Vec<u8>>) -> Result<Self, WeakSecret> {
        let secret = Self::token(value)?;
        if secret.value.len() < MIN_BYTES {
            return Err(WeakSecret::Short);
        }
        Ok(secret)
    }

    /// Takes `value` as a credential that somebody else chose (a bearer token): any length but nothing.
    ///
    /// # Errors
    /// [`WeakSecret`] where the value is empty, blank or holds NUL.
    pub fn token(value: impl Into<Vec<u8>>) -> Result<Self, WeakSecret> {
        let value = Zeroizing::new(value.into());
        if value.is_empty() {
            return Err(WeakSecret::Empty);
        }
        if value.contains(&0) {
            return Err(WeakSecret::Nul);
        }
        if is_blank(&value) {
            return Err(WeakSecret::Blank);
        }
        Ok(Self { value, label: None })
    }

    /// The same secret, called `label` in logs and metrics.
    #[must_use]
    pub(crate) fn labelled(self, label: Option<String>) -> Self {
        Self { label: label.map(Into::into), ..self }
    }

    /// The bytes, to key a MAC or write a header with; never to log, store or compare.
    #[must_use]
    pub(crate) fn expose(&self) -> &[u8] {
        &self.value
    }

    /// Whether two secrets are the same, in constant time; only for the warning about sources that share one.
    #[must_use]
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.expose(), other.expose()))
    }

    /// The label the operator gave it, if any.
    #[must_use]
    pub(crate) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Eight hex digits by which logs and metrics tell this secret from others, the same wherever it is configured and
    /// at whatever position. Made of 32 bits of a repeated hash: nobody gets from it to the secret.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let Ok(keyed) = Hmac::<Sha256>::new_from_slice(self.expose()) else { return String::new() };
        let round = |text: &[u8]| keyed.clone().chain_update(text).finalize().into_bytes();
        let first = round(b"gatepost key fingerprint");
        let last = (1..FINGERPRINT_ROUNDS).fold(first, |text, _| round(&text));
        hex::encode(last.get(..FINGERPRINT_LEN).unwrap_or_default())
    }

    /// What logs, metrics and `check` call it: its label, else its fingerprint.
    #[must_use]
    pub fn name(&self) -> String {
        self.label().map_or_else(|| self.fingerprint(), str::to_owned)
    }

    /// What at the ends of the secret was probably not meant to belong to it, in words; it is used all the same.
    #[must_use]
    pub(crate) fn oddity(&self) -> Option<&'static str> {
        let bytes = self.expose();
        match (bytes, std::str::from_utf8(bytes)) {
            ([0xef, 0xbb, 0xbf, ..] | [0xff, 0xfe, ..] | [0xfe, 0xff, ..], _) => Some("begins with a byte-order mark"),
            ([.., b'\r'], _) => Some("ends with a carriage return"),
            ([.., b'\n'], _) => Some("ends with a line end"),
            (_, Ok(text)) if text.starts_with(is_space) => Some("begins with a blank"),
            (_, Ok(text)) if text.ends_with(is_space) => Some("ends with a blank"),
            _ => None,
        }
    }
}

/// Whether there is nothing to see in `value`.
fn is_blank(value: &[u8]) -> bool {
    std::str::from_utf8(value)
        .map_or_else(|_| value.iter().all(u8::is_ascii_whitespace), |text| text.chars().all(is_space))
}

/// White space of any kind, the byte-order mark and the blank of no width included.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_values_are_named_and_refused() {
        assert_eq!(Secret::new("").err(), Some(WeakSecret::Empty));
        for blank in [" \t \n                    ", "\u{a0}\u{3000}\u{2003}\u{feff}\u{200b}\r\n\u{b}      "] {
            assert_eq!(Secret::new(blank).err(), Some(WeakSecret::Blank));
        }
        assert_eq!(Secret::new("fifteen-bytes!!").err(), Some(WeakSecret::Short));
        assert_eq!(Secret::new("sixteen-bytes-\0!").err(), Some(WeakSecret::Nul));
        assert!(Secret::new("sixteen-bytes-ok").is_ok());
        assert!(Secret::token("short").is_ok());
    }

    #[test]
    fn a_fingerprint_tells_secrets_apart_and_stays_the_same() {
        let print = |text: &str| Secret::new(text).unwrap().fingerprint();
        // HMAC-SHA256 keyed by the secret, 1024 times over "gatepost key fingerprint", computed elsewhere.
        assert_eq!(print("sixteen-bytes-ok"), "56743746");
        assert_ne!(print("sixteen-bytes-ok"), print("sixteen-bytes-oK"));
        let labelled = Secret::new("sixteen-bytes-ok").unwrap().labelled(Some("old".into()));
        assert_eq!((labelled.name().as_str(), labelled.fingerprint()), ("old", print("sixteen-bytes-ok")));
    }

    #[test]
    fn odd_ends_are_told_and_kept() {
        for (odd, words) in [
            (&b"a-secret-of-sixteen\r"[..], "ends with a carriage return"),
            (b"a-secret-of-sixteen\n", "ends with a line end"),
            (b"a-secret-of-sixteen ", "ends with a blank"),
            (b"a-secret-of-sixteen\t", "ends with a blank"),
            (b" a-secret-of-sixteen", "begins with a blank"),
            (b"\na-secret-of-sixteen", "begins with a blank"),
            (b"\ra-secret-of-sixteen", "begins with a blank"),
            ("\u{a0}a-secret-of-sixteen".as_bytes(), "begins with a blank"),
            ("\u{feff}a-secret-of-sixteen".as_bytes(), "begins with a byte-order mark"),
            (b"\xff\xfea\x01-\x01secret-of-16", "begins with a byte-order mark"),
        ] {
            let secret = Secret::new(odd).unwrap();
            assert_eq!(secret.oddity(), Some(words), "{}", String::from_utf8_lossy(odd));
            assert_eq!(secret.expose(), odd);
        }
        assert_eq!(Secret::new("a secret\twith blanks inside").unwrap().oddity(), None);
    }
}
