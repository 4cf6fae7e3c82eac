//! The tokens of one source: which of them stands in a head, in time that does not tell.

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::settings::Settings;
use crate::scheme::Refusal;
use crate::scheme::token_place::{Format, given};
use crate::secret::Secret;
use crate::settings::ConfigError;

/// The tokens of one source, of which one must stand in a header.
pub(super) struct Tokens {
    header: HeaderName,
    format: Format,
    /// What is compared: of one length, whatever the tokens' are.
    digests: Vec<[u8; 32]>,
    /// What we send ourselves.
    first: Secret,
    pub(super) labels: Vec<String>,
}

impl Tokens {
    /// Those that `settings` describe.
    ///
    /// # Errors
    /// Every error, each with its key relative to the source.
    pub(super) fn new(settings: &Settings) -> Result<Self, Vec<ConfigError>> {
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
    pub(super) fn admit(&self, head: &Parts) -> Result<usize, Refusal> {
        let given: [u8; 32] = Sha256::digest(&*given(head, &self.header, &self.format)?).into();
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
    pub(super) fn write(&self, head: &mut Parts) {
        // A token with a line end in it fits into no header, and nobody could send it.
        if let Ok(mut value) = HeaderValue::from_bytes(&self.format.write(self.first.expose())) {
            value.set_sensitive(true);
            head.headers.insert(&self.header, value);
        }
    }
}
