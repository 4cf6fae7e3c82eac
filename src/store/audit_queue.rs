//! The bounded queue of audit records towards the SIEM.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

#[cfg(doc)]
use crate::store::delivery::LONGEST_WAIT;
use crate::store::error::StoreError;

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

/// What a record becomes; `None` leaves it as it is.
pub type Rewrite = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

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
    /// Makes of each record what `rewrite` says; returns how many it changed.
    async fn rewrite(&self, rewrite: Rewrite) -> Result<u64, StoreError>;
    /// How many there are.
    async fn count(&self) -> Result<u64, StoreError>;
}
