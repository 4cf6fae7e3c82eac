//! From the text of a secret to the key that it is.

use base64::Engine as _;
use zeroize::Zeroizing;

use super::{Settings, Vendor};
use crate::scheme::mac::{BASE64, BASE64_URL, Key};
use crate::secret::{MIN_BYTES, Secret, WeakSecret};
use crate::settings::ConfigError;

/// What a Standard Webhooks secret begins with (specification, section "Signature scheme").
const WHSEC: &str = "whsec_";

/// How the configured text of a secret becomes its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::scheme::hmac) enum SecretEncoding {
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

impl Settings {
    /// One key for each secret, in order.
    ///
    /// # Errors
    /// Every secret that is no key, by its position.
    pub(in crate::scheme::hmac) fn keys(&self) -> Result<Vec<Key>, Vec<ConfigError>> {
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        if self.secrets.is_empty() {
            errors.push(ConfigError::new("secrets", "is empty: without a secret nothing can be verified"));
        }
        for (position, secret) in self.secrets.iter().enumerate() {
            match self.key_bytes(secret) {
                Ok(bytes) => keys.push(Key::new(&bytes, self.algorithm)),
                Err(problem) => errors.push(ConfigError::new(format!("secrets[{position}]"), problem)),
            }
        }
        if errors.is_empty() { Ok(keys) } else { Err(errors) }
    }

    /// The key of one secret, which may hold any byte once it is decoded.
    fn key_bytes(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        let text = secret.expose();
        let odd = || secret.oddity().map(|oddity| format!("; it {oddity}")).unwrap_or_default();
        match self.secret_encoding {
            SecretEncoding::Text => self.text_key(text),
            SecretEncoding::Hex => long_enough(
                hex::decode(text).map_err(|_| format!("is not hex, as secret_encoding says it is{}", odd()))?,
            ),
            SecretEncoding::Base64 => {
                let encoded = text.strip_prefix(WHSEC.as_bytes()).unwrap_or(text);
                let decoded = BASE64.decode(encoded).or_else(|_| BASE64_URL.decode(encoded));
                long_enough(decoded.map_err(|_| format!("is not base64, as secret_encoding says it is{}", odd()))?)
            }
        }
    }

    /// The key that text is. Where signatures are a list `v1,{base64}`, text that begins with `whsec_` is decoded;
    /// settings that are those of Standard Webhooks must have such. Any other text is taken literally.
    fn text_key(&self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let versions = self.signature_format.as_ref().is_some_and(|format| format.is_list_of_base64());
        match text.strip_prefix(WHSEC.as_bytes()) {
            Some(encoded) if versions => {
                long_enough(BASE64.decode(encoded).map_err(|_| format!("what follows `{WHSEC}` is not base64"))?)
            }
            None if self.is_standard_webhooks() => {
                Err(format!("is not a Standard Webhooks secret: `{WHSEC}` followed by base64 is expected"))
            }
            _ => Ok(Zeroizing::new(text.to_vec())),
        }
    }

    /// Whether signature header, format and content are those of Standard Webhooks, whatever the source is called.
    fn is_standard_webhooks(&self) -> bool {
        let row = &Vendor::STANDARD_WEBHOOKS;
        self.signature_headers.first() == row.header(row.signature_header).as_ref()
            && self.signature_format == row.signature_format()
            && self.signed_content == row.signed_content()
    }
}

/// A key that was decoded, unless too little was behind its text.
fn long_enough(key: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, String> {
    let key = Zeroizing::new(key);
    if key.len() < MIN_BYTES { Err(format!("is shorter than {MIN_BYTES} bytes when decoded")) } else { Ok(key) }
}
