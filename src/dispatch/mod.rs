//! Dispatch: from the store to one sink. Claims by lease, delivers under a deadline with no transaction open, settles.
//!
//! One [`Dispatcher`] per sink, sharing nothing with the others, so that no sink's failure delays another's deliveries.

mod circuit;
mod outcome;
mod pace;
mod pipeline;
mod upkeep;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::event::Event;
use crate::lifecycle::Lifecycle;
use crate::metrics::SinkMetrics;
use crate::sink::{self, Delivered, Retry, Sink, SinkError};
use crate::store::{Claimed, Outbox, Settled, Settlement, StoreError};
use circuit::Circuit;
use outcome::{Limits, Ticket, outcome};

/// A claim lasts this much longer than the sink's timeout; a dead process's claims pass on when it ends.
const LEASE_MARGIN: Duration = Duration::from_secs(15);
/// A claimed delivery begins within this or is handed back, so that its claim outlasts the attempt and the settlement.
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
    clock: Clock,
    circuit: Mutex<Circuit>,
}

impl Dispatcher {
    /// A dispatcher of the deliveries to `settings.name` through `sink`.
    #[must_use]
    pub fn new(
        mut settings: sink::Settings,
        sink: Arc<dyn Sink>,
        outbox: Arc<dyn Outbox>,
        metrics: SinkMetrics,
        clock: Clock,
    ) -> Self {
        // Zero would deliver nothing and say nothing.
        settings.concurrency = settings.concurrency.max(1);
        Self { settings, sink, outbox, metrics, clock, circuit: Mutex::default() }
    }

    /// Delivers until `lifecycle` stops accepting; then begins nothing new, hands back what was not begun, and waits for
    /// what is under way until the cut-off. What is cut off will be delivered again, under the same id.
    pub async fn run(self, lifecycle: Lifecycle) {
        tokio::select! {
            () = pipeline::run(&self, &lifecycle) => {}
            () = upkeep::run(&self) => {}
        }
    }

    /// A single step: claims what is due, as much as may be delivered at once, delivers and settles it. Returns how
    /// many attempts were made.
    ///
    /// # Errors
    /// [`StoreError`] of the claim or of the settlement.
    pub async fn step(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let limit = self.circuit().allowance(now).min(self.settings.concurrency);
        if limit == 0 {
            return Ok(0);
        }
        let claims = self.outbox.claim(&self.settings.name, limit, now, self.lease()).await?;
        let attempts = claims.len();
        self.circuit().began(attempts);
        let mut under_way = JoinSet::new();
        for Claimed { id, lease, attempts, queued_at, event } in claims {
            let attempt = self.attempt(event, sink::Attempt { number: attempts.saturating_add(1), replay: 0 });
            under_way.spawn(async move { (Ticket { id, lease, attempts, queued_at }, attempt.await) });
        }
        let mut settlements = Vec::with_capacity(attempts);
        while let Some(ended) = under_way.join_next().await {
            // One that panicked stays claimed until its lease runs out, as if the process had died.
            if let Ok((ticket, result)) = ended {
                settlements.push(self.judge(&ticket, result));
            }
        }
        if !settlements.is_empty() {
            self.outbox.settle(settlements).await?;
        }
        upkeep::refresh(self).await?;
        Ok(attempts)
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
            let attempt = tokio::time::timeout(limit, sink.deliver(&event, which));
            attempt.await.unwrap_or_else(|_| {
                Err(SinkError { message: format!("not done within {limit:?}"), retry: Retry::Backoff })
            })
        }
    }

    /// Decides, counts and tells what became of an attempt.
    fn judge(&self, ticket: &Ticket, result: Result<Delivered, SinkError>) -> Settlement {
        let now = self.clock.now();
        match &result {
            Ok(_) | Err(SinkError { retry: Retry::Never, .. }) => {
                if self.circuit().answered() {
                    tracing::info!(sink = %self.settings.name, "the sink answers again");
                }
            }
            Err(error) => {
                if self.circuit().failed(now) {
                    tracing::warn!(sink = %self.settings.name, error = %error, "the sink fails: only probing it now");
                }
            }
        }
        let outcome = outcome(result, ticket, self.limits(), now, fastrand::f64());
        self.count(ticket, &outcome);
        Settlement { id: ticket.id, lease: ticket.lease, outcome }
    }

    fn count(&self, ticket: &Ticket, outcome: &Settled) {
        let (sink, delivery, attempt) = (&self.settings.name, ticket.id.0, ticket.attempts.saturating_add(1));
        match outcome {
            Settled::Done => {
                self.metrics.delivered.inc();
                tracing::debug!(%sink, delivery, attempt, "delivered");
            }
            Settled::Retry { at, error } => {
                self.metrics.retried.inc();
                tracing::info!(%sink, delivery, attempt, error, next_attempt_at = %at, "delivery failed, again later");
            }
            Settled::Dead { error } => {
                self.metrics.dead.inc();
                tracing::warn!(%sink, delivery, attempt, error, "delivery is dead: see `gatepost dead list`");
            }
            Settled::Released { .. } => {}
        }
    }

    /// Hands a claim back as if it had never been taken.
    const fn release(ticket: &Ticket, at: Timestamp) -> Settlement {
        Settlement { id: ticket.id, lease: ticket.lease, outcome: Settled::Released { at } }
    }

    /// The circuit, for a moment: never kept over an await. It stays usable after a panic, being plain numbers.
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
