//! What one round of one server comes to, and the median of several.

use crate::load::Seen;
use crate::numbers::{float, median};

/// One round of one server.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Events (or handshakes) a second.
    pub rate: f64,
    /// Median latency, microseconds.
    pub p50: f64,
    /// 99th percentile, microseconds.
    pub p99: f64,
    /// Server CPU microseconds an event.
    pub cpu: f64,
}

impl Figures {
    /// From what the load saw and the CPU it cost.
    pub(crate) fn new(seen: &Seen, cpu_micros: f64) -> Self {
        let count = float(seen.latency.len());
        Self {
            rate: count / seen.took.as_secs_f64(),
            p50: float(seen.latency.value_at_quantile(0.5)),
            p99: float(seen.latency.value_at_quantile(0.99)),
            cpu: cpu_micros / count,
        }
    }

    /// Each figure's median over the rounds.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self { rate: of(|f| f.rate), p50: of(|f| f.p50), p99: of(|f| f.p99), cpu: of(|f| f.cpu) }
    }
}
