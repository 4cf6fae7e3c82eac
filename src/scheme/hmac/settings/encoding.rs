//! How the text of a secret stands for its key.

use base64::Engine as _;

use crate::scheme::mac::BASE64;
use crate::secret::{Secret, WeakSecret};

/// What a Standard Webhooks secret begins with (specification, section "Signature scheme").
pub(super) const WHSEC: &str = "whsec_";

/// How the configured text of a secret becomes its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::scheme) enum SecretEncoding {
    /// Its bytes are the key, but for `whsec_` where that has a meaning.
    Text,
    /// Hex digits, any case.
    Hex,
    /// Base64 of either alphabet, padded or not, perhaps behind `whsec_`.
    Base64,
}

impl SecretEncoding {
    /// A secret whose key has the 32 bytes `key`, or, as text, is good for every source.
    pub(in crate::scheme::hmac) fn secret(self, key: [u8; 32]) -> Result<Secret, WeakSecret> {
        match self {
            Self::Hex => Secret::new(hex::encode(key)),
            Self::Text | Self::Base64 => Secret::new(format!("{WHSEC}{}", BASE64.encode(key))),
        }
    }
}
