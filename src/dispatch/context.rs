//! What all parts of one sink's dispatcher share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::circuit::Circuit;
use crate::feed::Feed;
use crate::metrics::SinkMetrics;
use crate::sink::{Rate, Settings, Sink};
use crate::store::{Outbox, SinkControl};
use crate::trace::LiveTracer;

/// A lease lasts this much longer than the sink's timeout; a dead process's leases pass on when it ends.
/// Long enough for an attempt that begins late and a settlement that takes all the time a store may take.
const LEASE_MARGIN: Duration = Duration::from_secs(20);

/// One sink, its deliveries in the store, and what is known of both.
pub(super) struct Context {
    pub settings: Settings,
    pub sink: Arc<dyn Sink>,
    pub outbox: Arc<dyn Outbox>,
    pub metrics: SinkMetrics,
    /// Told of each attempt, where somebody may follow.
    pub feed: Option<Feed>,
    /// Takes the span of each attempt, while there is one.
    pub tracer: LiveTracer,
    /// Whether deliveries have outlived `max_age` behind the open circuit.
    pub expired: AtomicBool,
    /// Whether operators have paused the sink, as far as this process knows: the store lets nothing be claimed from then
    /// on, and what is claimed already is handed back when it shows here.
    paused: AtomicBool,
    rate: Mutex<Option<Rate>>,
    circuit: Mutex<Circuit>,
}

impl Context {
    pub(super) fn new(
        mut settings: Settings,
        sink: Arc<dyn Sink>,
        outbox: Arc<dyn Outbox>,
        metrics: SinkMetrics,
    ) -> Self {
        // Zero would deliver nothing and say nothing.
        settings.concurrency = settings.concurrency.max(1);
        metrics.set_circuit("closed");
        metrics.paused.set(0);
        let (expired, paused) = (AtomicBool::new(false), AtomicBool::new(false));
        let rate = Mutex::new(settings.rate);
        Self {
            settings,
            sink,
            outbox,
            metrics,
            feed: None,
            tracer: LiveTracer::default(),
            expired,
            paused,
            rate,
            circuit: Mutex::default(),
        }
    }

    /// How long a lease lasts.
    pub(super) fn lease(&self) -> Duration {
        self.settings.timeout + LEASE_MARGIN
    }

    /// What operators have decided counts from now on.
    pub(super) fn obey(&self, control: &SinkControl) {
        self.paused.store(control.paused.is_some(), Ordering::Release);
        self.metrics.paused.set(i64::from(control.paused.is_some()));
        // One that means nothing was not written by this program.
        let given = control.rate.as_ref().and_then(|given| Rate::parse(&given.rate).ok());
        *self.rate.lock().unwrap_or_else(PoisonError::into_inner) = given.or(self.settings.rate);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// The rate that counts: the operators', else the configured one.
    pub(super) fn rate(&self) -> Option<Rate> {
        *self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The age at which a delivery is dead; no age is, while the sink is paused.
    pub(super) fn max_age(&self) -> Duration {
        if self.is_paused() { Duration::MAX } else { self.settings.max_age }
    }

    /// The circuit, for a moment: never kept over an await. It stays usable after a panic, being plain numbers.
    pub(super) fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
