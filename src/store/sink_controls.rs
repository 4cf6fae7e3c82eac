//! What operators decide about sinks while the daemon runs, shared by all processes and kept across restarts.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::event::Name;
use crate::store::error::StoreError;

/// A sink that gets nothing for the time being.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Pause {
    /// Since when, by the wall clock of whoever paused it.
    pub at: Timestamp,
    /// Who paused it.
    pub by: String,
    /// Why, where that was said.
    pub reason: Option<String>,
}

/// A rate that takes the place of the configured one.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct RateOverride {
    /// As in the configuration: `100/s`, `600/m`.
    pub rate: String,
    /// Since when, by the wall clock of whoever set it.
    pub at: Timestamp,
    /// Who set it.
    pub by: String,
}

/// What was decided about one sink.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SinkControl {
    /// Whether it is paused.
    pub paused: Option<Pause>,
    /// Whether another rate than the configured one counts.
    pub rate: Option<RateOverride>,
}

/// Decisions about sinks. From the commit of a pause on nothing is claimed for the sink, by any process; the time in which
/// it is paused counts towards no delivery's age.
#[async_trait]
pub trait SinkControls: Send + Sync {
    /// Every sink about which something was decided, by name.
    async fn all(&self) -> Result<Vec<(Name, SinkControl)>, StoreError>;
    /// Pauses `sink`; `false`, and nothing changes, where it is paused already.
    async fn pause(&self, sink: &Name, pause: &Pause) -> Result<bool, StoreError>;
    /// Ends the pause of `sink`; gives what it was, where there was one.
    async fn resume(&self, sink: &Name) -> Result<Option<Pause>, StoreError>;
    /// Makes `rate` the rate of `sink`, or the configured one again.
    async fn set_rate(&self, sink: &Name, rate: Option<&RateOverride>) -> Result<(), StoreError>;
}

/// For how much of the time from `from` to `now` a sink was paused, in microseconds; each pause from, to, or to this day.
pub(super) fn paused_within(pauses: &[(i64, Option<i64>)], from: i64, now: i64) -> i64 {
    let overlap =
        |(began, ended): &(i64, Option<i64>)| ended.unwrap_or(now).min(now).saturating_sub((*began).max(from)).max(0);
    pauses.iter().map(overlap).fold(0, i64::saturating_add)
}

/// How old a delivery queued at `queued_at` is at `now`, as far as it counts, see [`SinkControls`].
pub(super) fn counted_age(pauses: &[(i64, Option<i64>)], queued_at: i64, now: i64) -> Duration {
    let age = now.saturating_sub(queued_at).saturating_sub(paused_within(pauses, queued_at, now));
    crate::store::stored::duration(age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_of_a_pause_that_a_delivery_waited_through_is_left_out() {
        let pauses = [(10, Some(20)), (30, Some(35)), (90, None)];
        for (from, now, paused) in
            [(0, 5, 0), (0, 15, 5), (0, 100, 25), (15, 100, 20), (20, 30, 0), (95, 100, 5), (100, 90, 0), (0, 32, 12)]
        {
            assert_eq!(paused_within(&pauses, from, now), paused, "{from} to {now}");
        }
        assert_eq!(counted_age(&pauses, 0, 100), Duration::from_micros(75));
        assert_eq!(counted_age(&[(i64::MIN, None)], 0, 100), Duration::ZERO);
        assert_eq!(counted_age(&[], i64::MIN, i64::MAX), Duration::from_micros(i64::MAX.unsigned_abs()));
    }
}
