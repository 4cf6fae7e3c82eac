//! A token as it travels: header, claims and signature in base64url between dots (RFC 7515, section 7.1), and what its
//! header may say.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::fault::{Fault, Malformed};
use super::object::Object;

/// The longest token that is read, bytes.
pub(super) const MAX_TOKEN: usize = 8 * 1024;

/// Members of a header that ask for what is never done: to trust a key or fetch one from where the token says (RFC 8725,
/// section 3.10), to decrypt, to inflate, to understand an extension (RFC 7515, section 4.1.11), to sign otherwise
/// (RFC 7797).
const REFUSED: [&str; 8] = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "enc", "zip"];

/// A token taken apart; nothing in it is proven.
pub(super) struct Compact<'a> {
    /// The header, decoded.
    pub(super) header: Vec<u8>,
    /// The claims, decoded.
    pub(super) payload: Vec<u8>,
    /// What is signed: the first two parts as they travel.
    pub(super) signed: &'a str,
    /// The signature as it travels.
    pub(super) signature: &'a str,
}

/// What the header of a token says.
pub(super) struct Header {
    pub(super) algorithm: String,
    /// Which key signed it.
    pub(super) kid: Option<String>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart.
    pub(super) fn split(token: &'a [u8]) -> Result<Self, Malformed> {
        if token.len() > MAX_TOKEN {
            return Err(Malformed::TooLong(token.len()));
        }
        let text = std::str::from_utf8(token).map_err(|_| Malformed::NotBase64("token"))?;
        let compact = Self::unsigned(text)?;
        if compact.signature.is_empty() {
            return Err(Malformed::Unsigned);
        }
        URL_SAFE_NO_PAD.decode(compact.signature).map_err(|_| Malformed::NotBase64("signature"))?;
        Ok(compact)
    }

    /// The same whatever stands in place of the signature, if anything does; for what is shown, and never for a verdict.
    pub(super) fn unsigned(text: &'a str) -> Result<Self, Malformed> {
        let mut parts = text.split('.');
        let (header, payload, signature) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(header), Some(payload), signature, None) => (header, payload, signature.unwrap_or_default()),
            _ => return Err(Malformed::Parts(text.split('.').count())),
        };
        let signed = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let decode = |part: &str, name| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed::NotBase64(name));
        Ok(Self { header: decode(header, "header")?, payload: decode(payload, "claims")?, signed, signature })
    }

    /// What it claims.
    pub(super) fn claims(&self) -> Result<Object<'_>, Malformed> {
        Object::read(&self.payload).ok_or(Malformed::NotAnObject("claims"))
    }
}

impl Header {
    /// Reads the header of `token`.
    pub(super) fn read(token: &Compact<'_>) -> Result<Self, Fault> {
        let header = Object::read(&token.header).ok_or(Malformed::NotAnObject("header"))?;
        if let Some(refused) = REFUSED.into_iter().find(|name| header.get(name).is_some()) {
            return Err(Fault::Header(refused));
        }
        let text = |name| match header.get(name) {
            None => Ok(None),
            Some(value) => value.text().map(Some).ok_or(Fault::Header(name)),
        };
        // A token within a token (RFC 7519, section 5.2).
        let nested = |kind: &str| ["jwt", "application/jwt"].iter().any(|word| kind.eq_ignore_ascii_case(word));
        if text("cty")?.is_some_and(|kind| nested(&kind)) {
            return Err(Fault::Header("cty"));
        }
        text("typ")?;
        let algorithm = text("alg")?.ok_or(Fault::Header("alg"))?;
        Ok(Self { algorithm, kid: text("kid")? })
    }
}
