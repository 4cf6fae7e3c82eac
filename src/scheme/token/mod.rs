//! A static header that only the sender should know: alone, or beside a signature.
//!
//! It proves who sends, and nothing about the body or the time; it is judged with the head.

mod alone;
mod beside;
mod diagnose;
mod redact;
mod row;
mod settings;
mod tokens;
mod vendor;

pub(super) use self::beside::beside;
pub(super) use self::settings::KEYS;
pub(super) use self::vendor::Vendor;
