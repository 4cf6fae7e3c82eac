//! Deliveries that ran out of attempts: listed, queued again, given up.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::event::{Event, Name};
use crate::store::delivery::{DeliveryId, State};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};

/// Which dead letters a listing or a bulk command is about; empty means all.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Only of events of this source.
    pub source: Option<Name>,
    /// Only of events of this type.
    pub kind: Option<String>,
    /// Of events received at or after.
    pub since: Option<Timestamp>,
    /// Of events received before.
    pub until: Option<Timestamp>,
    /// Only to this sink.
    pub sink: Option<Name>,
    /// Only those whose last error contains this text.
    pub error: Option<String>,
    /// Sinks that nobody delivers to: what is pending for them counts too, unless somebody has claimed it.
    pub gone: Vec<Name>,
    /// At most this many, newest first.
    pub limit: Option<u64>,
}

impl PagedFilter for DeadLetterFilter {
    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn set_limit(&mut self, limit: Option<u64>) {
        self.limit = limit;
    }
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
    async fn page(&self, filter: &DeadLetterFilter, from: Option<Cursor>) -> Result<Page<DeadLetter>, StoreError>;
    /// Dead letters that match, newest first, all at once; with bodies when `bodies`.
    async fn list(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        bodies: bool,
    ) -> Result<Vec<DeadLetter>, StoreError>;
    /// Queues them again from attempt 0, moved to sink `to` where it is named; returns how many. Repeating it does nothing
    /// more.
    async fn replay(&self, ids: &[DeliveryId], filter: &DeadLetterFilter, to: Option<&Name>)
    -> Result<u64, StoreError>;
    /// Gives them up for good; returns how many.
    async fn discard(&self, ids: &[DeliveryId], filter: &DeadLetterFilter) -> Result<u64, StoreError>;
}
