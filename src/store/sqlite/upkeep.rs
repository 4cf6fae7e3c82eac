//! Probe, retention and closing.
//!
//! Retention walks the events in the order they came, from where it stopped the last time (`pruned_to`), and deletes
//! what is old and has no open delivery, together with its id. What it has to leave behind is not walked over again:
//! when its last delivery is over it is noted in `loose`, and looked at from there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

use crate::event::{EventKey, Name};
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::{event_id, micros};
use crate::store::sqlite::schema::{DONE, SINKS};
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::{StoreError, Upkeep};

/// Events looked at in one transaction.
const STEP: i64 = 250;

/// The upkeep of a SQLite store.
pub struct SqliteUpkeep {
    /// For all that writes.
    pub writer: Arc<Writer>,
    /// Closed with the store.
    pub readers: Readers,
    /// How long events and their ids are kept.
    pub retention: Duration,
}

/// What one step of retention found.
struct Step {
    gone: u64,
    more: bool,
}

#[async_trait]
impl Upkeep for SqliteUpkeep {
    async fn probe(&self) -> Result<(), StoreError> {
        self.writer.call(|tx| tx.set_counter("probe", tx.counter("probe")? + 1)).await
    }

    async fn prune(&self, now: Timestamp) -> Result<u64, StoreError> {
        let kept = i64::try_from(self.retention.as_micros()).unwrap_or(i64::MAX);
        let before = micros(now).saturating_sub(kept);
        let mut gone = 0;
        loop {
            let step = self.writer.call(move |tx| walk(tx, before)).await?;
            gone += step.gone;
            if !step.more {
                break;
            }
        }
        let mut after = 0;
        while let Some((last, step)) = self.writer.call(move |tx| revisit(tx, before, after)).await? {
            after = last;
            gone += step;
        }
        Ok(gone)
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

/// Deletes among the next events in order; stops at a stretch in which none is old.
fn walk(tx: &mut Tx<'_>, before: i64) -> Result<Step, StoreError> {
    let from = tx.pruned_to()?;
    let mut sql = tx.conn.prepare_cached("SELECT seq, received_at FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let rows = sql.query_map([from, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let next: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    let Some(last_old) = next.iter().rposition(|(_, received_at)| *received_at < before) else {
        return Ok(Step { gone: 0, more: false });
    };
    let mut gone = 0;
    for (seq, received_at) in &next[..=last_old] {
        if *received_at >= before {
            // A clock that was set back: younger than what came after it.
            tx.conn.prepare_cached("INSERT INTO loose VALUES (?1) ON CONFLICT DO NOTHING")?.execute([seq])?;
        } else {
            gone += u64::from(forget(tx, *seq)?);
        }
    }
    tx.set_pruned_to(next[last_old].0)?;
    Ok(Step { gone, more: i64::try_from(next.len()) == Ok(STEP) })
}

/// Looks again at some of what was left behind, after `after`; returns the last and how many events went.
fn revisit(tx: &mut Tx<'_>, before: i64, after: i64) -> Result<Option<(i64, u64)>, StoreError> {
    let sql = "SELECT l.seq, e.received_at FROM loose l LEFT JOIN events e ON e.seq = l.seq
               WHERE l.seq > ?1 ORDER BY l.seq LIMIT ?2";
    let mut sql = tx.conn.prepare_cached(sql)?;
    let rows = sql.query_map([after, STEP], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let next: Vec<(i64, Option<i64>)> = rows.collect::<Result<_, _>>()?;
    let Some((last, _)) = next.last() else { return Ok(None) };
    let mut gone = 0;
    for (seq, received_at) in &next {
        if received_at.is_some_and(|at| at >= before) {
            continue;
        }
        gone += u64::from(received_at.is_some() && forget(tx, *seq)?);
        // What still has an open delivery comes back when that is over.
        tx.conn.prepare_cached("DELETE FROM loose WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(Some((*last, gone)))
}

/// Deletes event `seq`, its id and its deliveries, unless one of these is pending or dead.
fn forget(tx: &mut Tx<'_>, seq: i64) -> Result<bool, StoreError> {
    let (first, last) = (seq * SINKS, seq * SINKS + SINKS - 1);
    let open = "SELECT 1 FROM deliveries WHERE id BETWEEN ?1 AND ?2 AND state <> ?3";
    if tx.conn.prepare_cached(open)?.exists([first, last, DONE])? {
        return Ok(false);
    }
    let sql = "SELECT s.name, e.id FROM events e JOIN sources s ON s.id = e.source WHERE e.seq = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let Some((source, id)) = tx.conn.prepare_cached(sql)?.query_row([seq], read).optional()? else {
        return Ok(false);
    };
    let key = EventKey::of(&Name::from(source), &event_id(&id)?);
    tx.forget_key(&key, seq)?;
    tx.conn.prepare_cached("DELETE FROM deliveries WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
    tx.conn.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute([seq])?;
    Ok(true)
}
