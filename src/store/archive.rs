//! What a store accepted: listed, looked up, delivered again.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::event::{Event, EventId, KeptHeaders, Name};
use crate::store::delivery::{DeliveryStatus, State};
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter, Pager};

/// Rows of a page where each one has to look at all pending or dead deliveries first.
const ROWS_BY_STATE: u64 = 5_000;

/// How many events are looked through for the beginning of an id, which no index knows.
pub(super) const RECENT: i64 = 100_000;

/// Which events a listing is about; empty means all.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only of this source.
    pub source: Option<Name>,
    /// Only of this event type.
    pub kind: Option<String>,
    /// Only those whose id begins so, among the newest hundred thousand.
    pub id_prefix: Option<String>,
    /// Only with this kept header.
    pub header: Option<KeptHeaders>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only with a delivery to this sink.
    pub sink: Option<Name>,
    /// Only with a delivery (to `sink`, where that is named) whose last error contains this text.
    pub error: Option<String>,
    /// At most this many, newest first.
    pub limit: Option<u64>,
}

impl PagedFilter for EventFilter {
    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }

    fn most_rows(&self) -> u64 {
        if self.state.is_some() { ROWS_BY_STATE } else { Self::ROWS }
    }
}

/// An event in a listing.
#[derive(Clone, Debug)]
pub struct Archived {
    /// The event; the payload is empty where a listing did not ask for it.
    pub event: Event,
    /// Length of the body in bytes.
    pub bytes: u64,
    /// The worst of its deliveries'.
    pub state: State,
    /// Its deliveries, in the order of their sinks' names.
    pub deliveries: Vec<DeliveryStatus>,
    /// Who erased it, and when: then there is nothing of the sender in `event` but id, source, type and time.
    pub erased: Option<Erasure>,
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
    async fn page(&self, filter: &EventFilter, from: Option<Cursor>) -> Result<Page<Archived>, StoreError>;
    /// All of them at once, in memory.
    async fn list(&self, filter: &EventFilter) -> Result<Vec<Archived>, StoreError> {
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
    /// Nothing is queued of an event that was erased.
    async fn replay(&self, events: &[EventRef], sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError>;
    /// Erases what the sender said in `event`, with its open deliveries and the refused requests that have its id or body;
    /// its id stays and counts as before. `None` where there is no such event, or it was erased before. What is not
    /// referred to any more may stay in files until [`Maintenance::overwrite`](crate::store::Maintenance::overwrite).
    async fn erase(&self, event: &EventRef, erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError>;
}
