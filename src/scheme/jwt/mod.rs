//! JSON Web Tokens (RFC 7519) as senders carry them in a header: signed, with pinned algorithms, by keys that are
//! configured here and nowhere else.
//!
//! What is signed is judged with the head; the body only where the token names its hash.

mod algorithm;
mod body_hash;
mod claims;
mod compact;
mod diagnose;
mod fault;
mod jwks;
mod keys;
mod object;
mod redact;
mod scheme;
mod settings;
mod sign;
#[cfg(test)]
mod tests;

pub(super) use self::settings::Vendor;
