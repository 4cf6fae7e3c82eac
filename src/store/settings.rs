//! `[store]` and `[quarantine]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::quarantine::QuarantineBounds;
use super::registry;
use crate::settings::kind::{number, span};
use crate::settings::{Diagnostics, Located, Table, key, secret};

/// Vendors retry for up to a day; ids forgotten earlier would let a retry count twice. At most ten years.
const RETENTION: RangeInclusive<Duration> = Duration::from_hours(24)..=Duration::from_hours(87_600);
const ENTRIES: RangeInclusive<u64> = 1..=100_000_000;
const BYTES: RangeInclusive<u64> = 1..=1 << 40;

const DEFAULT_URL: &str = "sqlite:data/gatepost.db";

/// `[store]`: the URL, which may hold a password and is never logged, and how long ids are remembered and delivered
/// events kept.
pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> (String, Duration) {
    let url = secret(
        "url",
        "sqlite:PATH, or postgres://USER@HOST/DATABASE. May be a secret's reference where it holds a password: \
         url = { file = \"/run/secrets/store\" }.",
    )
    .variable("GATEPOST_STORE")
    .takes_a_restart()
    .text(Some(DEFAULT_URL), table, diagnostics)
    .value()
    .and_then(|located| usable(&located, diagnostics));
    let retention = key(
        "retention",
        "How long ids are remembered and delivered events kept; vendors retry for up to a day.",
        span(RETENTION),
    )
    .variable("GATEPOST_RETENTION")
    .takes_a_restart()
    .or(Duration::from_hours(96), table, diagnostics);
    (url.unwrap_or_else(|| DEFAULT_URL.to_owned()), retention)
}

fn usable(Located { text, at, .. }: &Located, diagnostics: &mut Diagnostics) -> Option<String> {
    match registry::check(text) {
        Ok(warning) => {
            if let Some(warning) = warning {
                diagnostics.warn(format!("{at}: {warning}"));
            }
            Some(text.to_string())
        }
        Err(problem) => {
            diagnostics.error(at, problem);
            None
        }
    }
}

impl QuarantineBounds {
    /// `[quarantine]`
    pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        Self {
            max_entries: key(
                "max_entries",
                "Refused requests kept for inspection; the oldest go first.",
                number(ENTRIES),
            )
            .or(10_000, table, diagnostics),
            max_bytes: key("max_bytes", "Bytes they may take together.", number(BYTES)).or(
                64 << 20,
                table,
                diagnostics,
            ),
        }
    }
}
