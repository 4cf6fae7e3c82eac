//! What all parts of one sink's dispatcher share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::circuit::Circuit;
use crate::metrics::SinkMetrics;
use crate::sink::{Settings, Sink};
use crate::store::Outbox;

/// A lease lasts this much longer than the sink's timeout; a dead process's leases pass on when it ends.
/// Long enough for an attempt that begins late and a settlement that takes all the time a store may take.
const LEASE_MARGIN: Duration = Duration::from_secs(20);

/// One sink, its deliveries in the store, and what is known of both.
pub(super) struct Context {
    pub settings: Settings,
    pub sink: Arc<dyn Sink>,
    pub outbox: Arc<dyn Outbox>,
    pub metrics: SinkMetrics,
    /// Whether deliveries have outlived `max_age` behind the open circuit.
    pub expired: AtomicBool,
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
        Self { settings, sink, outbox, metrics, expired: AtomicBool::new(false), circuit: Mutex::default() }
    }

    /// How long a lease lasts.
    pub(super) fn lease(&self) -> Duration {
        self.settings.timeout + LEASE_MARGIN
    }

    /// The circuit, for a moment: never kept over an await. It stays usable after a panic, being plain numbers.
    pub(super) fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
