//! Refused requests, kept for inspection: what is kept of one, how many, and what may be done with them.

use std::net::IpAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::event::{EventId, Name};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter, Pager};

/// How large the quarantine may grow. The oldest go first, of the source and reason that hold the most: one kind of
/// request, however many there are, does not push out all others.
#[derive(Clone, Copy, Debug)]
pub struct QuarantineBounds {
    /// Entries.
    pub max_entries: u64,
    /// Bytes of bodies and headers together.
    pub max_bytes: u64,
}

/// A refused request, kept for inspection.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// 0 until stored.
    pub id: i64,
    /// The source it was sent to.
    pub source: Name,
    /// Why it was refused: one of the fixed reasons, or `id_conflict`.
    pub reason: String,
    /// When.
    pub received_at: Timestamp,
    /// The request, as in the access record.
    pub request_id: String,
    /// From where.
    pub client_ip: Option<IpAddr>,
    /// Method and target as received.
    pub target: String,
    /// Header lines as received, credentials redacted to what `explain` needs; JSON array of pairs.
    pub headers: String,
    /// The event id, where it was verified (`id_conflict`).
    pub event_id: Option<EventId>,
    /// The body as received.
    pub body: bytes::Bytes,
}

/// Which refused requests a listing is about; empty means all.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    /// Only those sent to this source.
    pub source: Option<Name>,
    /// Only those refused for this reason.
    pub reason: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// At most this many, newest first.
    pub limit: Option<u64>,
}

impl PagedFilter for QuarantineFilter {
    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }
}

/// Refused requests.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Keeps `entry` within the bounds; returns its id.
    async fn put(&self, entry: Quarantined) -> Result<i64, StoreError>;
    /// The entry that is kept already for the same source, reason, event id and body as `entry`, which names an event.
    async fn same(&self, entry: &Quarantined) -> Result<Option<i64>, StoreError>;
    /// Some of the entries that match, newest first, without bodies: the first, or those after `from`.
    async fn page(&self, filter: &QuarantineFilter, from: Option<Cursor>) -> Result<Page<Quarantined>, StoreError>;
    /// All of them at once, in memory.
    async fn list(&self, filter: &QuarantineFilter) -> Result<Vec<Quarantined>, StoreError> {
        let (mut pager, mut found) = (Pager::new(filter), Vec::new());
        while let Some((filter, from)) = pager.next() {
            let page = self.page(filter, from).await?;
            found.extend(pager.take(page));
        }
        Ok(found)
    }
    /// One entry, with its body.
    async fn get(&self, id: i64) -> Result<Option<Quarantined>, StoreError>;
    /// Removes entries; returns how many were there.
    async fn remove(&self, ids: &[i64]) -> Result<u64, StoreError>;
    /// How many there are.
    async fn count(&self) -> Result<u64, StoreError>;
    /// Keeps to `bounds` from now on, and makes room at once, in small steps.
    async fn resize(&self, bounds: QuarantineBounds) -> Result<(), StoreError>;
}
