//! What a store is opened with.

use std::time::Duration;

use crate::clock::{BootClock, Clock};
use crate::store::quarantine::QuarantineBounds;

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
