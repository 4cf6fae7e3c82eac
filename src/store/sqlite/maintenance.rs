//! Probe, retention and closing.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::Mutex;

use crate::store::error::StoreError;
use crate::store::known_duplicates::KnownDuplicates;
use crate::store::maintenance::Maintenance;
use crate::store::sqlite::backup;
use crate::store::sqlite::blocks;
use crate::store::sqlite::clock::{self, StoreClock};
use crate::store::sqlite::erase;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::retention;
use crate::store::sqlite::stats;
use crate::store::sqlite::writer::Writer;
use crate::store::stats::{Stats, StoreSize};

/// The maintenance of a SQLite store.
pub(super) struct SqliteMaintenance {
    /// For all that writes.
    pub writer: Arc<Writer>,
    /// Closed with the store.
    pub readers: Readers,
    /// The store's own time.
    pub clock: StoreClock,
    /// How long events and their ids are kept.
    pub retention: Duration,
    /// Held while a copy is made.
    pub copying: Arc<Mutex<()>>,
    /// What is told of ids from memory.
    pub known: Arc<KnownDuplicates>,
}

#[async_trait]
impl Maintenance for SqliteMaintenance {
    async fn probe(&self) -> Result<(), StoreError> {
        self.writer
            .call(|tx| {
                clock::raise_mark(tx.conn, tx.now)?;
                tx.set_counter("probe", tx.counter("probe")? + 1)
            })
            .await
    }

    async fn skew(&self) -> Result<SignedDuration, StoreError> {
        Ok(self.clock.skew())
    }

    async fn prune(&self) -> Result<u64, StoreError> {
        let gone = retention::prune(&self.writer, self.retention).await;
        self.known.forget();
        let gone = gone?;
        blocks::keep(&self.writer).await?;
        Ok(gone)
    }

    async fn overwrite(&self) -> Result<bool, StoreError> {
        erase::cut_log(&self.readers).await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        let path = self.readers.path();
        self.readers.read(move |_| Ok(stats::size(&path))).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let (path, retention) = (self.readers.path(), self.retention);
        self.readers.read(move |conn| stats::stats(conn, &path, retention)).await
    }

    fn copies(&self) -> bool {
        true
    }

    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_owned();
        self.readers.apart(Role::Checkpointer, move |conn| backup::backup(conn, &to)).await
    }

    async fn copy(&self) -> Result<File, StoreError> {
        let busy = |_| StoreError::Unsupported("a copy is being made: ask again when it is there".to_owned());
        let (held, database) = (Arc::clone(&self.copying).try_lock_owned().map_err(busy)?, self.readers.path());
        let copying = move |conn: &_| {
            let copy = backup::copy(conn, &database);
            drop(held);
            copy
        };
        self.readers.apart(Role::Checkpointer, copying).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.readers.close();
        let Some(thread) = self.writer.close() else { return Ok(()) };
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            _ => Err(StoreError::Unavailable("the writing thread broke off".into())),
        }
    }
}
