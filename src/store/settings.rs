//! `[store]` and `[quarantine]`, and what a store is opened with.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::postgres::url_warning;
use super::quarantine::QuarantineBounds;
use crate::clock::{BootClock, Clock};
use crate::settings::kind::{number, span};
use crate::settings::{Diagnostics, Located, Table, key, secret};

/// Vendors retry for up to a day; ids forgotten earlier would let a retry count twice. At most ten years.
const RETENTION: RangeInclusive<Duration> = Duration::from_hours(24)..=Duration::from_hours(87_600);
const ENTRIES: RangeInclusive<u64> = 1..=100_000_000;
const BYTES: RangeInclusive<u64> = 1..=1 << 40;

const DEFAULT_URL: &str = "sqlite:data/gatepost.db";

/// Where and how to open a store.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. May hold a password: never logged.
    pub url: String,
    /// How long ids are remembered and delivered events kept.
    pub retention: Duration,
    /// Bounds of the quarantine.
    pub quarantine: QuarantineBounds,
}

/// What a store reads the time from; by default the system's clocks.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// What store time is shown as.
    pub wall: Clock,
    /// What the time of a store without a server of its own goes by.
    pub boot: BootClock,
}

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
    match store_url(text) {
        Ok(url) => {
            if let Some(warning) = url.starts_with("postgres").then(|| url_warning(&url)).flatten() {
                diagnostics.warn(format!("{at}: {warning}"));
            }
            Some(url)
        }
        Err(problem) => {
            diagnostics.error(at, problem);
            None
        }
    }
}

fn store_url(text: &str) -> Result<String, String> {
    let postgres =
        ["postgres://", "postgresql://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    match text.strip_prefix("sqlite:") {
        Some(":memory:") => Err("a store in memory forgets what was acknowledged: give a path, sqlite:PATH".to_owned()),
        Some(path) if !path.is_empty() => Ok(text.to_owned()),
        None if postgres => Ok(text.to_owned()),
        _ => Err("expected sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::store_url;

    #[test]
    fn store_urls() {
        for good in ["sqlite:data/gatepost.db", "sqlite:/a", "postgres://u@h/d", "postgresql://u@h/d"] {
            assert!(store_url(good).is_ok(), "{good}");
        }
        for bad in ["", "sqlite:", "sqlite::memory:", "postgres://", "mysql://u@h/d", "data/gatepost.db"] {
            assert!(store_url(bad).is_err(), "{bad}");
        }
    }
}
