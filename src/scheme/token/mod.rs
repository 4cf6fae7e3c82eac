//! A static header that only the sender should know: alone, or beside a signature.
//!
//! It proves who sends, and nothing about the body or the time; it is judged with the head.

mod alone;
mod beside;
mod diagnose;
mod format;
mod place;
mod redact;
mod row;
mod settings;
mod tokens;

pub(super) use self::beside::beside;
pub(super) use self::format::{Coding, Format};
pub(super) use self::place::{Header, NO_FORMAT, NO_HEADER, Place, TOKEN_FORMAT, TOKEN_HEADER, Vendor, given};
pub(super) use self::redact::Shape;
pub(super) use self::settings::KEYS;
