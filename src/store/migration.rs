//! From one store into another: `gatepost store migrate-from sqlite:…` for those who outgrow one process.
//!
//! Events go with their ids and with what has become of their deliveries, quarantine and audit queue with them. It can
//! be repeated: what is there already is left as it is there. The daemon of the store it reads must not be running, or
//! what that one delivers meanwhile is delivered again.

use crate::store::backend::Settings;
use crate::store::error::StoreError;
use crate::store::postgres::import::Import;
use crate::store::quarantine::Quarantined;
use crate::store::sqlite::export::Export;

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

/// Copies all of `from` (`sqlite:PATH`, which stays as it is) into `to` (`postgres://…`). `progress` is told how many events
/// have been seen to, of how many.
///
/// # Errors
/// [`StoreError`] where either cannot be opened, where a daemon still runs on `from`, or stops half-way: what was copied by
/// then stays, repeat it.
pub async fn migrate(
    from: &Settings,
    to: &Settings,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Report, StoreError> {
    let (url, from) = (&from.url, Export::open(&from.url).await?);
    if from.is_probed().await? {
        let problem = format!("a daemon runs on {url}: stop it first, then copy; nothing was copied");
        return Err(StoreError::Unsupported(problem));
    }
    let store = from.identity().await?;
    let mut to = Import::open(&to.url, store).await?;
    let mut report = Report::default();
    // Before their deliveries, which nobody must make meanwhile.
    to.rates(&from.rates().await?).await?;
    loop {
        let pauses = from.pauses(to.last("pauses").await?).await?;
        if pauses.is_empty() {
            break;
        }
        to.pauses(&pauses).await?;
    }
    let (mut after, all) = (0, from.count().await?);
    loop {
        let (last, events) = from.events(after).await?;
        if events.is_empty() {
            break;
        }
        let copied = to.events(&events).await?;
        report.events += copied;
        report.known += events.len() as u64 - copied;
        after = last;
        progress(report.events + report.known, all);
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
