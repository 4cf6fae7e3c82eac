//! From one store into another: `gatepost store migrate-from sqlite:…` for those who outgrow one process.
//!
//! Events go with their ids and with what has become of their deliveries, quarantine and audit queue with them. It can
//! be repeated: what is there already is left as it is there. The daemon of the store it reads must not be running, or
//! what that one delivers meanwhile is delivered again.

use crate::event::{Event, Name};
use crate::store::postgres::import::Import;
use crate::store::sqlite::export::Export;
use crate::store::{Quarantined, Settings, StoreError};

/// Rows copied in one transaction.
pub(super) const STEP: i64 = 256;
/// Bytes of bodies copied in one transaction: no more rows once they have so many.
pub(super) const STEP_BYTES: usize = 8 * 1024 * 1024;

/// What was copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Events, each with its id.
    pub events: u64,
    /// Events whose id was there already.
    pub known: u64,
    /// Quarantine entries.
    pub quarantined: u64,
    /// Audit records that wait for the SIEM.
    pub audit: u64,
}

/// An event on its way, with its deliveries.
pub(super) struct Moved {
    /// The event.
    pub event: Event,
    /// What has become of it.
    pub deliveries: Vec<MovedDelivery>,
}

/// A delivery on its way.
pub(super) struct MovedDelivery {
    /// To which sink.
    pub sink: Name,
    /// 0 pending, 1 delivered, 2 dead.
    pub state: i16,
    /// Attempts made.
    pub attempts: i32,
    /// How often it was replayed.
    pub replays: i32,
    /// Whether the sink had it already.
    pub duplicate: bool,
    /// When it is due, or when it died, in microseconds from now: each store has its own time.
    pub due_in: i64,
    /// When it was queued, likewise: negative.
    pub queued_in: i64,
    /// What the last attempt failed with.
    pub error: Option<String>,
}

/// An audit record on its way, with its place in the queue it comes from.
pub(super) struct MovedAudit {
    /// Its place.
    pub id: i64,
    /// The record.
    pub record: String,
}

/// Copies all of `from` (`sqlite:PATH`, which stays as it is) into `to` (`postgres://…`).
///
/// # Errors
/// [`StoreError`] where either cannot be opened, or stops half-way: what was copied by then stays, repeat it.
pub async fn migrate(from: &Settings, to: &Settings) -> Result<Report, StoreError> {
    let from = Export::open(&from.url).await?;
    let store = from.identity().await?;
    let mut to = Import::open(&to.url, store).await?;
    let mut report = Report::default();
    let mut after = 0;
    loop {
        let (last, events) = from.events(after).await?;
        if events.is_empty() {
            break;
        }
        let copied = to.events(&events).await?;
        report.events += copied;
        report.known += events.len() as u64 - copied;
        after = last;
    }
    loop {
        let entries: Vec<Quarantined> = from.quarantine(to.last("quarantine").await?).await?;
        if entries.is_empty() {
            break;
        }
        report.quarantined += to.quarantine(&entries).await?;
    }
    loop {
        let records = from.audit(to.last("audit").await?).await?;
        if records.is_empty() {
            return Ok(report);
        }
        report.audit += to.audit(&records).await?;
    }
}
