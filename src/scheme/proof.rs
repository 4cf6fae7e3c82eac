//! How a source proves who sends to it: what every scheme does, and what it answers.

use std::any::Any;

use http::request::Parts;
use jiff::Timestamp;

use crate::clock::UnixSeconds;
use crate::event::{Digest, Payload};

/// How one source proves who sends to it.
///
/// A request is judged in four steps, so that each refusal comes in its place: [`Scheme::admit`] first,
/// [`Scheme::timestamp`] before the window is checked, [`Scheme::read`] before a byte of the body is wanted, [`Scheme::verify`] once the body is here.
pub trait Scheme: Send + Sync + 'static {
    /// What in the head lets the request in at `moment`; `None` for a scheme that wants no token.
    ///
    /// # Errors
    /// [`Refusal::MissingToken`] or [`Refusal::TokenMismatch`].
    fn admit(&self, _head: &Parts, _moment: Moment) -> Result<Option<Admission>, Refusal> {
        Ok(None)
    }

    /// The time the request claims to have been signed at; `None` for a scheme that has none.
    ///
    /// # Errors
    /// [`Refusal`] where the time is missing, malformed or given twice.
    fn timestamp(&self, head: &Parts) -> Result<Option<UnixSeconds>, Refusal>;

    /// What the head claims, parsed but not proven. Not asked where the admission brought the claims.
    ///
    /// # Errors
    /// [`Refusal::MissingSignature`], [`Refusal::MalformedAuthorization`], or [`Refusal::SignatureMismatch`] for what
    /// can never verify.
    fn read(&self, head: &Parts) -> Result<Claims, Refusal>;

    /// Proves the claims against the body as received. Every key is tried, in time that does not tell which exist.
    ///
    /// # Errors
    /// [`Refusal::SignatureMismatch`], the one answer for an unknown key and a wrong signature.
    fn verify(&self, head: &Parts, claims: &Claims, body: &Payload) -> Result<KeyIndex, Refusal>;

    /// HMAC-SHA256 of `text` with the key that verified a request, in lower-case hex: how some vendors have a receiver show
    /// that it knows the secret. `None` for a scheme that has no such key.
    fn prove(&self, _key: KeyIndex, _text: &[u8]) -> Option<String> {
        None
    }

    /// What logs and metrics call the keys, in order of [`KeyIndex`]: the label that the operator gave, else the
    /// fingerprint of a secret or an access key id. Never a position: that moves when keys are rotated.
    fn keys(&self) -> &[String];

    /// Whether a verified signature vouches for the value of header `name` (lower case).
    fn covers_header(&self, name: &str) -> bool;

    /// SHA-256 over everything that the signature covers, the timestamp included; `None` where it covers nothing, or what
    /// it covers is not all there.
    fn signed(&self, _head: &Parts, _body: &Payload) -> Option<Digest> {
        None
    }

    /// Adds to `head` what the vendor would send with `body` at `at`, signed with the first key. For `gatepost send`.
    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp);

    /// The same, with `said` (names and values) among what is claimed, where anything is.
    fn sign_claiming(&self, head: &mut Parts, body: &[u8], at: Timestamp, _said: &[(&str, &str)]) {
        self.sign(head, body, at);
    }
}

/// When a request is judged, and how far a sender's clock may be from that.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: UnixSeconds,
    /// Seconds, both directions.
    pub leeway: u64,
}

/// What let a request in before its body.
pub struct Admission {
    /// Which key the token is or was made with.
    pub key: KeyIndex,
    /// What the token claims, where the head holds nothing else to verify.
    pub claims: Option<Claims>,
}

impl From<KeyIndex> for Admission {
    fn from(key: KeyIndex) -> Self {
        Self { key, claims: None }
    }
}

/// Which of a scheme's keys verified: an index into [`Scheme::keys`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyIndex(pub usize);

/// What a head claims, parsed and not proven: made by [`Scheme::read`], opaque to everybody but its scheme.
pub struct Claims(Box<dyn Any + Send + Sync>);

impl Claims {
    pub(super) fn of(claims: impl Any + Send + Sync) -> Self {
        Self(Box::new(claims))
    }

    /// The claims, where they are those of the scheme that asks.
    pub(super) fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

/// How a sender without a good token is asked for one (RFC 9110, section 11.6.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Challenge {
    /// With RFC 6750's scheme.
    Bearer,
    /// With RFC 7617's.
    Basic,
    /// As for a signature: what is wanted has no registered scheme.
    Signature,
}

/// Why a scheme does not believe a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No token where one is required.
    MissingToken,
    /// A token that is none of the configured ones, is written in another way or stands twice.
    TokenMismatch,
    /// No timestamp where one is required.
    MissingTimestamp,
    /// A timestamp that is not one, or stands twice.
    InvalidTimestamp,
    /// No signature at all, or none of a version that is known.
    MissingSignature,
    /// A `SigV4` header that cannot be parsed; the text says what is wrong and tells an attacker nothing.
    MalformedAuthorization(&'static str),
    /// It parses and does not verify.
    SignatureMismatch,
}
