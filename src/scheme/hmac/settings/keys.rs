//! From the text of a secret to the key that it is.

use base64::Engine as _;
use zeroize::Zeroizing;

use super::{Settings, Vendor};
use crate::scheme::mac::{BASE64, Key};
use crate::scheme::secret_encoding::{SecretEncoding, WHSEC, long_enough};
use crate::secret::Secret;
use crate::settings::ConfigError;

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

    fn key_bytes(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        match self.secret_encoding {
            SecretEncoding::Text => self.text_key(secret.expose()),
            SecretEncoding::Hex | SecretEncoding::Base64 => self.secret_encoding.key(secret),
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
        self.signature_headers.first() == Vendor::header(row.signature_header).as_ref()
            && self.signature_format == row.signature_format()
            && self.signed_content == row.signed_content()
    }
}
