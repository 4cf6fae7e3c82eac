//! Signature schemes: the trait, what a scheme is built from, and the registry. Pure and synchronous: bytes in, verdict out.

mod diagnose;
mod header;
mod hmac;
mod mac;
mod preset;
mod sigv4;

use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use crate::clock::UnixSeconds;
use crate::event::Payload;
use crate::secret::Secret;
use crate::settings::ConfigError;

pub use diagnose::{Case, Cause, Diagnosis, Finding, REDACTED, changes, diagnose, restore};
pub use preset::{Answer, BodyFormat, Family, PRESETS, Preset, preset};

/// How one source proves who sends to it.
///
/// A request is judged in three steps, so that each refusal comes in its place: [`Scheme::timestamp`] before the
/// window is checked, [`Scheme::read`] before a byte of the body is wanted, [`Scheme::verify`] once the body is here.
pub trait Scheme: Send + Sync + 'static {
    /// The time the request claims to have been signed at; `None` for a scheme that has none.
    ///
    /// # Errors
    /// [`Refusal`] where the time is missing, malformed or given twice.
    fn timestamp(&self, head: &Parts) -> Result<Option<UnixSeconds>, Refusal>;

    /// What the head claims, parsed but not proven.
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

    /// What logs and metrics call the keys, in order of [`KeyIndex`]: the label that the operator gave, else the
    /// fingerprint of a secret or an access key id. Never a position: that moves when keys are rotated.
    fn keys(&self) -> &[String];

    /// Whether a verified signature vouches for the value of header `name` (lower case).
    fn covers_header(&self, name: &str) -> bool;

    /// Adds to `head` what the vendor would send with `body` at `at`, signed with the first key. For `gatepost send`.
    fn sign(&self, head: &mut Parts, body: &[u8], at: Timestamp);
}

/// Which of a scheme's keys verified: an index into [`Scheme::keys`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyIndex(pub usize);

/// What a head claims, by family; made by [`Scheme::read`], opaque to everybody else.
pub enum Claims {
    /// HMAC families: the candidate MACs and the texts that were signed with the body.
    Hmac(hmac::Claims),
    /// AWS Signature Version 4.
    SigV4(sigv4::Claims),
}

/// Why a scheme does not believe a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
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

/// What a scheme is built from: a preset's values with the operator's laid over them. Keys are those of the file.
#[derive(Clone)]
pub struct Settings {
    /// Which family the preset belongs to.
    pub family: Family,
    /// `secrets`, first is primary (HMAC).
    pub secrets: Vec<Secret>,
    /// How the text of a secret becomes its key: `text` (the default), `hex` or `base64` (HMAC).
    pub secret_encoding: Option<String>,
    /// `sha1`, `sha256` (the default), `sha384` or `sha512` (HMAC).
    pub algorithm: Option<String>,
    /// Headers that may carry the signature, mostly one (HMAC).
    pub signature_headers: Vec<String>,
    /// `sha256={hex}`, `v1={hex},t={timestamp}`, `v1,{base64}` … (HMAC).
    pub signature_format: Option<String>,
    /// Header that carries the timestamp, where the format does not (HMAC).
    pub timestamp_header: Option<String>,
    /// `s`, `ms` or `rfc3339` (HMAC).
    pub timestamp_unit: Option<String>,
    /// Template of `{body}`, `{timestamp}`, `{id}` (HMAC).
    pub signed_content: Option<String>,
    /// Header that `{id}` stands for (HMAC).
    pub id_header: Option<String>,
    /// AWS region of the scope (`SigV4`).
    pub region: Option<String>,
    /// AWS service of the scope (`SigV4`).
    pub service: Option<String>,
    /// Access keys (`SigV4`).
    pub keys: Vec<AccessKey>,
    /// `x-amz-*` headers that may arrive unsigned because something on the way adds them, lower case (`SigV4`).
    pub unsigned_headers: Vec<String>,
}

impl Settings {
    /// What `preset` says, before anybody lays anything over it: without secrets and keys.
    #[must_use]
    pub fn of(preset: &Preset) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            family: preset.family,
            secrets: Vec::new(),
            secret_encoding: None,
            algorithm: None,
            signature_headers: owned(preset.signature_header).into_iter().collect(),
            signature_format: owned(preset.signature_format),
            timestamp_header: owned(preset.timestamp_header),
            timestamp_unit: owned(preset.timestamp_unit),
            signed_content: owned(preset.signed_content),
            id_header: owned(preset.id_header),
            region: None,
            service: owned(preset.service),
            keys: Vec::new(),
            unsigned_headers: Vec::new(),
        }
    }
}

/// One AWS access key.
#[derive(Clone)]
pub struct AccessKey {
    /// `AKIA…`; not secret, it is the key's name in logs and metrics unless its secret has a label.
    pub access_key_id: String,
    /// The secret access key.
    pub secret: Secret,
    /// The token that must come with temporary keys; requests with any other token, or none, are refused.
    pub session_token: Option<Secret>,
}

impl AccessKey {
    /// What logs, metrics and `check` call it: the label of its secret, else its id.
    #[must_use]
    pub fn name(&self) -> String {
        self.secret.label().unwrap_or(&self.access_key_id).to_owned()
    }
}

/// Whether requests that `settings` describe carry a timestamp at all; a window on a source without one cannot act.
#[must_use]
pub fn has_timestamp(settings: &Settings) -> bool {
    match settings.family {
        Family::Hmac => hmac::has_timestamp(settings),
        Family::SigV4 => true,
    }
}

/// What is allowed in `settings` and worth a word at start, each in words that follow the name of the source.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    match settings.family {
        Family::Hmac => hmac::warnings(settings),
        Family::SigV4 => Vec::new(),
    }
}

/// One mark for each key of a source whose signatures cover nothing but the body, none for any other. Two sources with
/// a mark in common accept each other's requests, however old. Not secret, and good for nothing but comparing.
#[must_use]
pub fn body_marks(settings: &Settings) -> Vec<[u8; 32]> {
    match settings.family {
        Family::Hmac => hmac::Hmac::new(settings).map(|scheme| scheme.body_marks()).unwrap_or_default(),
        Family::SigV4 => Vec::new(),
    }
}

/// The AWS canonical request as the verifier sees it, for the signature doctor; holds nothing secret but what the
/// sender signed. `None` without exactly one `Authorization` that can be parsed.
#[must_use]
pub fn canonical_request(head: &Parts, body: &Payload) -> Option<Vec<u8>> {
    sigv4::canonical_request(head, body)
}

/// Builds the scheme that `settings` describe.
///
/// # Errors
/// Every fault, each with its key relative to the source (`signature_format`, `secrets`, `region` …).
pub fn build(settings: &Settings) -> Result<Arc<dyn Scheme>, Vec<ConfigError>> {
    match settings.family {
        Family::Hmac => Ok(Arc::new(hmac::Hmac::new(settings)?)),
        Family::SigV4 => Ok(Arc::new(sigv4::SigV4::new(settings)?)),
    }
}
