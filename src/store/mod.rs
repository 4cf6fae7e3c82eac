//! The store: one object behind narrow traits, each consumer holding only its own; opened by URL from the registry.
//!
//! Every write is durable when its future resolves. The table is the judge of what is unique, never a cache in front
//! of it. All methods may be called while other processes use the same store.
//!
//! What decides (due times, leases, ages, retention) goes by the store's own time, which is one for all its processes
//! and which no wall clock moves; callers speak in durations. Timestamps are for people to read.

mod listing;
mod migration;
mod outbox;
mod postgres;
mod quarantine;
pub(crate) mod settings;
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::clock::{BootClock, Clock};
use crate::event::{Event, EventId, EventKey, Name};
use crate::metrics::Metrics;

pub use crate::store::listing::{Cursor, Page, Pager};
pub use crate::store::migration::{Report, migrate};
pub use crate::store::outbox::{Backlog, Claimed, Outbox, Settled, Settlement};
pub use crate::store::quarantine::{Quarantine, QuarantineBounds, Quarantined};

/// The longest that anything is put off: above the longest backoff, `Retry-After` and lease. What is due later than that
/// was written by a clock gone wrong, and counts as due.
pub const LONGEST_WAIT: Duration = Duration::from_hours(2);

/// An open store, taken apart into what each consumer may do with it.
#[derive(Clone)]
pub struct Store {
    /// For ingress: takes events.
    pub inbox: Arc<dyn Inbox>,
    /// For dispatch: what is to be delivered.
    pub outbox: Arc<dyn Outbox>,
    /// For the command line: what was accepted.
    pub archive: Arc<dyn Archive>,
    /// For the command line: deliveries that ran out of attempts.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// For ingress and the command line: refused requests kept for inspection.
    pub quarantine: Arc<dyn Quarantine>,
    /// For audit: the queue towards the SIEM.
    pub audit_queue: Arc<dyn AuditQueue>,
    /// For app: probes, retention, flush.
    pub maintenance: Arc<dyn Maintenance>,
}

/// Where and how to open a store.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. May hold a password: never logged.
    pub url: String,
    /// How long ids are remembered and delivered events kept.
    pub retention: Duration,
    /// Bounds of the quarantine.
    pub quarantine: QuarantineBounds,
}

/// Opens the store that `settings.url` names, creating and migrating it as needed. Files are made with mode 0600.
///
/// # Errors
/// [`StoreError`] where the scheme is unknown, or the store cannot be opened, written or migrated.
pub async fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Store, StoreError> {
    open_by(settings, metrics, Clocks::default()).await
}

/// What a store reads the time from; by default the system's clocks.
#[derive(Clone, Debug, Default)]
pub struct Clocks {
    /// What store time is shown as.
    pub wall: Clock,
    /// What the time of a store without a server of its own goes by.
    pub boot: BootClock,
}

/// [`open`], with other clocks than the system's.
///
/// # Errors
/// As [`open`].
pub async fn open_by(settings: &Settings, metrics: Arc<Metrics>, clocks: Clocks) -> Result<Store, StoreError> {
    match settings.url.split_once(':') {
        Some(("sqlite", _)) => sqlite::open(settings, metrics, clocks).await,
        Some(("postgres" | "postgresql", _)) => postgres::open(settings, metrics, clocks.wall).await,
        _ => Err(StoreError::Url("expected sqlite:PATH or postgres://…".into())),
    }
}

/// What is worth a warning about `url`, in words and without any of it.
#[must_use]
pub fn url_warning(url: &str) -> Option<&'static str> {
    url.starts_with("postgres").then(|| postgres::url_warning(url)).flatten()
}

/// Why the store did not do what was asked. Texts never hold credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no store that is known.
    #[error("store url: {0}")]
    Url(String),
    /// The store was written by a newer gatepost.
    #[error("the store has schema version {found}, this program knows up to {known}: use the newer program")]
    TooNew {
        /// The version found.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The file holds something of another program's.
    #[error("{0}")]
    Foreign(String),
    /// It cannot be reached, written or committed to now; nothing of the call took effect.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// What it holds does not make sense.
    #[error("store corrupt: {0}")]
    Corrupt(String),
}

/// The receiving side.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores `event` with one delivery for each of `sinks`, once per (source, id). Resolves after the commit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the commit failed: nothing was accepted.
    async fn insert(&self, event: Event, sinks: Arc<[Name]>) -> Result<Insertion, StoreError> {
        self.insert_beside(event, &[], sinks).await
    }

    /// The same, and a duplicate too where the body of `event` is stored already under one of the keys `twins`.
    async fn insert_beside(&self, event: Event, twins: &[EventKey], to: Arc<[Name]>) -> Result<Insertion, StoreError>;
}

/// What became of an inserted event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insertion {
    /// It is new and durable.
    Accepted,
    /// The same id with the same body was there before; nothing was written.
    Duplicate,
    /// The same id with another body was there before; nothing was written.
    Conflict,
}

/// A delivery: one event to one sink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DeliveryId(pub i64);

/// Which events or deliveries a listing or a bulk command is about; empty means all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this source.
    pub source: Option<Name>,
    /// Only of this event type.
    pub kind: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Only events in this state.
    pub state: Option<State>,
    /// Only deliveries to this sink.
    pub sink: Option<Name>,
    /// Only deliveries whose last error contains this text.
    pub error: Option<String>,
    /// Sinks that nobody delivers to: among dead letters, what is pending for them counts too, unless somebody has
    /// claimed it.
    pub gone: Vec<Name>,
    /// At most this many rows, newest first.
    pub limit: Option<u64>,
}

/// The state of an event: the worst of its deliveries'.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some delivery is still to be made.
    Pending,
    /// All deliveries are made, or there are none.
    Delivered,
    /// Some delivery ran out of attempts and none is pending.
    Dead,
}

/// An event in a listing.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The event; the payload is empty where a listing did not ask for it.
    pub event: Event,
    /// Length of the body in bytes.
    pub bytes: u64,
    /// Its state.
    pub state: State,
    /// Its deliveries, in the order of their sinks' names.
    pub deliveries: Vec<DeliveryStatus>,
}

/// Where one delivery of an event stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeliveryStatus {
    /// To which sink.
    pub sink: Name,
    /// Pending, delivered or dead.
    pub state: State,
    /// Attempts made.
    pub attempts: u32,
    /// How often it was replayed.
    pub replays: u32,
    /// Whether the sink said, when it took it, that it had it already.
    pub duplicate: bool,
    /// When the next attempt is due, while pending, by this machine's wall clock.
    pub next_attempt_at: Option<Timestamp>,
    /// What the last attempt failed with.
    pub last_error: Option<String>,
}

/// How an operator names an event: `source:id`, or an id alone (which may then match several sources).
#[derive(Clone, Debug)]
pub struct EventRef {
    /// The source, when named.
    pub source: Option<Name>,
    /// The event id.
    pub id: EventId,
}

/// What was accepted.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Some of the events that match, newest first, without bodies: the first, or those after `from`.
    async fn page(&self, filter: &Filter, from: Option<Cursor>) -> Result<Page<Archived>, StoreError>;
    /// All of them at once, in memory.
    async fn list(&self, filter: &Filter) -> Result<Vec<Archived>, StoreError> {
        let (mut pager, mut found) = (Pager::new(filter), Vec::new());
        while let Some((filter, from)) = pager.next() {
            let page = self.page(filter, from).await?;
            found.extend(pager.take(page));
        }
        Ok(found)
    }
    /// The events that `event` names, with bodies; several only when the source is not named.
    async fn get(&self, event: &EventRef) -> Result<Vec<Archived>, StoreError>;
    /// Queues the events' deliveries again from attempt 0, to `sinks` or to those they had; returns how many. Nothing is
    /// queued for those of `gone`, unless asked for: what waits for them or died on the way to them is moved to `sinks`.
    async fn replay(&self, events: &[EventRef], sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError>;
}

/// A delivery that ran out of attempts, or waits for a sink that nobody delivers to.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Which delivery.
    pub id: DeliveryId,
    /// Dead, or pending.
    pub state: State,
    /// To which sink.
    pub sink: Name,
    /// Attempts made.
    pub attempts: u32,
    /// When it died, or has been due since, by this machine's wall clock.
    pub died_at: Timestamp,
    /// Why.
    pub error: String,
    /// The event, without its body in listings. Where it cannot be read, what can be.
    pub event: Event,
}

/// Deliveries that ran out of attempts. `ids` empty means: all that match the filter.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Some of the dead letters that match, newest first, without bodies: the first, or those after `from`.
    async fn page(&self, filter: &Filter, from: Option<Cursor>) -> Result<Page<DeadLetter>, StoreError>;
    /// Dead letters that match, newest first, all at once; with bodies when `bodies`.
    async fn list(&self, ids: &[DeliveryId], filter: &Filter, bodies: bool) -> Result<Vec<DeadLetter>, StoreError>;
    /// Queues them again from attempt 0, moved to sink `to` where it is named; returns how many. Repeating it does nothing
    /// more.
    async fn replay(&self, ids: &[DeliveryId], filter: &Filter, to: Option<&Name>) -> Result<u64, StoreError>;
    /// Gives them up for good; returns how many.
    async fn discard(&self, ids: &[DeliveryId], filter: &Filter) -> Result<u64, StoreError>;
}

/// One record of the audit queue.
#[derive(Clone, Debug)]
pub struct QueuedAudit {
    /// Position in the queue.
    pub id: i64,
    /// The record, JSON.
    pub record: String,
    /// How often the SIEM refused it for good.
    pub attempts: u32,
}

/// The bounded queue of audit records towards the SIEM; several processes may take from it.
#[async_trait]
pub trait AuditQueue: Send + Sync {
    /// Appends records, at most up to `capacity` in all; returns how many did not fit.
    async fn push(&self, records: Vec<String>, capacity: u64) -> Result<u64, StoreError>;
    /// Claims up to `limit` records, oldest first, for `lease`.
    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<QueuedAudit>, StoreError>;
    /// Removes records that were sent or given up.
    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError>;
    /// Frees claimed records to be claimed again after `after`, at most [`LONGEST_WAIT`]; counts an attempt when `refused`.
    async fn release(&self, ids: &[i64], after: Duration, refused: bool) -> Result<(), StoreError>;
    /// How many there are.
    async fn count(&self) -> Result<u64, StoreError>;
}

/// What keeps a store healthy.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Writes something for real, so that a full disk or a lost server shows.
    async fn probe(&self) -> Result<(), StoreError>;
    /// How far this process's wall clock is ahead of the store's time; negative when it is behind. Time that a machine was
    /// off is not counted where the store's time goes by the machine's.
    async fn skew(&self) -> Result<SignedDuration, StoreError>;
    /// Forgets ids and delivered events older than the retention, in small steps that never hold up inserts for long;
    /// returns how many events went. Pending and dead deliveries keep their event. To be called every minute or so: what
    /// is there at one call is known to be older than the retention when that has passed since.
    async fn prune(&self) -> Result<u64, StoreError>;
    /// Finishes what is under way and closes; later calls answer [`StoreError::Unavailable`].
    async fn close(&self) -> Result<(), StoreError>;
}
