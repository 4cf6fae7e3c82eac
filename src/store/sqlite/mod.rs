//! The SQLite store: one file, one writing thread, any number of readers and of other processes.
//!
//! WAL with `synchronous=FULL`: a commit is on the disk when it returns. Locking is normal, so that the command line
//! works beside the daemon; an insert that ran out of patience may still be committed, and its sender's retry is then
//! answered as a duplicate. Where a body conflicts is decided by the bodies themselves.

mod archive;
mod audit_queue;
mod backup;
mod blocks;
mod checkpoint;
mod clock;
mod counters;
mod dead_letters;
mod erase;
mod error;
pub(super) mod export;
mod file;
mod foreign;
mod handing;
mod ids;
mod inbox;
mod kept_statement;
mod key_filter;
mod maintenance;
mod oldest;
mod open_files;
mod outbox;
mod pauses;
mod quarantine;
mod readers;
mod replay;
mod retention;
mod rows;
mod schema;
mod search;
mod selection;
mod sink_controls;
mod stats;
mod tasks;
#[cfg(test)]
mod testing;
mod transaction;
mod writer;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::store::backend::{Backend, Clocks, Settings};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::handover::Handovers;
use crate::store::known_duplicates::KnownDuplicates;
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::open_files::OpenFiles;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::writer::Writer;

/// `sqlite:PATH`
pub(super) const BACKEND: Backend = Backend {
    schemes: &["sqlite"],
    form: "sqlite:PATH",
    check,
    open: |settings, metrics, clocks| Box::pin(open(settings, metrics, clocks)),
};

fn check(url: &str) -> Result<Option<&'static str>, String> {
    match url.strip_prefix("sqlite:") {
        Some(":memory:") => Err("a store in memory forgets what was acknowledged: give a path, sqlite:PATH".to_owned()),
        Some(path) if !path.is_empty() => Ok(None),
        Some(_) | None => Err("names no file: write sqlite:PATH".to_owned()),
    }
}

/// Opens the store at `sqlite:PATH`, making file and directory when missing and migrating it.
///
/// # Errors
/// [`StoreError`] where the URL names no file, or the file cannot be opened, written or migrated.
async fn open(settings: Settings, metrics: Arc<Metrics>, clocks: Clocks) -> Result<Store, StoreError> {
    let path = file::path(&settings.url)?;
    let queued = Arc::new(Notify::new());
    let (notify, boot, handovers) = (Arc::clone(&queued), clocks.boot.clone(), Handovers::default());
    let hand_to = handovers.clone();
    let start = move || {
        foreign::refuse(&path)?;
        if file::create(&path, &mut file::sync)? {
            tracing::info!(path = %path.display(), "made a new, empty store");
        }
        let files = Arc::new(OpenFiles::open(path)?);
        let mut conn = files.connect(Role::Writer)?;
        let clock = StoreClock::open(&mut conn, &clocks)?;
        let writer = Writer::start(Arc::clone(&files), conn, metrics, notify, hand_to, clock.clone())?;
        Ok::<_, StoreError>((writer, files, clock))
    };
    let opened = tokio::task::spawn_blocking(start).await;
    let (writer, files, clock) =
        opened.map_err(|error| StoreError::Unavailable(format!("opening broke off: {error}")))??;
    let writer = Arc::new(writer);
    let inbox = Arc::new(inbox::SqliteInbox(Arc::clone(&writer)));
    let inbox = Arc::new(KnownDuplicates::before(inbox, boot));
    let outbox =
        outbox::SqliteOutbox { writer: Arc::clone(&writer), readers: Readers::new(files), queued, handovers, clock };
    Ok(assemble(inbox, outbox, &settings))
}

fn assemble(inbox: Arc<KnownDuplicates>, outbox: outbox::SqliteOutbox, settings: &Settings) -> Store {
    let parts = || (Arc::clone(&outbox.writer), outbox.readers.clone());
    let clock = outbox.clock.clone();
    let archive = parts();
    let dead_letters = parts();
    let quarantine = parts();
    let audit_queue = parts();
    let sink_controls = parts();
    let maintenance = parts();
    Store {
        outbox: Arc::new(outbox),
        archive: Arc::new(archive::SqliteArchive { writer: archive.0, readers: archive.1, clock: clock.clone() }),
        dead_letters: Arc::new(dead_letters::SqliteDeadLetters {
            writer: dead_letters.0,
            readers: dead_letters.1,
            clock: clock.clone(),
        }),
        quarantine: Arc::new(quarantine::SqliteQuarantine {
            writer: quarantine.0,
            readers: quarantine.1,
            bounds: arc_swap::ArcSwap::from_pointee(settings.quarantine),
        }),
        audit_queue: Arc::new(audit_queue::SqliteAuditQueue { writer: audit_queue.0, readers: audit_queue.1 }),
        sink_controls: Arc::new(sink_controls::SqliteSinkControls {
            writer: sink_controls.0,
            readers: sink_controls.1,
        }),
        maintenance: Arc::new(maintenance::SqliteMaintenance {
            writer: maintenance.0,
            readers: maintenance.1,
            clock,
            retention: settings.retention,
            copying: Arc::default(),
            known: Arc::clone(&inbox),
        }),
        inbox,
    }
}
