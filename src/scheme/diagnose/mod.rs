//! The signature doctor: what could explain that a request does not verify, found by trying what is known to happen.
//!
//! Pure: bytes in, findings out, by the very functions that verify. A finding holds no secret and no signature that was
//! computed here. Work is bounded: a diagnosis is made by a person at a terminal, of a request that anybody sent.

pub(super) mod bodies;
mod cause;
pub(super) mod secrets;

use std::any::Any;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use super::settings::Settings;
use crate::clock::UnixSeconds;

pub use cause::Cause;

/// What stands for a value that the quarantine did not keep.
pub const REDACTED: &str = "[redacted]";

/// A request that was refused, and what is known around it; `S` are the settings of its scheme.
pub struct Case<'a, S: ?Sized = dyn Settings> {
    /// What its source is configured with.
    pub settings: &'a S,
    /// What every other source is configured with, with its name.
    pub others: &'a [(&'a str, &'a S)],
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

impl<S: ?Sized> Clone for Case<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Case<'_, S> {}

impl<'a> Case<'a> {
    /// The other sources that have a scheme with settings `S`.
    pub(super) fn others_of<S: Settings>(&self) -> Vec<(&'a str, &'a S)> {
        let same = |(name, settings): &(&'a str, &'a dyn Settings)| {
            let settings: &'a dyn Any = settings.beside_tokens().unwrap_or(*settings);
            Some((*name, settings.downcast_ref()?))
        };
        self.others.iter().filter_map(same).collect()
    }

    /// The same as the scheme with settings `S` knows it.
    pub(super) fn narrowed<'b, S>(&self, settings: &'b S, others: &'b [(&'b str, &'b S)]) -> Case<'b, S>
    where
        'a: 'b,
    {
        let Case { path, head, body, at, window, .. } = *self;
        Case { settings, others, path, head, body, at, window }
    }
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
    pub settings: Option<Arc<dyn Settings>>,
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
    case.settings.diagnose(case)
}
