//! Probe, retention, closing, and the connection on which the server tells what other processes queued.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::store::error::StoreError;
use crate::store::known_duplicates::KnownDuplicates;
use crate::store::maintenance::Maintenance;
use crate::store::postgres::address::Address;
use crate::store::postgres::clock;
use crate::store::postgres::generations;
use crate::store::postgres::inbox::PostgresInbox;
use crate::store::postgres::session::{Pool, Session};
use crate::store::postgres::stats;
use crate::store::stats::{Stats, StoreSize};

/// How long to wait before connecting again; meanwhile polling finds what is queued.
const AGAIN: Duration = Duration::from_secs(1);
const ITS_OWN_COPIES: &str =
    "the store is in PostgreSQL, which copies it itself: use pg_dump (--format=custom), or the server's own backups";

/// The maintenance of a PostgreSQL store.
pub(super) struct PostgresMaintenance {
    /// For all of it.
    pub pool: Pool,
    /// Closed with the store.
    pub inbox: Arc<PostgresInbox>,
    /// Ends with the store.
    pub listener: Listener,
    /// How long events and their ids are kept.
    pub retention: Duration,
    /// Compared with the server's clock.
    pub wall: Clock,
    /// What is told of ids from memory.
    pub known: Arc<KnownDuplicates>,
}

#[async_trait]
impl Maintenance for PostgresMaintenance {
    async fn probe(&self) -> Result<(), StoreError> {
        self.pool.execute("UPDATE gatepost_probe SET at = now()", &[]).await?;
        Ok(())
    }

    async fn skew(&self) -> Result<SignedDuration, StoreError> {
        let (_, ahead) = clock::now(&self.pool, &self.wall).await?;
        Ok(SignedDuration::from_micros(ahead))
    }

    /// Forgets whole generations, a quarter of the retention long each, by the server's clock.
    async fn prune(&self) -> Result<u64, StoreError> {
        let retention = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
        let gone = generations::turn(&self.pool, retention).await;
        self.known.forget();
        gone
    }

    /// The server overwrites what is left of rows by itself, when it cleans up.
    async fn overwrite(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        stats::size(&self.pool).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        stats::stats(&self.pool, self.retention).await
    }

    fn copies(&self) -> bool {
        false
    }

    async fn backup(&self, _: &Path) -> Result<(), StoreError> {
        Err(StoreError::Unsupported(ITS_OWN_COPIES.to_owned()))
    }

    async fn copy(&self) -> Result<File, StoreError> {
        Err(StoreError::Unsupported(ITS_OWN_COPIES.to_owned()))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inbox.close().await;
        self.listener.0.lock().await.shutdown().await;
        self.pool.close();
        Ok(())
    }
}

/// Waits for the server's word that deliveries were queued.
pub(super) struct Listener(Mutex<JoinSet<()>>);

impl Listener {
    /// Starts the task; it connects again whenever the connection ends.
    pub(super) fn start(address: &Address, queued: &Arc<Notify>) -> Self {
        let (address, queued) = (address.clone(), Arc::clone(queued));
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let told = Arc::clone(&queued);
                let session = Session::connect(&address, "LISTEN gatepost_queued", move || told.notify_waiters()).await;
                if let Ok(mut session) = session {
                    // What was queued while nobody listened.
                    queued.notify_waiters();
                    session.ended().await;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self(Mutex::new(task))
    }
}
