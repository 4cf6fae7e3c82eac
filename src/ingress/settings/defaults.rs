//! What sources have that do not say otherwise.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::kinds::AllowedIps;
use crate::event::Name;
use crate::server::networks::Networks;
use crate::settings::kind::number;
use crate::settings::{Diagnostics, Found, Table, variable};

/// Who may send to a source that does not say.
pub(super) const ALLOWED_IPS: &str = "GATEPOST_ALLOWED_IPS";
/// The window of a source that does not say.
pub(super) const MAX_DRIFT: &str = "GATEPOST_MAX_DRIFT_SECONDS";
/// The window: whole seconds, both directions.
pub(super) const DRIFT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(15);

/// What sources are read among.
pub(crate) struct Surroundings<'a> {
    /// Every sink there is.
    pub(crate) sinks: &'a [Name],
    /// The sink that gets the events of every source, whatever sinks that names.
    pub(crate) always: Option<&'a Name>,
    /// Largest body of a source that does not say otherwise, bytes.
    pub(crate) body_bytes: usize,
    /// All bodies in flight together, bytes.
    pub(crate) body_memory_bytes: usize,
    /// Why the listener sees no client certificate, where that is so.
    pub(crate) no_certificates: Option<&'static str>,
}

/// What a source has that does not say otherwise.
pub(super) struct Defaults<'a> {
    pub(super) allowed_ips: Found<Networks>,
    pub(super) max_drift: Duration,
    pub(super) body_bytes: usize,
    pub(super) body_memory_bytes: usize,
    pub(super) no_certificates: Option<&'static str>,
    pub(super) sinks: &'a [Name],
    pub(super) always: Option<&'a Name>,
}

impl<'a> Defaults<'a> {
    /// What variables say for every source, and whether they say the window.
    pub(super) fn read(among: &Surroundings<'a>, root: &mut Table, diagnostics: &mut Diagnostics) -> (Self, bool) {
        let allowed_ips = variable(ALLOWED_IPS, "Who may send to sources that have no allowed_ips.", AllowedIps)
            .maybe(root, diagnostics);
        // What is set to nothing is told, and not missing besides.
        let allowed_ips = if diagnostics.is_faulty(ALLOWED_IPS) { Found::Faulty } else { allowed_ips };
        let seconds = DRIFT.start().as_secs()..=DRIFT.end().as_secs();
        let drift = variable(MAX_DRIFT, "The window, in seconds, of sources that have no max_drift.", number(seconds))
            .maybe(root, diagnostics);
        let windowed = !matches!(drift, Found::Unset);
        let max_drift = drift.value().map_or(Duration::from_mins(5), Duration::from_secs);
        let &Surroundings { sinks, always, body_bytes, body_memory_bytes, no_certificates } = among;
        (Self { allowed_ips, max_drift, body_bytes, body_memory_bytes, no_certificates, sinks, always }, windowed)
    }
}
