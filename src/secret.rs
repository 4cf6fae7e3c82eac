//! Secrets: bytes that can be used but not printed, compared or serialised, and are wiped when dropped.

use zeroize::Zeroizing;

/// The shortest secret taken, in bytes.
pub const MIN_BYTES: usize = 16;

/// Secret bytes. No `Debug`, `Display`, `Serialize` or `PartialEq`, so that no log line or `==` can reach them.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

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
        if secret.0.len() < MIN_BYTES {
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
        if value.iter().all(u8::is_ascii_whitespace) {
            return Err(WeakSecret::Blank);
        }
        Ok(Self(value))
    }

    /// The bytes, to key a MAC or write a header with; never to log, store or compare.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether two secrets are the same, in constant time; only for the warning about sources that share one.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        bool::from(subtle::ConstantTimeEq::ct_eq(self.expose(), other.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_values_are_named_and_refused() {
        assert_eq!(Secret::new("").err(), Some(WeakSecret::Empty));
        assert_eq!(Secret::new(" \t \n                    ").err(), Some(WeakSecret::Blank));
        assert_eq!(Secret::new("fifteen-bytes!!").err(), Some(WeakSecret::Short));
        assert_eq!(Secret::new("sixteen-bytes-\0!").err(), Some(WeakSecret::Nul));
        assert!(Secret::new("sixteen-bytes-ok").is_ok());
        assert!(Secret::token("short").is_ok());
    }
}
