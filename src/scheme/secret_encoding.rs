//! How the text of a secret stands for its key.

use base64::Engine as _;
use zeroize::Zeroizing;

use crate::scheme::mac::{BASE64, BASE64_URL};
use crate::secret::{MIN_BYTES, Secret, WeakSecret};

/// What a Standard Webhooks secret begins with (specification, section "Signature scheme").
pub(super) const WHSEC: &str = "whsec_";

/// The key that says it.
pub(super) const SECRET_ENCODING: &str = "secret_encoding";

/// What it does.
pub(super) const DOC: &str = "How the text of a secret becomes the key; a decoded key may hold any byte.";

/// What it may hold.
pub(super) const ENCODINGS: &[(&str, SecretEncoding)] =
    &[("text", SecretEncoding::Text), ("hex", SecretEncoding::Hex), ("base64", SecretEncoding::Base64)];

/// How the configured text of a secret becomes its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SecretEncoding {
    /// Its bytes are the key, but for `whsec_` where that has a meaning.
    Text,
    /// Hex digits, any case.
    Hex,
    /// Base64 of either alphabet, padded or not, perhaps behind `whsec_`.
    Base64,
}

impl SecretEncoding {
    /// A secret whose key has the 32 bytes `key`, or, as text, is good for every source.
    pub(super) fn secret(self, key: [u8; 32]) -> Result<Secret, WeakSecret> {
        match self {
            Self::Hex => Secret::new(hex::encode(key)),
            Self::Text | Self::Base64 => Secret::new(format!("{WHSEC}{}", BASE64.encode(key))),
        }
    }

    /// The key of `secret`, which may hold any byte once it is decoded.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow its name.
    pub(super) fn key(self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = secret.expose();
        let odd = || secret.oddity().map(|oddity| format!("; it {oddity}")).unwrap_or_default();
        match self {
            Self::Text => Ok(Zeroizing::new(text.to_vec())),
            Self::Hex => long_enough(
                hex::decode(text).map_err(|_| format!("is not hex, as secret_encoding says it is{}", odd()))?,
            ),
            Self::Base64 => {
                let encoded = text.strip_prefix(WHSEC.as_bytes()).unwrap_or(text);
                let decoded = BASE64.decode(encoded).or_else(|_| BASE64_URL.decode(encoded));
                long_enough(decoded.map_err(|_| format!("is not base64, as secret_encoding says it is{}", odd()))?)
            }
        }
    }
}

/// A key that was decoded, unless too little was behind its text.
///
/// # Errors
/// That, in words that follow the secret's name.
pub(super) fn long_enough(key: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
    let key = Zeroizing::new(key);
    if key.len() < MIN_BYTES { Err(format!("is shorter than {MIN_BYTES} bytes when decoded")) } else { Ok(key) }
}
