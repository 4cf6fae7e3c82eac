//! The PostgreSQL store: any number of gatepost processes share ids, events, deliveries, quarantine and audit queue.
//!
//! A call answers [`StoreError::Unavailable`] unless its commit is known, within ten seconds, and connects again by
//! itself: a server that restarts needs no restart here. An insert whose commit was cut off may still have taken
//! effect; its sender's retry is then answered as a duplicate.

mod address;
mod archive;
mod audit_queue;
mod batches;
mod candidate;
mod clock;
mod dead_letters;
mod erase;
mod error;
mod generations;
mod handing;
pub(super) mod import;
mod inbox;
mod indexes;
mod insert;
mod maintenance;
mod outbox;
mod partitions;
mod quarantine;
mod rows;
mod schema;
mod search;
mod selection;
mod session;
mod sink_controls;
mod stats;
mod tls;

use std::sync::Arc;

use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::store::backend::{Backend, Clocks, Settings};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::handover::Handovers;
use crate::store::known_duplicates::KnownDuplicates;
use crate::store::postgres::inbox::PostgresInbox;
use crate::store::postgres::maintenance::Listener;
use crate::store::postgres::session::{Pool, Session, within};

/// `postgres://…`
pub(super) const BACKEND: Backend = Backend {
    schemes: &["postgres", "postgresql"],
    form: FORM,
    check,
    open: |settings, metrics, clocks| Box::pin(open(settings, metrics, clocks)),
};
const FORM: &str = "postgres://USER@HOST/DATABASE";

fn check(url: &str) -> Result<Option<&'static str>, String> {
    let rest = url.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    if rest.is_empty() { Err(format!("names no server: write {FORM}")) } else { Ok(address::warning(url)) }
}

/// Opens the store at `postgres://…`, migrating it.
///
/// # Errors
/// [`StoreError`] where the URL is faulty, or the server cannot be reached, refuses us or cannot be migrated.
async fn open(settings: Settings, metrics: Arc<Metrics>, clocks: Clocks) -> Result<Store, StoreError> {
    let Clocks { wall, boot } = clocks;
    let address = address::parse(&settings.url)?;
    within(async {
        let session = Session::connect(&address, "", || ()).await?;
        session.check_server().await?;
        schema::migrate(&session).await
    })
    .await?;
    let queued = Arc::new(Notify::new());
    let pool = Pool::new(address.clone());
    let handovers = Handovers::default();
    let inbox = Arc::new(PostgresInbox::start(&address, &metrics, &queued, &handovers));
    let known = Arc::new(KnownDuplicates::before(Arc::clone(&inbox) as _, boot));
    let listener = Listener::start(&address, &queued);
    let pool = || pool.clone();
    Ok(Store {
        outbox: Arc::new(outbox::PostgresOutbox { pool: pool(), queued, handovers }),
        archive: Arc::new(archive::PostgresArchive { pool: pool(), wall: wall.clone() }),
        dead_letters: Arc::new(dead_letters::PostgresDeadLetters { pool: pool(), wall: wall.clone() }),
        quarantine: Arc::new(quarantine::PostgresQuarantine {
            pool: pool(),
            bounds: arc_swap::ArcSwap::from_pointee(settings.quarantine),
        }),
        audit_queue: Arc::new(audit_queue::PostgresAuditQueue { pool: pool() }),
        sink_controls: Arc::new(sink_controls::PostgresSinkControls { pool: pool() }),
        maintenance: Arc::new(maintenance::PostgresMaintenance {
            pool: pool(),
            inbox,
            listener,
            retention: settings.retention,
            wall,
            known: Arc::clone(&known),
        }),
        inbox: known,
    })
}
