//! The signature doctor: what could explain that a request does not verify, found by trying what is known to happen.
//!
//! Pure: bytes in, findings out, by the very functions that verify. A finding holds no secret and no signature that was
//! computed here. Work is bounded: a diagnosis is made by a person at a terminal, of a request that anybody sent.

pub(super) mod bodies;
mod cause;
pub(super) mod secrets;

pub use super::settings::{Case, Diagnosis, Finding};
pub use cause::Cause;

/// What stands for a value that the quarantine did not keep.
pub const REDACTED: &str = "[redacted]";

/// Says what could explain that the request of `case` does not verify.
#[must_use]
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    case.settings.diagnose(case)
}
