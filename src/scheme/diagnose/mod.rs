//! The signature doctor: what could explain that a request does not verify, found by trying what is known to happen.
//!
//! Pure: bytes in, findings out, by the very functions that verify. A finding holds no secret and no signature that was
//! computed here. Work is bounded: a diagnosis is made by a person at a terminal, of a request that anybody sent.

pub(super) mod bodies;
mod cause;
pub(super) mod secrets;

use bytes::Bytes;
use http::request::Parts;

use super::{Family, Settings, hmac, sigv4};
use crate::clock::UnixSeconds;

pub use cause::Cause;

/// What stands for a value that the quarantine did not keep.
pub const REDACTED: &str = "[redacted]";

/// A request that was refused, and what is known around it.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What its source is configured with.
    pub settings: &'a Settings,
    /// What every other source is configured with, with its name.
    pub others: &'a [(&'a str, &'a Settings)],
    /// The path of its source.
    pub path: &'a str,
    /// Its head.
    pub head: &'a Parts,
    /// Its body as received.
    pub body: &'a Bytes,
    /// When it arrived.
    pub at: UnixSeconds,
    /// How far its timestamp may be from that, seconds.
    pub window: u64,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Of which kind.
    pub cause: Cause,
    /// What exactly, in words; names what the request holds, never a secret.
    pub detail: String,
}

/// What the doctor says.
#[derive(Default)]
pub struct Diagnosis {
    /// What is wrong, the decisive things first; empty where nothing is.
    pub findings: Vec<Finding>,
    /// Settings that accept this request as it stands, where there are such; proven by building and verifying.
    pub settings: Option<Settings>,
}

impl Diagnosis {
    /// One finding, no settings.
    pub(super) fn of(cause: Cause, detail: impl Into<String>) -> Self {
        let mut diagnosis = Self::default();
        diagnosis.add(cause, detail);
        diagnosis
    }

    /// Adds a finding, unless its cause is named already.
    pub(super) fn add(&mut self, cause: Cause, detail: impl Into<String>) {
        if self.findings.iter().all(|finding| finding.cause != cause) {
            self.findings.push(Finding { cause, detail: detail.into() });
        }
    }
}

/// Says what could explain that the request of `case` does not verify.
#[must_use]
pub fn diagnose(case: &Case<'_>) -> Diagnosis {
    match case.settings.family {
        Family::Hmac => hmac::diagnose(case),
        Family::SigV4 => sigv4::diagnose(case),
    }
}

/// Puts back into `head` what the quarantine left out of it and `settings` know: the session token of the key it claims.
pub fn restore(head: &mut Parts, settings: &Settings) {
    if settings.family == Family::SigV4 {
        sigv4::restore_token(head, settings);
    }
}

/// The keys of a source in which `to` differs from `from`, with their new value as TOML; `None`: the key has to go.
#[must_use]
pub fn changes(from: &Settings, to: &Settings) -> Vec<(&'static str, Option<String>)> {
    let texts = [
        ("signature_format", &from.signature_format, &to.signature_format),
        ("timestamp_header", &from.timestamp_header, &to.timestamp_header),
        ("timestamp_unit", &from.timestamp_unit, &to.timestamp_unit),
        ("signed_content", &from.signed_content, &to.signed_content),
        ("id_header", &from.id_header, &to.id_header),
        ("algorithm", &from.algorithm, &to.algorithm),
        ("secret_encoding", &from.secret_encoding, &to.secret_encoding),
        ("region", &from.region, &to.region),
        ("service", &from.service, &to.service),
    ];
    // Header names are compared as HTTP compares them.
    let same = |key: &str, a: Option<&String>, b: Option<&String>| match (a, b) {
        (Some(a), Some(b)) if key.ends_with("_header") => a.eq_ignore_ascii_case(b),
        _ => a == b,
    };
    let mut changes = Vec::new();
    let (own, others) = (&from.signature_headers, &to.signature_headers);
    if own.len() != others.len() || own.iter().zip(others).any(|(a, b)| !a.eq_ignore_ascii_case(b)) {
        let value = match to.signature_headers.as_slice() {
            [one] => format!("{one:?}"),
            several => format!("{several:?}"),
        };
        changes.push(("signature_header", Some(value)));
    }
    for (key, a, b) in texts {
        if !same(key, a.as_ref(), b.as_ref()) {
            changes.push((key, b.as_ref().map(|value| format!("{value:?}"))));
        }
    }
    if from.unsigned_headers != to.unsigned_headers {
        changes.push(("unsigned_headers", Some(format!("{:?}", to.unsigned_headers))));
    }
    changes
}
