//! Signs what is sent, per Standard Webhooks.

use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::{Engine as _, alphabet};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::secret::{MIN_BYTES, Secret};

/// Secrets are written with and without padding; both are the same bytes.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
#[derive(Clone)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// Signs with `secret`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn new(secret: &Secret) -> Result<Self, String> {
        let form = || "expected a Standard Webhooks secret: whsec_ and base64".to_owned();
        let text = std::str::from_utf8(secret.expose()).map_err(|_| form())?;
        let bytes = BASE64.decode(text.strip_prefix("whsec_").ok_or_else(form)?).map_err(|_| form())?;
        // The rules for secrets are about the bytes that key the MAC; NUL is fine in those.
        if bytes.len() < MIN_BYTES {
            return Err(format!("shorter than {MIN_BYTES} bytes after whsec_"));
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| form())
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_published_one() {
        // The example of the Standard Webhooks libraries.
        let signer = Signer::new(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()).ok().unwrap();
        let signature = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
