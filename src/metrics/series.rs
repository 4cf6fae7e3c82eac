//! The series of one source and of one sink, resolved once so that counting takes no lookup.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::request_outcome::{Reason, RequestOutcome};

/// A gauge that holds seconds since 1970 or an age.
pub(crate) type SecondsGauge = Gauge<f64, AtomicU64>;

/// The series of one source, resolved once so that a request costs a few atomic additions.
#[derive(Clone)]
pub struct SourceMetrics {
    pub(super) outcomes: [Counter; 7],
    pub(super) refusals: Arc<[Option<Counter>]>,
    pub(super) keys: Arc<[SecondsGauge]>,
    /// `gatepost_request_duration_seconds`
    pub duration: Histogram,
    /// `gatepost_near_misses_total`: requests that no source took, to a path close to this one's.
    pub near_misses: Counter,
}

impl SourceMetrics {
    /// The counter of `outcome`.
    #[must_use]
    pub fn outcome(&self, outcome: RequestOutcome) -> &Counter {
        let [accepted, duplicate, quarantined, handshake, refused, shed, failed] = &self.outcomes;
        match outcome {
            RequestOutcome::Accepted => accepted,
            RequestOutcome::Duplicate => duplicate,
            RequestOutcome::Quarantined => quarantined,
            RequestOutcome::Handshake => handshake,
            RequestOutcome::Refused => refused,
            RequestOutcome::Shed => shed,
            RequestOutcome::Failed => failed,
        }
    }

    /// The counter of refusals for `reason`; `None` where that refuses nothing.
    #[must_use]
    pub fn refusal(&self, reason: Reason) -> Option<&Counter> {
        self.refusals.get(reason as usize)?.as_ref()
    }

    /// When the key at `index` last verified a request, seconds since 1970.
    #[must_use]
    pub(crate) fn key_last_used(&self, index: usize) -> Option<&SecondsGauge> {
        self.keys.get(index)
    }
}

/// The series of one sink.
#[derive(Clone)]
pub struct SinkMetrics {
    /// Deliveries made.
    pub delivered: Counter,
    /// Attempts that failed and will be repeated.
    pub retried: Counter,
    /// Deliveries that will not be tried again.
    pub dead: Counter,
    /// Deliveries not done and not dead.
    pub backlog: Gauge,
    /// Age of the oldest of them, seconds.
    pub oldest_age: SecondsGauge,
    /// Dead letters kept.
    pub dead_letters: Gauge,
    /// Whether operators have paused it.
    pub paused: Gauge,
    pub(super) circuit: [(&'static str, Gauge); 3],
}

impl SinkMetrics {
    /// Says in which state the circuit is: `closed`, `open` or `probing`.
    pub(crate) fn set_circuit(&self, now: &str) {
        for (state, gauge) in &self.circuit {
            gauge.set(i64::from(*state == now));
        }
    }
}
