//! The metrics of `/metrics`: every series present from the start, every label value from a fixed set.

mod labels;
mod process;
mod reading;
pub(crate) mod reference;
mod series;

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use self::labels::{
    OutcomeLabel, SinkLabel, SinkOutcome, SinkState, SourceKey, SourceLabel, SourceOutcome, SourceReason,
};
pub(crate) use self::reading::Reading;
pub(crate) use self::series::SecondsGauge;
pub use self::series::{SinkMetrics, SourceMetrics};
use crate::event::Name;
use crate::request_outcome::{Reason, RequestOutcome};

/// Of a family whose one series is there once it is known.
type NoLabels = [(&'static str, &'static str); 0];

/// The label value of requests that no source's path matched. No source may be called this.
pub(crate) const NO_SOURCE: &str = "none";

/// Upper bounds of request and commit times, in seconds: from one fast fsync to a sender's patience.
const SECONDS: [f64; 15] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 10.0];
/// Upper bounds of events in one commit.
const BATCH: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0];

/// The states of a sink's circuit.
const CIRCUIT: [&str; 3] = ["closed", "open", "probing"];

/// Both series of what succeeds or fails, resolved once.
struct OkOrFailed {
    ok: Counter,
    failed: Counter,
}

impl OkOrFailed {
    fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let family: Family<OutcomeLabel, Counter> = register(registry, name, help, Family::default());
        let series = |outcome| family.get_or_create_owned(&OutcomeLabel { outcome });
        Self { ok: series("ok"), failed: series("failed") }
    }

    fn count(&self, ok: bool) {
        if ok {
            self.ok.inc()
        } else {
            self.failed.inc()
        };
    }
}

/// Every metric of the daemon; passed around, never global.
pub struct Metrics {
    registry: Registry,
    requests: Family<SourceOutcome, Counter>,
    refusals: Family<SourceReason, Counter>,
    durations: Family<SourceLabel, Histogram, fn() -> Histogram>,
    near_misses: Family<SourceLabel, Counter>,
    key_last_used: Family<SourceKey, SecondsGauge>,
    deliveries: Family<SinkOutcome, Counter>,
    delivery_backlog: Family<SinkLabel, Gauge>,
    delivery_oldest_age: Family<SinkLabel, SecondsGauge>,
    dead_letters: Family<SinkLabel, Gauge>,
    sink_circuit: Family<SinkState, Gauge>,
    sink_paused: Family<SinkLabel, Gauge>,
    siem_callbacks: Family<OutcomeLabel, Counter>,
    handshakes: OkOrFailed,
    reloads: OkOrFailed,
    /// `gatepost_ready`: 1 while `/readyz` says yes, else 0
    pub(crate) ready: Gauge,
    /// `gatepost_store_commit_duration_seconds`
    pub(crate) store_commit: Histogram,
    /// `gatepost_store_batch_events`
    pub(crate) store_batch: Histogram,
    store_bytes: Gauge,
    store_free_bytes: Family<NoLabels, Gauge>,
    /// `gatepost_siem_backlog`
    pub(crate) siem_backlog: Gauge,
    /// `gatepost_quarantine_entries`
    pub(crate) quarantine_entries: Gauge,
    /// `gatepost_connections`
    pub connections: Gauge,
    /// `gatepost_body_memory_bytes`
    pub(crate) body_memory: Gauge<i64, AtomicI64>,
    /// `gatepost_tls_certificate_expiry_timestamp_seconds`: the earliest notAfter of the certificates served
    pub(crate) certificate_expiry: SecondsGauge,
    /// `gatepost_clock_skew_seconds`: how far this machine's wall clock is ahead of the store's time
    pub(crate) clock_skew: SecondsGauge,
    /// `gatepost_log_lines_dropped_total`: lines that were dropped because the log could not be written fast enough
    pub(crate) log_lines_dropped: Counter,
    /// `gatepost_otlp_spans_dropped_total`: spans that the collector did not take, or not fast enough
    pub(crate) spans_dropped: Counter,
}

impl Metrics {
    /// All metrics registered, those without labels present.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        let metrics = Self {
            requests: register(r, "requests", "Requests ended, by source and outcome", Family::default()),
            refusals: register(r, "refusals", "Requests refused, by source and reason", Family::default()),
            durations: register(
                r,
                "request_duration_seconds",
                "From head received to answer decided",
                Family::new_with_constructor(seconds as fn() -> Histogram),
            ),
            near_misses: register(r, "near_misses", "404, to a path close to this source's", Family::default()),
            key_last_used: register(
                r,
                "verification_key_last_used_timestamp_seconds",
                "When a key last verified a request; 0 = never since the start",
                Family::default(),
            ),
            deliveries: register(r, "deliveries", "Delivery attempts ended, by sink and outcome", Family::default()),
            delivery_backlog: register(r, "delivery_backlog", "Deliveries not done and not dead", Family::default()),
            delivery_oldest_age: register(
                r,
                "delivery_oldest_age_seconds",
                "Age of the oldest delivery not done",
                Family::default(),
            ),
            dead_letters: register(r, "dead_letters", "Deliveries that ran out of attempts", Family::default()),
            sink_circuit: register(r, "sink_circuit", "1 for the circuit's state, 0 for the others", Family::default()),
            sink_paused: register(r, "sink_paused", "1 while operators have paused the sink", Family::default()),
            siem_callbacks: register(r, "siem_callbacks", "Audit batches sent to the SIEM", Family::default()),
            handshakes: OkOrFailed::register(r, "tls_handshakes", "TLS handshakes ended"),
            reloads: OkOrFailed::register(r, "reloads", "Reloads of configuration, secrets and certificates"),
            ready: register(r, "ready", "1 while /readyz says yes", Gauge::default()),
            store_commit: register(r, "store_commit_duration_seconds", "Time of one durable commit", seconds()),
            store_batch: register(r, "store_batch_events", "Events inserted by one commit", Histogram::new(BATCH)),
            store_bytes: register(r, "store_bytes", "Bytes of the store on the disk", Gauge::default()),
            store_free_bytes: register(r, "store_free_bytes", "Bytes free on the store's volume", Family::default()),
            siem_backlog: register(r, "siem_backlog", "Audit records waiting for the SIEM", Gauge::default()),
            quarantine_entries: register(r, "quarantine_entries", "Requests kept in quarantine", Gauge::default()),
            connections: register(r, "connections", "Open connections on the webhook listener", Gauge::default()),
            body_memory: register(r, "body_memory_bytes", "Bytes of bodies in flight", Gauge::default()),
            certificate_expiry: register(
                r,
                "tls_certificate_expiry_timestamp_seconds",
                "When the first of the served certificates expires",
                SecondsGauge::default(),
            ),
            clock_skew: register(r, "clock_skew_seconds", "Wall clock ahead of the store's", SecondsGauge::default()),
            log_lines_dropped: register(
                r,
                "log_lines_dropped",
                "Log lines dropped, not blocked on",
                Counter::default(),
            ),
            spans_dropped: register(r, "otlp_spans_dropped", "Spans dropped, not waited for", Counter::default()),
            registry,
        };
        metrics.seed()
    }

    /// Makes the series whose labels are known at build time, so that a dashboard never sees them appear.
    fn seed(mut self) -> Self {
        self.registry.register(
            "gatepost_build",
            "The running build",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        for outcome in ["ok", "retried", "dropped"] {
            drop(self.siem_callbacks.get_or_create(&OutcomeLabel { outcome }));
        }
        process::register(&mut self.registry);
        self
    }

    /// The series of source `source` (or [`NO_SOURCE`]), each made now.
    #[must_use]
    pub fn source(&self, source: &str, keys: &[String]) -> SourceMetrics {
        let name = || source.to_owned();
        let counter = |outcome: RequestOutcome| {
            self.requests.get_or_create_owned(&SourceOutcome { source: name(), outcome: outcome.as_str() })
        };
        let refusal = |reason: Reason| {
            let label = || SourceReason { source: name(), reason: reason.as_str() };
            reason.is_refusal().then(|| self.refusals.get_or_create_owned(&label()))
        };
        let key =
            |key: &String| self.key_last_used.get_or_create_owned(&SourceKey { source: name(), key: key.clone() });
        SourceMetrics {
            outcomes: RequestOutcome::ALL.map(counter),
            refusals: Reason::ALL.into_iter().map(refusal).collect(),
            keys: keys.iter().map(key).collect(),
            duration: self.durations.get_or_create_owned(&SourceLabel { source: name() }),
            near_misses: self.near_misses.get_or_create_owned(&SourceLabel { source: name() }),
        }
    }

    /// The series of sink `sink`, each made now.
    #[must_use]
    pub fn sink(&self, sink: &Name) -> SinkMetrics {
        let outcome =
            |outcome| self.deliveries.get_or_create_owned(&SinkOutcome { sink: sink.as_str().to_owned(), outcome });
        let label = SinkLabel { sink: sink.as_str().to_owned() };
        let circuit = |state| {
            let gauge = self.sink_circuit.get_or_create_owned(&SinkState { sink: sink.as_str().to_owned(), state });
            (state, gauge)
        };
        SinkMetrics {
            delivered: outcome("delivered"),
            retried: outcome("retried"),
            dead: outcome("dead"),
            backlog: self.delivery_backlog.get_or_create_owned(&label),
            oldest_age: self.delivery_oldest_age.get_or_create_owned(&label),
            dead_letters: self.dead_letters.get_or_create_owned(&label),
            paused: self.sink_paused.get_or_create_owned(&label),
            circuit: CIRCUIT.map(circuit),
        }
    }

    /// Takes the series of source `source` away, which is gone.
    pub(crate) fn forget_source(&self, source: &str, keys: &[String]) {
        let name = || source.to_owned();
        for outcome in RequestOutcome::ALL {
            self.requests.remove(&SourceOutcome { source: name(), outcome: outcome.as_str() });
        }
        for reason in Reason::ALL {
            self.refusals.remove(&SourceReason { source: name(), reason: reason.as_str() });
        }
        self.durations.remove(&SourceLabel { source: name() });
        self.near_misses.remove(&SourceLabel { source: name() });
        for key in keys {
            self.forget_key(source, key);
        }
    }

    /// Takes the series of a key of `source` away, which it has no more.
    pub(crate) fn forget_key(&self, source: &str, key: &str) {
        self.key_last_used.remove(&SourceKey { source: source.to_owned(), key: key.to_owned() });
    }

    /// How large the store is, and how much is free beside it where that is known.
    pub(crate) fn set_store_size(&self, bytes: u64, free: Option<u64>) {
        let gauge = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.store_bytes.set(gauge(bytes));
        if let Some(free) = free {
            self.store_free_bytes.get_or_create(&[]).set(gauge(free));
        }
    }

    /// Shows what is left in the store for sink `sink`, which is gone: so many pending, the oldest of that age, and dead.
    pub(crate) fn left_behind(&self, sink: &Name, pending: u64, dead: u64, oldest: Duration) {
        let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let label = SinkLabel { sink: sink.as_str().to_owned() };
        self.delivery_backlog.get_or_create(&label).set(gauge(pending));
        self.dead_letters.get_or_create(&label).set(gauge(dead));
        self.delivery_oldest_age.get_or_create(&label).set(oldest.as_secs_f64());
    }

    /// Takes the series of sink `sink` away, which is gone; not those of what is `left` of it in the store.
    pub(crate) fn forget_sink(&self, sink: &Name, left: bool) {
        let name = || sink.as_str().to_owned();
        self.sink_paused.remove(&SinkLabel { sink: name() });
        for state in CIRCUIT {
            self.sink_circuit.remove(&SinkState { sink: name(), state });
        }
        for outcome in ["delivered", "retried", "dead"] {
            self.deliveries.remove(&SinkOutcome { sink: name(), outcome });
        }
        if !left {
            let label = SinkLabel { sink: name() };
            self.delivery_backlog.remove(&label);
            self.delivery_oldest_age.remove(&label);
            self.dead_letters.remove(&label);
        }
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, ok: bool) {
        self.handshakes.count(ok);
    }

    /// Counts a reload.
    pub fn reload(&self, ok: bool) {
        self.reloads.count(ok);
    }

    /// Counts a batch of audit records: `ok`, `retried` or `dropped`.
    pub(crate) fn siem_callback(&self, outcome: &'static str) {
        self.siem_callbacks.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn register<M>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M
where
    M: Clone + prometheus_client::registry::Metric,
{
    registry.register(format!("gatepost_{name}"), help, metric.clone());
    metric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_own_label() {
        let metrics = Metrics::new();
        let series = metrics.source("a", &[]);
        for (count, outcome) in (1..).zip(RequestOutcome::ALL) {
            series.outcome(outcome).inc_by(count);
        }
        let text = metrics.render();
        for (count, outcome) in (1..).zip(RequestOutcome::ALL) {
            let line = format!(r#"gatepost_requests_total{{source="a",outcome="{}"}} {count}"#, outcome.as_str());
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
