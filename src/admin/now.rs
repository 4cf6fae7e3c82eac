//! How the daemon does now: what is wrong first, then what comes in, what goes out, and what it stands on.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::history::{Counted, Totals};
use super::state::Admin;
use crate::event::Name;
use crate::lifecycle::Phase;
use crate::metrics::Reading;

/// What rates are over.
const LATELY: Duration = Duration::from_mins(5);
/// A certificate that expires sooner is worth a word.
const EXPIRES_SOON_DAYS: i64 = 21;
/// So far apart, windows begin to refuse good senders.
const SKEW: f64 = 5.0;
/// A delivery that waits longer is not just on its way.
const OLD: f64 = 300.0;
const CIRCUITS: [&str; 3] = ["closed", "open", "probing"];

/// How the daemon does.
#[derive(Serialize, ToSchema)]
pub(super) struct Now {
    /// RFC 3339, UTC.
    pub(super) at: String,
    pub(super) version: &'static str,
    pub(super) uptime_seconds: i64,
    /// Whether new requests should be sent here.
    pub(super) ready: bool,
    /// starting, ready or draining.
    pub(super) phase: &'static str,
    /// What is wrong, the worst first.
    pub(super) problems: Vec<Wrong>,
    /// What rates are over.
    pub(super) rates_over_seconds: f64,
    pub(super) sources: Vec<SourceNow>,
    pub(super) sinks: Vec<SinkNow>,
    pub(super) store: StoreNow,
    /// When the first certificate of the webhook listener expires; null where nobody knows.
    pub(super) certificate_expires_at: Option<String>,
    pub(super) certificate_days: Option<i64>,
    /// How far this machine's wall clock is ahead of the store's.
    pub(super) clock_skew_seconds: f64,
    pub(super) connections: f64,
    pub(super) body_memory_bytes: f64,
    pub(super) siem_backlog: f64,
}

/// Something that is wrong.
#[derive(Serialize, ToSchema)]
pub(super) struct Wrong {
    /// `bad`, or `warn` for what becomes bad.
    pub(super) level: &'static str,
    pub(super) words: String,
    /// The page where something can be done about it.
    pub(super) page: String,
}

/// What comes to one source, by the minute.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceNow {
    pub(super) source: String,
    pub(super) accepted: f64,
    pub(super) duplicate: f64,
    pub(super) quarantined: f64,
    pub(super) handshake: f64,
    pub(super) refused: f64,
    pub(super) shed: f64,
    pub(super) failed: f64,
    /// No more than so many milliseconds for half of the requests; null without any.
    pub(super) p50_ms: Option<f64>,
    pub(super) p95_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

/// What goes to one sink.
#[derive(Serialize, ToSchema)]
pub(super) struct SinkNow {
    pub(super) sink: String,
    /// Whether the configuration has it; what waits for one that it has not is delivered by nobody.
    pub(super) configured: bool,
    /// Deliveries not done and not dead.
    pub(super) backlog: f64,
    /// Age of the oldest of them.
    pub(super) oldest_age_seconds: f64,
    pub(super) dead: f64,
    /// closed, open or probing; null for a sink that is gone.
    pub(super) circuit: Option<&'static str>,
    /// Whether operators have paused it.
    pub(super) paused: bool,
    /// By the minute.
    pub(super) delivered: f64,
    /// Attempts that failed, by the minute.
    pub(super) retried: f64,
}

/// The store.
#[derive(Serialize, ToSchema)]
pub(super) struct StoreNow {
    /// Whether it took its last write.
    pub(super) writable: bool,
    pub(super) quarantine_entries: f64,
    pub(super) commits: f64,
    /// Mean time of a commit since the start; null before the first.
    pub(super) commit_mean_ms: Option<f64>,
}

impl Now {
    /// As the metrics, the lifecycle and the configuration say; asks the store nothing.
    pub(super) fn of(admin: &Admin) -> Self {
        let reading = admin.metrics.read();
        let totals = Totals::of(&reading);
        let lately = admin.history.lately(&totals, LATELY).unwrap_or_else(|| totals.since(&totals));
        let (now, phase) = (admin.clock.now(), admin.lifecycle.phase());
        let one = |name: &str| reading.one(name).unwrap_or(0.0);
        let expiry = reading.one("gatepost_tls_certificate_expiry_timestamp_seconds").filter(|at| *at > 0.0);
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds of a calendar time")]
        let expiry = expiry.and_then(|at| Timestamp::from_second(at as i64).ok());
        let mut shown = Self {
            at: format!("{now:.0}"),
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.duration_since(admin.started).as_secs(),
            ready: admin.lifecycle.is_ready(),
            phase: word(phase),
            problems: Vec::new(),
            rates_over_seconds: lately.over.as_secs_f64(),
            sources: sources(admin, &lately),
            sinks: sinks(admin, &reading, &lately),
            store: StoreNow::of(admin, &reading),
            certificate_expires_at: expiry.map(|at| at.to_string()),
            certificate_days: expiry.map(|at| at.duration_since(now).as_hours() / 24),
            clock_skew_seconds: one("gatepost_clock_skew_seconds"),
            connections: one("gatepost_connections"),
            body_memory_bytes: one("gatepost_body_memory_bytes"),
            siem_backlog: one("gatepost_siem_backlog"),
        };
        shown.problems = shown.wrong(admin, &reading);
        shown
    }

    fn wrong(&self, admin: &Admin, reading: &Reading) -> Vec<Wrong> {
        let mut found = Vec::new();
        let mut add = |level, words: String, page: &str| found.push(Wrong { level, words, page: page.to_owned() });
        if !self.store.writable {
            add("bad", "The store cannot be written: every webhook is answered 503.".to_owned(), "/configuration");
        }
        if self.phase == "draining" {
            add("warn", "The daemon is draining: it finishes what it has and stops.".to_owned(), "/");
        }
        if let Some(days) = self.certificate_days {
            if days < 0 {
                add("bad", "The TLS certificate has expired: senders refuse it.".to_owned(), "/configuration");
            } else if days < EXPIRES_SOON_DAYS {
                add("warn", format!("The TLS certificate expires in {days} days."), "/configuration");
            }
        }
        for sink in &self.sinks {
            sink.wrong(&mut add);
        }
        for source in self.sources.iter().filter(|source| source.failed + source.shed > 0.0) {
            let words =
                format!("{}: {:.1} requests a minute are answered 503.", source.source, source.failed + source.shed);
            add("bad", words, "/");
        }
        for source in self.sources.iter().filter(|source| source.refused + source.quarantined > source.accepted) {
            let words = format!("{}: more is refused than accepted, {:.1} a minute.", source.source, source.refused);
            add("warn", words, &format!("/refused?source={}", source.source));
        }
        if self.clock_skew_seconds.abs() >= SKEW {
            let words =
                format!("The clock is {:.0} s off the store's: check the time service.", self.clock_skew_seconds);
            add("warn", words, "/");
        }
        if admin.reloads.all().first().is_some_and(|last| last.outcome.is_err()) {
            add("warn", "The last reload was refused: the old configuration is in use.".to_owned(), "/configuration");
        }
        if reading.one("gatepost_log_lines_dropped_total").is_some_and(|dropped| dropped > 0.0) {
            add("warn", "Log lines were dropped: whoever reads stdout is too slow.".to_owned(), "/");
        }
        found.sort_by_key(|wrong| wrong.level != "bad");
        found
    }
}

impl SinkNow {
    /// One that no metric tells of.
    pub(super) fn unknown(sink: &Name) -> Self {
        Self {
            sink: sink.to_string(),
            configured: false,
            backlog: 0.0,
            oldest_age_seconds: 0.0,
            dead: 0.0,
            circuit: None,
            paused: false,
            delivered: 0.0,
            retried: 0.0,
        }
    }

    fn wrong(&self, add: &mut impl FnMut(&'static str, String, &str)) {
        let page = format!("/deliveries?sink={}", self.sink);
        if self.circuit == Some("open") {
            add("bad", format!("Sink {} fails: only now and then a delivery is tried.", self.sink), &page);
        }
        if !self.configured && self.backlog + self.dead > 0.0 {
            let words = format!(
                "Sink {} is not in the configuration, and {:.0} deliveries wait for it.",
                self.sink, self.backlog
            );
            add("bad", words, &page);
        }
        if self.dead > 0.0 {
            let letters = if self.dead > 1.0 { "deliveries are" } else { "delivery is" };
            add("bad", format!("Sink {}: {:.0} {letters} dead.", self.sink, self.dead), &page);
        }
        if self.paused {
            add("warn", format!("Sink {} is paused: {:.0} deliveries wait.", self.sink, self.backlog), &page);
        } else if self.configured && self.oldest_age_seconds >= OLD {
            let words =
                format!("Sink {}: the oldest delivery waits for {:.0} min.", self.sink, self.oldest_age_seconds / 60.0);
            add("warn", words, &page);
        }
    }
}

impl StoreNow {
    fn of(admin: &Admin, reading: &Reading) -> Self {
        let one = |name: &str| reading.one(name).unwrap_or(0.0);
        let commits = one("gatepost_store_commit_duration_seconds_count");
        let mean = one("gatepost_store_commit_duration_seconds_sum") * 1000.0 / commits.max(1.0);
        Self {
            writable: admin.lifecycle.phase() != Phase::Ready || admin.lifecycle.is_ready(),
            quarantine_entries: one("gatepost_quarantine_entries"),
            commits,
            commit_mean_ms: (commits > 0.0).then_some(mean),
        }
    }
}

const fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "draining",
    }
}

fn sources(admin: &Admin, lately: &Counted) -> Vec<SourceNow> {
    let names = admin.view.load().sources.iter().map(|source| source.name.to_string()).collect::<Vec<_>>();
    let shown = |source: String| {
        let rate = |outcome| lately.rate(&lately.requests, &source, outcome);
        let within = |share| lately.percentile(&source, share).map(|seconds| seconds * 1000.0);
        SourceNow {
            accepted: rate("accepted"),
            duplicate: rate("duplicate"),
            quarantined: rate("quarantined"),
            handshake: rate("handshake"),
            refused: rate("refused"),
            shed: rate("shed"),
            failed: rate("failed"),
            p50_ms: within(0.5),
            p95_ms: within(0.95),
            p99_ms: within(0.99),
            source,
        }
    };
    names.into_iter().map(shown).collect()
}

/// Those of the configuration, then those that are gone and still have deliveries.
pub(super) fn sinks(admin: &Admin, reading: &Reading, lately: &Counted) -> Vec<SinkNow> {
    let view = admin.view.load();
    let mut names: Vec<String> = view.sinks.iter().map(|sink| sink.name.to_string()).collect();
    let gone = reading.all("gatepost_delivery_backlog").map(|series| series.label("sink").to_owned());
    let gone: Vec<String> = gone.filter(|name| !view.has_sink(name)).collect();
    names.extend(gone);
    let shown = |sink: String| {
        let gauge = |name| reading.of(name, "sink", &sink).unwrap_or(0.0);
        let is = |state: &str| {
            let mut circuits = reading.all("gatepost_sink_circuit");
            circuits.any(|series| series.label("sink") == sink && series.label("state") == state && series.value > 0.0)
        };
        SinkNow {
            configured: view.has_sink(&sink),
            backlog: gauge("gatepost_delivery_backlog"),
            oldest_age_seconds: gauge("gatepost_delivery_oldest_age_seconds"),
            dead: gauge("gatepost_dead_letters"),
            paused: gauge("gatepost_sink_paused") > 0.0,
            circuit: CIRCUITS.into_iter().find(|state| is(state)),
            delivered: lately.rate(&lately.deliveries, &sink, "delivered"),
            retried: lately.rate(&lately.deliveries, &sink, "retried"),
            sink,
        }
    };
    names.into_iter().map(shown).collect()
}
