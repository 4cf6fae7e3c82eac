//! Deliveries: claimed by lease, settled, counted. A lease is a number that grows with every claim of a delivery.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::Notify;

use crate::event::Name;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::{EVENT, EVENT_COLUMNS, Names, micros, time, unsigned};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::{Backlog, Claimed, DeliveryId, Outbox, Settled, Settlement, StoreError};

/// The delivering side of a SQLite store.
///
/// [`Outbox::queued`] tells of this process's commits; what other processes queue (a replay on the command line)
/// is found by polling [`Outbox::next_due`].
pub struct SqliteOutbox {
    /// For claims and settlements.
    pub writer: Arc<Writer>,
    /// For everything else.
    pub readers: Readers,
    /// Notified by the writer.
    pub queued: Arc<Notify>,
}

/// A delivery just claimed, its event not read yet.
struct Lease {
    id: i64,
    number: i64,
    attempts: u32,
    queued_at: i64,
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn claim(
        &self,
        sink: &Name,
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let sink = sink.clone();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let now = micros(now);
        let until = now.saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX));
        let leases = self.writer.call(move |tx| claim(tx, &sink, limit, now, until)).await?;
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        self.readers.read(move |conn| with_events(conn, &leases)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        if settlements.is_empty() {
            return Ok(());
        }
        self.writer.call(move |tx| settlements.iter().try_for_each(|settlement| settle(tx, settlement))).await
    }

    async fn next_due(&self, sink: &Name) -> Result<Option<Timestamp>, StoreError> {
        let sink = sink.clone();
        self.readers
            .read(move |conn| {
                let sql = "SELECT min(due_at) FROM deliveries
                           WHERE state = 0 AND sink = (SELECT id FROM sinks WHERE name = ?1)";
                let due: Option<i64> = conn.prepare_cached(sql)?.query_row([sink.as_str()], |row| row.get(0))?;
                due.map(time).transpose()
            })
            .await
    }

    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError> {
        let sink = sink.clone();
        self.readers.read(move |conn| backlog(conn, &sink)).await
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }
}

fn claim(tx: &mut Tx<'_>, sink: &Name, limit: i64, now: i64, until: i64) -> Result<Vec<Lease>, StoreError> {
    let sql = "SELECT id, lease + 1, attempts, queued_at FROM deliveries
               WHERE state = 0 AND sink = (SELECT id FROM sinks WHERE name = ?1) AND due_at <= ?2
               ORDER BY due_at LIMIT ?3";
    let mut sql = tx.conn.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Lease { id: row.get(0)?, number: row.get(1)?, attempts: row.get(2)?, queued_at: row.get(3)? })
    };
    let due: Vec<Lease> = sql.query_map(params![sink.as_str(), now, limit], read)?.collect::<Result<_, _>>()?;
    let mut take =
        tx.conn.prepare_cached("UPDATE deliveries SET lease = ?2, claimed_at = ?3, due_at = ?4 WHERE id = ?1")?;
    for lease in &due {
        take.execute([lease.id, lease.number, now, until])?;
    }
    Ok(due)
}

fn with_events(conn: &Connection, leases: &[Lease]) -> Result<Vec<Claimed>, StoreError> {
    let sources = Names::sources(conn)?;
    let mut sql = conn.prepare_cached(&format!("SELECT {EVENT}, e.body FROM events e WHERE e.seq = ?1"))?;
    let mut claimed = Vec::with_capacity(leases.len());
    for lease in leases {
        let mut rows = sql.query([lease.id / SINKS])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Corrupt(format!("no event of delivery {}", lease.id)))?;
        claimed.push(Claimed {
            id: DeliveryId(lease.id),
            lease: lease.number,
            attempts: lease.attempts,
            queued_at: time(lease.queued_at)?,
            event: sources.event(row, 0, row.get(EVENT_COLUMNS)?)?,
        });
    }
    Ok(claimed)
}

/// Does nothing where the lease has passed on.
fn settle(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    const HELD: &str = "WHERE id = ?1 AND lease = ?2 AND state = 0 AND claimed_at IS NOT NULL";
    let DeliveryId(id) = settlement.id;
    let lease = settlement.lease;
    let sink = id % SINKS;
    match &settlement.outcome {
        Settled::Done => {
            let sql = "SET state = 1, attempts = attempts + 1, claimed_at = NULL, error = NULL";
            if update(tx, sql, HELD, params![id, lease])? {
                tx.count(sink, -1, 0);
                loosen(tx, id / SINKS)?;
            }
        }
        // It died in the attempt that its claim began.
        Settled::Dead { error } => {
            let sql = "SET state = 2, attempts = attempts + 1, due_at = claimed_at, claimed_at = NULL, error = ?3";
            if update(tx, sql, HELD, params![id, lease, error])? {
                tx.count(sink, -1, 1);
            }
        }
        Settled::Retry { at, error } => {
            let sql = "SET attempts = attempts + 1, due_at = ?3, claimed_at = NULL, error = ?4";
            update(tx, sql, HELD, params![id, lease, micros(*at), error])?;
        }
        Settled::Released { at } => {
            update(tx, "SET due_at = ?3, claimed_at = NULL", HELD, params![id, lease, micros(*at)])?;
        }
    }
    Ok(())
}

fn update(tx: &Tx<'_>, set: &str, held: &str, values: impl rusqlite::Params) -> Result<bool, StoreError> {
    Ok(tx.conn.prepare_cached(&format!("UPDATE deliveries {set} {held}"))?.execute(values)? > 0)
}

/// A delivery of event `seq` is over: when retention has passed the event before, it is to be looked at again.
pub fn loosen(tx: &mut Tx<'_>, seq: i64) -> Result<(), StoreError> {
    if seq <= tx.pruned_to()? {
        tx.conn.prepare_cached("INSERT INTO loose VALUES (?1) ON CONFLICT DO NOTHING")?.execute([seq])?;
    }
    Ok(())
}

fn backlog(conn: &Connection, sink: &Name) -> Result<Backlog, StoreError> {
    let sql = "SELECT pending, dead,
                   (SELECT min(queued_at) FROM deliveries d WHERE d.state = 0 AND d.sink = s.id)
               FROM sinks s WHERE name = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get::<_, Option<i64>>(2)?));
    let Some((pending, dead, oldest)) = conn.prepare_cached(sql)?.query_row([sink.as_str()], read).optional()? else {
        return Ok(Backlog::default());
    };
    Ok(Backlog { pending: unsigned(pending), dead: unsigned(dead), oldest: oldest.map(time).transpose()? })
}
