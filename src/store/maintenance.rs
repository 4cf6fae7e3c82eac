//! What keeps a store healthy: probes, retention, closing.

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::store::error::StoreError;
use crate::store::stats::{Stats, StoreSize};

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
    /// Has what was erased overwritten in the store's own files; whether nothing is left of it there, as far as that can be
    /// told.
    async fn overwrite(&self) -> Result<bool, StoreError>;
    /// How large the store is; counts nothing.
    async fn size(&self) -> Result<StoreSize, StoreError>;
    /// What the store holds.
    async fn stats(&self) -> Result<Stats, StoreError>;
    /// Whether it copies itself: a server has its own way.
    fn copies(&self) -> bool;
    /// Copies all that the store holds at one moment into the new file `to`, beside whoever uses it.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] where the file is there already, or the server has its own way.
    async fn backup(&self, to: &Path) -> Result<(), StoreError>;
    /// The same as an open file without a name, which takes its room until it is closed.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] while another is made, or where the server has its own way.
    async fn copy(&self) -> Result<File, StoreError>;
    /// Finishes what is under way and closes; later calls answer [`StoreError::Unavailable`], but for duplicates that are
    /// known without asking.
    async fn close(&self) -> Result<(), StoreError>;
}
