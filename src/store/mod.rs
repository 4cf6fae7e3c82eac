//! The store: one object behind narrow traits, each consumer holding only its own; opened by URL from the registry.
//!
//! Every write is durable when its future resolves. The table is the judge of what is unique, never a cache in front
//! of it. All methods may be called while other processes use the same store.
//!
//! What decides (due times, leases, ages, retention) goes by the store's own time, which is one for all its processes
//! and which no wall clock moves; callers speak in durations. Timestamps are for people to read.

mod archive;
mod audit_queue;
mod dead_letters;
mod delivery;
mod error;
mod handle;
mod inbox;
mod listing;
mod maintenance;
mod migration;
mod outbox;
mod postgres;
mod quarantine;
pub(crate) mod settings;
mod sql;
mod sqlite;
mod stored;
mod transfer;

use std::sync::Arc;

use crate::metrics::Metrics;

pub use self::archive::{Archive, Archived, EventFilter, EventRef};
pub use self::audit_queue::{AuditQueue, QueuedAudit};
pub use self::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetters};
pub use self::delivery::{DeliveryId, DeliveryStatus, LONGEST_WAIT, State};
pub use self::error::StoreError;
pub use self::handle::Store;
pub use self::inbox::{Inbox, Insertion};
pub use self::listing::{Cursor, Page, PagedFilter, Pager};
pub use self::maintenance::Maintenance;
pub use self::migration::{Report, migrate};
pub use self::outbox::{Backlog, Claimed, Outbox, Settled, Settlement};
pub use self::quarantine::{Quarantine, QuarantineBounds, QuarantineFilter, Quarantined};
pub use self::settings::{Clocks, Settings};

/// Opens the store that `settings.url` names, creating and migrating it as needed. Files are made with mode 0600.
///
/// # Errors
/// [`StoreError`] where the scheme is unknown, or the store cannot be opened, written or migrated.
pub async fn open(settings: &Settings, metrics: Arc<Metrics>) -> Result<Store, StoreError> {
    open_by(settings, metrics, Clocks::default()).await
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
