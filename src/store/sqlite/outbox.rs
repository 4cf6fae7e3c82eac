//! Deliveries: claimed by lease, settled, counted. A lease is a number that grows with every claim of a delivery.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params};
use tokio::sync::Notify;

use crate::event::{Event, Name};
use crate::store::claimed::Claimed;
use crate::store::delivery::DeliveryId;
use crate::store::error::StoreError;
use crate::store::handover::{Handover, Handovers};
use crate::store::outbox::{Backlog, Outbox, Settled, Settlement};
use crate::store::sink_controls::{SinkControl, counted_age};
use crate::store::sql::{EVENT, EVENT_COLUMNS, sql};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::oldest::oldest;
use crate::store::sqlite::pauses;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::retention::loosen;
use crate::store::sqlite::rows::{Names, since};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::sink_controls;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::{furthest, unsigned, wait};

/// The delivering side of a SQLite store.
///
/// [`Outbox::queued`] tells of this process's commits; what other processes queue (a replay on the command line)
/// is found by polling [`Outbox::next_due`].
pub(super) struct SqliteOutbox {
    /// For claims and settlements.
    pub writer: Arc<Writer>,
    /// For everything else.
    pub readers: Readers,
    /// Notified by the writer.
    pub queued: Arc<Notify>,
    /// Looked through by the writer.
    pub handovers: Handovers,
    /// For ages and due times.
    pub clock: StoreClock,
}

/// A delivery just claimed, its event not read yet.
#[derive(Clone, Copy)]
struct Lease {
    id: i64,
    number: i64,
    attempts: u32,
    replay: u32,
    age: Duration,
}

#[async_trait]
impl Outbox for SqliteOutbox {
    async fn claim(&self, sink: &Name, limit: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        let sink = sink.clone();
        let (limit, lease) = (i64::try_from(limit).unwrap_or(i64::MAX), wait(lease));
        let leases: Arc<[Lease]> = self.writer.call(move |tx| claim(tx, &sink, limit, lease)).await?.into();
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = Arc::clone(&leases);
        let read = self.readers.read(move |conn| with_events(conn, &leases)).await;
        if read.is_err() {
            // Given back, or nobody could deliver them before the leases end. A fault here changes nothing.
            let _ = self.writer.call(move |tx| claimed.iter().try_for_each(|lease| give_back(tx, *lease))).await;
        }
        read
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        if settlements.is_empty() {
            return Ok(());
        }
        self.writer.call(move |tx| settlements.iter().try_for_each(|settlement| settle(tx, settlement))).await
    }

    async fn next_due(&self, sink: &Name) -> Result<Option<Duration>, StoreError> {
        let (sink, now) = (sink.clone(), self.clock.now());
        self.readers.read(move |conn| next_due(conn, &sink, now)).await
    }

    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError> {
        let (sink, now) = (sink.clone(), self.clock.now());
        self.readers.read(move |conn| backlog(conn, &sink, now)).await
    }

    async fn sinks(&self) -> Result<Vec<(Name, Backlog)>, StoreError> {
        let now = self.clock.now();
        self.readers
            .read(move |conn| {
                let mut sql =
                    conn.prepare_cached("SELECT name FROM sinks WHERE pending > 0 OR dead > 0 ORDER BY name")?;
                let names = sql.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
                let backlog = |name: Name| Ok((name.clone(), backlog(conn, &name, now)?));
                names.into_iter().map(Name::from).map(backlog).collect()
            })
            .await
    }

    async fn control(&self, sink: &Name) -> Result<SinkControl, StoreError> {
        let sink = sink.clone();
        self.readers.read(move |conn| sink_controls::of(conn, &sink)).await
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }

    fn hand_over(&self, sink: &Name, to: &Arc<Handover>) {
        self.handovers.set(sink, to);
    }
}

/// What may be claimed of the sink `?1` and is due on one side of `?2`, at most `?3`: what waits and what is claimed, whose leases
/// are over then. Both indexes are walked in the order of due times, and merged.
macro_rules! claimable {
    ($side:literal) => {
        sql!(
            "SELECT id, CAST(lease + 1 AS INTEGER), attempts, queued_at, replays, due_at FROM deliveries
                 WHERE {WAITING} AND sink = (SELECT id FROM sinks WHERE name = ?1) AND due_at ",
            $side,
            " ?2
             UNION ALL SELECT id, CAST(lease + 1 AS INTEGER), attempts, queued_at, replays, due_at FROM deliveries
                 WHERE {CLAIMED} AND sink = (SELECT id FROM sinks WHERE name = ?1) AND due_at ",
            $side,
            " ?2
             ORDER BY due_at LIMIT ?3"
        )
    };
}

const DUE: &str = claimable!("<=");
/// Due later than anything can be: a clock that was wrong wrote that.
const STRANDED: &str = claimable!(">");

fn claim(tx: &mut Tx<'_>, sink: &Name, limit: i64, lease: i64) -> Result<Vec<Lease>, StoreError> {
    let now = tx.now;
    let pauses = pauses::of(tx.conn, sink)?;
    if pauses.iter().any(|(_, ended)| ended.is_none()) {
        return Ok(Vec::new());
    }
    let read = |row: &Row<'_>| {
        let (attempts, queued_at) = (row.get(2).unwrap_or(0), row.get(3).unwrap_or(now));
        let replay = row.get(4).unwrap_or(0);
        Ok(Lease { id: row.get(0)?, number: row.get(1)?, attempts, replay, age: counted_age(&pauses, queued_at, now) })
    };
    let select = |sql: &str, bound: i64, limit: i64| {
        let mut select = tx.conn.prepare_cached(sql)?;
        let rows = select.query_map(params![sink.as_str(), bound, limit], read)?;
        rows.collect::<Result<Vec<Lease>, _>>()
    };
    let mut due = select(DUE, now, limit)?;
    let left = limit.saturating_sub(i64::try_from(due.len()).unwrap_or(limit));
    if left > 0 {
        due.extend(select(STRANDED, furthest(now), left)?);
    }
    let mut take =
        tx.conn.prepare_cached("UPDATE deliveries SET lease = ?2, claimed_at = ?3, due_at = ?4 WHERE id = ?1")?;
    for held in &due {
        take.execute([held.id, held.number, now, now + lease])?;
    }
    Ok(due)
}

fn give_back(tx: &mut Tx<'_>, lease: Lease) -> Result<(), StoreError> {
    let outcome = Settled::Released { after: Duration::ZERO };
    settle(tx, &Settlement { id: DeliveryId(lease.id), lease: lease.number, outcome })
}

fn with_events(conn: &Connection, leases: &[Lease]) -> Result<Vec<Claimed>, StoreError> {
    let sources = Names::sources(conn)?;
    let mut sql = conn.prepare_cached(&format!("SELECT {EVENT}, e.body FROM events e WHERE e.seq = ?1"))?;
    let mut claimed = Vec::with_capacity(leases.len());
    for lease in leases {
        let event = match read_event(&mut sql, &sources, lease.id / SINKS) {
            // The file cannot be read now: that says nothing about this event.
            Err(Unread::Now(error)) => return Err(error),
            Err(Unread::Ever(error)) => Err(error),
            Ok(event) => Ok(event),
        };
        let Lease { id, number, attempts, replay, age } = *lease;
        claimed.push(Claimed { id: DeliveryId(id), lease: number, attempts, replay, age, event });
    }
    Ok(claimed)
}

/// Why an event was not read.
enum Unread {
    /// The store is in trouble.
    Now(StoreError),
    /// The event is.
    Ever(String),
}

fn read_event(sql: &mut Statement<'_>, sources: &Names, seq: i64) -> Result<Event, Unread> {
    let stepped = |error: rusqlite::Error| match StoreError::from(error) {
        StoreError::Corrupt(error) => Unread::Ever(error),
        error @ (StoreError::Url(_)
        | StoreError::TooNew { .. }
        | StoreError::Foreign(_)
        | StoreError::Unsupported(_)
        | StoreError::Unavailable(_)) => Unread::Now(error),
    };
    let mut rows = sql.query([seq]).map_err(stepped)?;
    let Some(row) = rows.next().map_err(stepped)? else { return Err(Unread::Ever("it is gone".into())) };
    let body = row.get(EVENT_COLUMNS).map_err(StoreError::from);
    body.and_then(|body| sources.event(row, 0, body)).map_err(|error| match error {
        StoreError::Corrupt(error) | StoreError::Unavailable(error) => Unread::Ever(error),
        error @ (StoreError::Url(_)
        | StoreError::TooNew { .. }
        | StoreError::Foreign(_)
        | StoreError::Unsupported(_)) => Unread::Now(error),
    })
}

/// Does nothing where the lease has passed on.
fn settle(tx: &mut Tx<'_>, settlement: &Settlement) -> Result<(), StoreError> {
    const HELD: &str = sql!("WHERE id = ?1 AND lease = ?2 AND {CLAIMED}");
    const DONE: &str = sql!(
        "UPDATE deliveries SET state = {DELIVERED}, attempts = attempts + 1, claimed_at = NULL, error = NULL, duplicate = ?3
         WHERE id = ?1 AND lease = ?2 AND {CLAIMED}"
    );
    let DeliveryId(id) = settlement.id;
    let (lease, now) = (settlement.lease, tx.now);
    let sink = id % SINKS;
    match &settlement.outcome {
        Settled::Done { duplicate } => {
            if tx.settle_done.get(tx.conn, DONE)?.execute(params![id, lease, duplicate])? > 0 {
                tx.count(sink, -1, 0);
                loosen(tx, id / SINKS)?;
            }
        }
        Settled::Dead { error } => {
            let sql = sql!("SET state = {DEAD}, attempts = attempts + 1, due_at = ?4, claimed_at = NULL, error = ?3");
            if update(tx, sql, HELD, params![id, lease, error, now])? {
                tx.count(sink, -1, 1);
            }
        }
        Settled::Retry { after, error } => {
            let sql = "SET attempts = attempts + 1, due_at = ?3, claimed_at = NULL, error = ?4";
            update(tx, sql, HELD, params![id, lease, now + wait(*after), error])?;
        }
        Settled::Released { after } => {
            update(tx, "SET due_at = ?3, claimed_at = NULL", HELD, params![id, lease, now + wait(*after)])?;
        }
    }
    Ok(())
}

fn update(tx: &Tx<'_>, set: &str, held: &str, values: impl rusqlite::Params) -> Result<bool, StoreError> {
    Ok(tx.conn.prepare_cached(&format!("UPDATE deliveries {set} {held}"))?.execute(values)? > 0)
}

fn next_due(conn: &Connection, sink: &Name, now: i64) -> Result<Option<Duration>, StoreError> {
    let sql = sql!(
        "SELECT (SELECT min(due_at) FROM deliveries WHERE {WAITING} AND sink = s.id),
             (SELECT min(due_at) FROM deliveries WHERE {CLAIMED} AND sink = s.id),
             EXISTS (SELECT 1 FROM deliveries WHERE {WAITING} AND sink = s.id AND due_at > ?2)
             OR EXISTS (SELECT 1 FROM deliveries WHERE {CLAIMED} AND sink = s.id AND due_at > ?2)
         FROM sinks s WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM pauses p WHERE p.sink = ?1 AND p.ended IS NULL)"
    );
    let due = |row: &Row<'_>, column| row.get::<_, Option<i64>>(column).ok().flatten();
    let read = |row: &Row<'_>| Ok((due(row, 0).into_iter().chain(due(row, 1)).min(), row.get(2)?));
    let found = conn.prepare_cached(sql)?.query_row(params![sink.as_str(), furthest(now)], read).optional()?;
    Ok(found.and_then(|(due, stranded)| if stranded { Some(now) } else { due }).map(|due| since(now, due)))
}

fn backlog(conn: &Connection, sink: &Name, now: i64) -> Result<Backlog, StoreError> {
    let sql = "SELECT pending, dead FROM sinks WHERE name = ?1";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let Some((pending, dead)) = conn.prepare_cached(sql)?.query_row([sink.as_str()], read).optional()? else {
        return Ok(Backlog::default());
    };
    let oldest = oldest(conn, sink)?;
    let pauses = pauses::of(conn, sink)?;
    Ok(Backlog {
        pending: unsigned(pending),
        dead: unsigned(dead),
        oldest_age: oldest.map(|queued_at| since(queued_at, now)),
        oldest_counted_age: oldest.map(|queued_at| counted_age(&pauses, queued_at, now)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::testing::{empty, plan};

    #[test]
    fn a_claim_walks_what_it_takes_in_order_and_nothing_else() {
        let conn = empty();
        for sql in [DUE, STRANDED] {
            let plan = plan(&conn, sql, params!["x", 1, 2]);
            for index in ["deliveries_due", "deliveries_claimed"] {
                assert!(
                    plan.iter().any(|line| line.contains(&format!("INDEX {index} (sink=? AND due_at"))),
                    "{plan:?}"
                );
            }
            assert!(!plan.iter().any(|line| line.contains("SCAN") || line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
