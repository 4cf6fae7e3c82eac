//! A static header that only the sender should know: alone, or beside a signature.
//!
//! It proves who sends, and nothing about the body or the time; it is judged with the head.

mod beside;
mod diagnose;
mod format;
mod redact;
mod settings;

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use self::format::Format;
use super::header::Occurrence;
use super::{Claims, KeyIndex, Refusal, Scheme};
use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::secret::Secret;
use crate::settings::ConfigError;

pub(super) use self::beside::beside;
pub(super) use self::settings::{KEYS, Settings, Vendor};

/// The tokens of one source, of which one must stand in a header.
struct Tokens {
    header: HeaderName,
    format: Format,
    /// What is compared: of one length, whatever the tokens' are.
    digests: Vec<[u8; 32]>,
    /// What we send ourselves.
    first: Secret,
    labels: Vec<String>,
}

impl Tokens {
    /// Those that `settings` describe.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source.
    fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
        let errors = settings.check();
        match (&settings.header, &settings.format, settings.tokens.first(), errors.as_slice()) {
            (Some(header), Some(format), Some(first), []) => Ok(Self {
                header: header.name().clone(),
                format: format.clone(),
                digests: settings.tokens.iter().map(|token| Sha256::digest(token.expose()).into()).collect(),
                first: first.clone(),
                labels: settings.tokens.iter().map(Secret::name).collect(),
            }),
            _ => Err(errors),
        }
    }

    /// Which token stands in `head`.
    fn admit(&self, head: &Parts) -> Result<usize, Refusal> {
        let value = match Occurrence::of(&head.headers, &self.header) {
            Occurrence::Absent | Occurrence::Once(b"") => return Err(Refusal::MissingToken),
            Occurrence::Once(value) => value,
            Occurrence::Repeated => return Err(Refusal::TokenMismatch),
        };
        let given = self.format.read(value).ok_or(Refusal::TokenMismatch)?;
        let given: [u8; 32] = Sha256::digest(&*given).into();
        let (mut matched, mut index) = (Choice::from(0), 0_u64);
        // No early exit: which token fits must not show in the time it takes.
        for (position, digest) in (0_u64..).zip(&self.digests) {
            let fits = digest.ct_eq(&given);
            index.conditional_assign(&position, fits & !matched);
            matched |= fits;
        }
        match usize::try_from(index) {
            Ok(index) if bool::from(matched) => Ok(index),
            _ => Err(Refusal::TokenMismatch),
        }
    }

    /// Puts the first token into `head`.
    fn write(&self, head: &mut Parts) {
        // A token with a line end in it fits into no header, and nobody could send it.
        if let Ok(mut value) = HeaderValue::from_bytes(&self.format.write(self.first.expose())) {
            value.set_sensitive(true);
            head.headers.insert(&self.header, value);
        }
    }
}

/// A token and nothing else.
struct Alone(Tokens);

impl Scheme for Alone {
    fn admit(&self, head: &Parts) -> Result<Option<KeyIndex>, Refusal> {
        self.0.admit(head).map(|index| Some(KeyIndex(index)))
    }

    fn timestamp(&self, _: &Parts) -> Result<Option<UnixSeconds>, Refusal> {
        Ok(None)
    }

    fn read(&self, head: &Parts) -> Result<Claims, Refusal> {
        Ok(Claims::of(self.0.admit(head)?))
    }

    fn verify(&self, _: &Parts, claims: &Claims, _: &Payload) -> Result<KeyIndex, Refusal> {
        claims.get::<usize>().map(|index| KeyIndex(*index)).ok_or(Refusal::TokenMismatch)
    }

    fn keys(&self) -> &[String] {
        &self.0.labels
    }

    /// Nothing is signed, so that no header is trusted less than the body.
    fn covers_header(&self, _: &str) -> bool {
        true
    }

    fn sign(&self, head: &mut Parts, _: &[u8], _: Timestamp) {
        self.0.write(head);
    }
}
