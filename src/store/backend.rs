//! What a store is opened with, and what a kind of store says of itself.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::handle::Store;
use super::quarantine::QuarantineBounds;
use crate::clock::{BootClock, Clock};
use crate::metrics::Metrics;

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

/// A kind of store.
pub(super) struct Backend {
    /// What its URLs begin with, up to the colon.
    pub(super) schemes: &'static [&'static str],
    /// How a URL of it is written.
    pub(super) form: &'static str,
    /// Reads a URL that begins so: what to warn about, or what is wrong with it. Neither repeats any of it.
    pub(super) check: fn(&str) -> Result<Option<&'static str>, String>,
    /// Opens it, making and migrating it as needed.
    pub(super) open: fn(Settings, Arc<Metrics>, Clocks) -> Opening,
}

/// A store that is being opened.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Store, StoreError>> + Send>>;
