//! A token and nothing else.

use http::request::Parts;
use jiff::Timestamp;

use super::tokens::Tokens;
use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::scheme::{Admission, Claims, KeyIndex, Moment, Refusal, Scheme};

/// A token and nothing else.
pub(super) struct Alone(pub(super) Tokens);

impl Scheme for Alone {
    fn admit(&self, head: &Parts, _: Moment) -> Result<Option<Admission>, Refusal> {
        self.0.admit(head).map(|index| Some(KeyIndex(index).into()))
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
