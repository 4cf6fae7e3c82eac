//! The delivering side of a store: claims, settlements, and how much waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::event::Name;
use crate::store::claimed::Claimed;
use crate::store::delivery::DeliveryId;
#[cfg(doc)]
use crate::store::delivery::LONGEST_WAIT;
use crate::store::error::StoreError;
use crate::store::handover::Handover;
use crate::store::sink_controls::SinkControl;

/// What became of a claimed delivery.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Which delivery.
    pub id: DeliveryId,
    /// The claim it settles.
    pub lease: i64,
    /// The outcome.
    pub outcome: Settled,
}

/// The outcome of one attempt, as the store keeps it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Settled {
    /// Delivered.
    Done {
        /// Whether the sink said that it had it already.
        duplicate: bool,
    },
    /// Attempt failed; again later.
    Retry {
        /// Not before this has passed since the settlement; at most [`LONGEST_WAIT`].
        after: Duration,
        /// Why, in words, at most 512 bytes.
        error: String,
    },
    /// Not tried again by itself; kept as a dead letter.
    Dead {
        /// Why, in words, at most 512 bytes.
        error: String,
    },
    /// Not attempted (shutdown, open circuit); free to be claimed later, the attempt does not count.
    Released {
        /// Not before this has passed since the settlement; at most [`LONGEST_WAIT`].
        after: Duration,
    },
}

/// How much waits for a sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Deliveries not done and not dead.
    pub pending: u64,
    /// How long ago the oldest of them was queued.
    pub oldest_age: Option<Duration>,
    /// The same, as far as `max_age` counts it.
    pub oldest_counted_age: Option<Duration>,
    /// Dead letters.
    pub dead: u64,
}

/// The delivering side.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Claims up to `limit` deliveries of `sink` that are due, oldest first, for `lease`; none while it is paused. One whose event cannot be read
    /// is among them and holds up no other.
    async fn claim(&self, sink: &Name, limit: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError>;

    /// Settles claims, in one commit. Those that were claimed again since are skipped; a lease that merely ran out is
    /// none the worse.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError>;

    /// How soon the next delivery of `sink` is due (or its lease ends), zero for now; `None` with nothing pending, or
    /// while it is paused.
    async fn next_due(&self, sink: &Name) -> Result<Option<Duration>, StoreError>;

    /// How much waits for `sink`; cheap with millions of rows.
    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError>;

    /// Every sink that something waits for or died on the way to, whoever configures it, by name.
    async fn sinks(&self) -> Result<Vec<(Name, Backlog)>, StoreError>;

    /// What operators have decided about `sink`.
    async fn control(&self, sink: &Name) -> Result<SinkControl, StoreError>;

    /// Notified after each commit that queued deliveries, by this process or (where the store can) by others. Only
    /// those that wait already are woken: arm before looking, and poll as well.
    fn queued(&self) -> Arc<Notify>;

    /// From now on new deliveries of `sink` that this process commits are handed over where `to` has room; [`Outbox::queued`] tells
    /// only of the others.
    fn hand_over(&self, sink: &Name, to: &Arc<Handover>);
}
