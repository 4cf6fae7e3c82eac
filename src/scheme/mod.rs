//! Signature schemes: the trait, and the registry of presets. Pure and synchronous: bytes in, verdict out.
//!
//! A scheme is a folder: what it verifies, what its keys in the configuration are, what a vendor's row says of it, and
//! what its doctor knows. Rows of `preset/` name it; nothing else does.

mod certificate;
mod diagnose;
mod header;
mod hmac;
mod jwt;
mod mac;
mod preset;
mod proof;
mod registry;
mod secret_encoding;
mod settings;
mod sigv4;
mod starter;
mod token;
mod token_place;

pub use diagnose::{Case, Cause, Diagnosis, Finding, REDACTED, diagnose};
pub(crate) use preset::SecretOrigin;
pub use preset::{Answer, BodyFormat, Preset, preset, presets};
pub use preset::{Asked, Echo, Handshake, Place, Proof, handshake, handshakes};
pub use proof::{Admission, Challenge, Claims, KeyIndex, Moment, Refusal, Scheme};
pub(crate) use registry::read;
pub use settings::{ClaimValue, Remembered, Settings, TokenForm};
pub(crate) use starter::whsec;
