//! The bounds of requests and bodies in `[limits]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::server::settings::DEADLINES;
use crate::settings::kind::{size, span};
use crate::settings::{Diagnostics, Table, key};

/// Bodies: at least one byte, at most 1 GiB.
pub(crate) const BODY_BYTES: RangeInclusive<u64> = 1..=1 << 30;
const MEMORY_BYTES: RangeInclusive<u64> = 1..=1 << 40;
const REQUESTS: RangeInclusive<u64> = 1..=1_000_000;

/// How much may be in flight.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, bytes, unless a source says otherwise.
    pub body_bytes: usize,
    /// All bodies in flight together, bytes.
    pub body_memory_bytes: usize,
    /// Requests in flight at once.
    pub concurrent_requests: usize,
    /// From first body byte wanted to last byte read.
    pub body_timeout: Duration,
}

impl Limits {
    /// Those of `[limits]`.
    pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let body_bytes = key("body_bytes", "Largest body in bytes, unless a source says otherwise.", size(BODY_BYTES))
            .variable("WEBHOOK_MAX_BYTES")
            .or(1 << 20, table, diagnostics);
        let body_memory_bytes = key(
            "body_memory_bytes",
            "All bodies in flight together, in bytes; beyond it 503.",
            size(MEMORY_BYTES),
        )
        .or(256 << 20, table, diagnostics);
        let concurrent_requests = key(
            "concurrent_requests",
            "Requests in flight at once; beyond it 503. One client may wait with an eighth of them for bodies that have \
             not come.",
            size(REQUESTS),
        )
        .or(4096, table, diagnostics);
        let body_timeout = key(
            "body_timeout",
            "From the first body byte wanted to the last byte read.",
            span(DEADLINES),
        )
        .or(Duration::from_secs(10), table, diagnostics);
        if body_bytes > body_memory_bytes {
            diagnostics.error(
                "limits.body_bytes",
                "is more than limits.body_memory_bytes, so that the largest bodies never fit",
            );
        }
        Self { body_bytes, body_memory_bytes, concurrent_requests, body_timeout }
    }
}
