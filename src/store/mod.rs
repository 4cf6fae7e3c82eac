//! The store: one object behind narrow traits, each consumer holding only its own; opened by URL from the registry.
//!
//! Every write is durable when its future resolves. The table is the judge of what is unique: what memory says of it is what
//! the table itself said some seconds ago. All methods may be called while other processes use the same store.
//!
//! What decides (due times, leases, ages, retention) goes by the store's own time, which is one for all its processes
//! and which no wall clock moves; callers speak in durations. Timestamps are for people to read.

mod archive;
mod audit_queue;
mod backend;
mod claimed;
mod dead_letters;
mod delivery;
mod erasure;
mod error;
mod handle;
mod handover;
mod inbox;
mod known_duplicates;
mod listing;
mod maintenance;
mod migration;
mod outbox;
mod postgres;
mod quarantine;
mod registry;
pub(crate) mod settings;
mod sink_controls;
mod sql;
mod sqlite;
mod stats;
mod stored;
mod transfer;

pub use self::archive::{Archive, Archived, EventFilter, EventRef};
pub use self::audit_queue::{AuditQueue, QueuedAudit, Rewrite};
pub use self::backend::{Clocks, Settings};
pub use self::claimed::Claimed;
pub use self::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetters};
pub use self::delivery::{DeliveryId, DeliveryStatus, LONGEST_WAIT, State};
pub use self::erasure::{ErasedParts, Erasure};
pub use self::error::StoreError;
pub use self::handle::Store;
pub use self::handover::{Handed, Handover, Promise};
pub use self::inbox::{Inbox, Insertion};
pub use self::listing::{Cursor, Page, PagedFilter, Pager};
pub use self::maintenance::Maintenance;
pub use self::migration::{Report, migrate};
pub use self::outbox::{Backlog, Outbox, Settled, Settlement};
pub use self::quarantine::{Quarantine, QuarantineBounds, QuarantineFilter, Quarantined};
pub use self::registry::{open, open_by};
pub use self::sink_controls::{Pause, RateOverride, SinkControl, SinkControls};
pub use self::stats::{SinkStats, SourceStats, Stats, StoreSize};
