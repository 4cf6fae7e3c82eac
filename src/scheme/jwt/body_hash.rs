//! The claim that ties a token to one body: SHA-256 in hex or base64.

use base64::Engine as _;
use subtle::ConstantTimeEq as _;

use super::object::{Object, Value};
use crate::event::Payload;
use crate::scheme::mac::{BASE64, BASE64_URL};

/// The longest text that is one: 64 hex digits.
const MAX_TEXT: usize = 64;

/// What a token says of its body.
pub(super) struct BodyHash(Option<[u8; 32]>);

impl BodyHash {
    /// Reads the claim at `pointer`: hex of any case, base64 or base64url, padded or not. Anything else fits no body.
    pub(super) fn read(claims: &Object<'_>, pointer: &str) -> Self {
        let text = claims.at(pointer).and_then(Value::text).filter(|text| text.len() <= MAX_TEXT);
        let decoded = text.and_then(|text| {
            let hex = hex::decode(&text).ok().filter(|bytes| bytes.len() == 32);
            hex.or_else(|| BASE64.decode(&text).ok()).or_else(|| BASE64_URL.decode(&text).ok())
        });
        Self(decoded.and_then(|bytes| bytes.try_into().ok()))
    }

    /// Whether there is one at all.
    pub(super) const fn is_hash(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it is that of `body`.
    pub(super) fn is_of(&self, body: &Payload) -> bool {
        self.0.is_some_and(|hash| bool::from(hash.ct_eq(&body.digest().0)))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn every_usual_writing_is_read_and_nothing_else_fits() {
        // SHA-256 of `{}`, from elsewhere; in base64 its first sextets differ between the two alphabets.
        let hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let base64 = "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=";
        let fits = |text: &str| {
            let claims = format!(r#"{{"a":{{"b":{text}}}}}"#);
            let body = Payload::from(Bytes::from_static(b"{}"));
            BodyHash::read(&Object::read(claims.as_bytes()).unwrap(), "/a/b").is_of(&body)
        };
        let url = base64.replace('+', "-").replace('/', "_");
        let bare = |text: &str| text.trim_end_matches('=').to_owned();
        for right in [hex.to_owned(), hex.to_uppercase(), base64.to_owned(), bare(base64), url.clone(), bare(&url)] {
            assert!(fits(&format!("{right:?}")), "{right}");
        }
        let mixed = base64.replace('+', "-");
        for wrong in [
            "",
            &hex[1..],
            &hex[2..],
            &format!("{hex}00"),
            &format!(" {hex}"),
            &format!("sha256={hex}"),
            &mixed,
            &base64[1..],
            "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4p=",
        ] {
            assert!(!fits(&format!("{wrong:?}")), "{wrong}");
        }
        for wrong in ["null", "1", "[]", "{}"] {
            assert!(!fits(wrong), "{wrong}");
        }
    }
}
