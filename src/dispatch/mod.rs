//! Dispatch: from the store to one sink. Claims by lease, delivers under a deadline with no transaction open, settles.
//!
//! One [`Dispatcher`] per sink, sharing nothing with the others, so that no sink's failure delays another's deliveries.
//! It knows no wall clock: what is due says the store, and all else is measured here.

mod circuit;
mod gauges;
mod look;
mod outcome;
mod pace;
mod pipeline;
mod under_way;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Event;
use crate::lifecycle::Lifecycle;
use crate::metrics::SinkMetrics;
use crate::sink::{self, Delivered, Retry, Sink, SinkError, within};
use crate::store::{Claimed, Outbox, Settled, Settlement, StoreError};
use circuit::Circuit;
use outcome::{Limits, Ticket, outcome};
use under_way::Ended;

/// A claim lasts this much longer than the sink's timeout; a dead process's claims pass on when it ends.
/// Long enough for an attempt that begins late and a settlement that takes all the time a store may take.
const LEASE_MARGIN: Duration = Duration::from_secs(20);
/// From before it was claimed, a delivery begins within this or is handed back, so that its claim outlasts the attempt
/// and the settlement.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// Sinks keep the timeout themselves and may take a moment more to leave a connection usable; this cuts off one that
/// does neither.
const SINK_GRACE: Duration = Duration::from_secs(2);

/// Delivers everything the store holds for one sink.
pub struct Dispatcher {
    settings: sink::Settings,
    sink: Arc<dyn Sink>,
    outbox: Arc<dyn Outbox>,
    metrics: SinkMetrics,
    circuit: Mutex<Circuit>,
    /// Whether deliveries have grown too old behind the open circuit.
    too_old: AtomicBool,
}

impl Dispatcher {
    /// A dispatcher of the deliveries to `settings.name` through `sink`.
    #[must_use]
    pub fn new(
        mut settings: sink::Settings,
        sink: Arc<dyn Sink>,
        outbox: Arc<dyn Outbox>,
        metrics: SinkMetrics,
    ) -> Self {
        // Zero would deliver nothing and say nothing.
        settings.concurrency = settings.concurrency.max(1);
        metrics.set_circuit("closed");
        Self { settings, sink, outbox, metrics, circuit: Mutex::default(), too_old: AtomicBool::new(false) }
    }

    /// Delivers until `lifecycle` stops accepting; then begins nothing new, hands back what was not begun, and waits for
    /// what is under way until the cut-off. What is cut off will be delivered again, under the same id.
    pub async fn run(self, lifecycle: Lifecycle) {
        tokio::select! {
            () = pipeline::run(&self, &lifecycle) => {}
            () = gauges::run(&self) => {}
        }
    }

    fn lease(&self) -> Duration {
        self.settings.timeout + LEASE_MARGIN
    }

    const fn limits(&self) -> Limits {
        Limits { attempts: self.settings.max_attempts, age: self.settings.max_age }
    }

    /// One attempt, owned by nobody yet.
    fn attempt(
        &self,
        event: Event,
        which: sink::Attempt,
    ) -> impl Future<Output = Result<Delivered, SinkError>> + Send + 'static + use<> {
        let (sink, limit) = (Arc::clone(&self.sink), self.settings.timeout + SINK_GRACE);
        async move {
            within(limit, sink.deliver(&event, which)).await.unwrap_or_else(|_| {
                Err(SinkError { message: format!("not done within {limit:?}"), retry: Retry::Backoff })
            })
        }
    }

    /// Decides, counts and tells what became of an attempt.
    fn judge(&self, ended: Ended) -> Settlement {
        let Ended { ticket, pass, result } = ended;
        let now = Instant::now();
        match &result {
            Ok(_) | Err(SinkError { retry: Retry::Never, .. }) => {
                if self.circuit().answered() {
                    tracing::info!(sink = %self.settings.name, "the sink answers again");
                }
            }
            Err(error) => {
                if self.circuit().failed(now, pass) {
                    tracing::warn!(sink = %self.settings.name, error = %error, "the sink fails: only probing it now");
                }
            }
        }
        let outcome = outcome(result, &ticket, ticket.age(now), self.limits(), fastrand::f64());
        self.count(&ticket, &outcome);
        ticket.settle(outcome)
    }

    fn count(&self, ticket: &Ticket, outcome: &Settled) {
        let (sink, delivery, attempt) = (&self.settings.name, ticket.id.0, ticket.attempts.saturating_add(1));
        match outcome {
            Settled::Done { duplicate } => {
                self.metrics.delivered.inc();
                tracing::debug!(%sink, delivery, attempt, duplicate, "delivered");
            }
            Settled::Retry { after, error } => {
                self.metrics.retried.inc();
                let wait_ms = after.as_millis();
                tracing::info!(%sink, delivery, attempt, error, wait_ms, "delivery failed, again later");
            }
            Settled::Dead { error } => {
                self.metrics.dead.inc();
                tracing::warn!(%sink, delivery, attempt, error, "delivery is dead: see `gatepost dead list`");
            }
            Settled::Released { .. } => {}
        }
    }

    /// The circuit, for a moment: never kept over an await. It stays usable after a panic, being plain numbers.
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
