//! Forgets what is old, by time that really passed and not by what a wall clock said.
//!
//! At each prune a tick notes which events are there and when that was. Everything below the newest tick that lies
//! more than the retention back is old: never early, and at most the time between two ticks late. Events are walked in
//! the order they came, from where the walk stopped the last time (`pruned_to`), and deleted together with their id
//! unless a delivery is open. What has to be left behind is not walked over again: when its last delivery is over it is
//! noted in `loose`, and looked at from there.

use std::time::Duration;

use rusqlite::{OptionalExtension as _, params};

use crate::event::{EventId, EventKey, Name};
use crate::store::error::StoreError;
use crate::store::sql::sql;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::micros_of;

/// Events looked at in one transaction.
const STEP: i64 = 250;
/// Ticks in one retention, about: more often would only be more rows.
const TICKS: i64 = 10_000;

/// What is old.
#[derive(Clone, Copy)]
struct Horizon {
    /// Events below this number.
    seq: i64,
    /// What is noted in `loose` before this time.
    before: i64,
}

/// What one step found.
struct Step {
    gone: u64,
    more: bool,
}

/// Forgets all that is older than `retention`, in small steps; returns how many events went.
pub(super) async fn prune(writer: &Writer, retention: Duration) -> Result<u64, StoreError> {
    let retention = micros_of(retention);
    let horizon = writer.call(move |tx| horizon(tx, retention)).await?;
    let mut gone = 0;
    loop {
        let step = writer.call(move |tx| walk(tx, horizon.seq)).await?;
        gone += step.gone;
        if !step.more {
            break;
        }
    }
    let mut after = 0;
    while let Some((last, step)) = writer.call(move |tx| revisit(tx, horizon.before, after)).await? {
        after = last;
        gone += step;
    }
    Ok(gone)
}

/// Notes what is there now, and says what is old.
fn horizon(tx: &mut Tx<'_>, retention: i64) -> Result<Horizon, StoreError> {
    let (now, upcoming) = (tx.now, tx.upcoming_seq()?);
    let before = now.saturating_sub(retention);
    let last: Option<i64> = tx.conn.prepare_cached("SELECT max(at) FROM ticks")?.query_row([], |row| row.get(0))?;
    if last.is_none_or(|last| now.saturating_sub(last) >= retention / TICKS) {
        // With nothing new since the last one, that says more.
        let sql = "INSERT INTO ticks VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        tx.conn.prepare_cached(sql)?.execute([upcoming, now])?;
    }
    let sql = "SELECT max(seq) FROM ticks WHERE at < ?1";
    let seq: Option<i64> = tx.conn.prepare_cached(sql)?.query_row([before], |row| row.get(0))?;
    let seq = seq.unwrap_or(0);
    tx.conn.prepare_cached("DELETE FROM ticks WHERE seq < ?1")?.execute([seq])?;
    Ok(Horizon { seq, before })
}

/// Deletes among the next events below `horizon`, in order.
fn walk(tx: &mut Tx<'_>, horizon: i64) -> Result<Step, StoreError> {
    let from = tx.pruned_to()?;
    if from >= horizon - 1 {
        return Ok(Step { gone: 0, more: false });
    }
    let mut sql = tx.conn.prepare_cached("SELECT seq FROM events WHERE seq > ?1 AND seq < ?2 ORDER BY seq LIMIT ?3")?;
    let rows = sql.query_map([from, horizon, STEP], |row| row.get(0))?;
    let old: Vec<i64> = rows.collect::<Result<_, _>>()?;
    let mut gone = 0;
    for seq in &old {
        gone += u64::from(forget(tx, *seq)?);
    }
    let more = i64::try_from(old.len()) == Ok(STEP);
    tx.set_pruned_to(old.last().filter(|_| more).map_or(horizon - 1, |last| *last))?;
    Ok(Step { gone, more })
}

/// Looks again at some of what was left behind, after `after`; returns the last and how many events went.
fn revisit(tx: &mut Tx<'_>, before: i64, after: i64) -> Result<Option<(i64, u64)>, StoreError> {
    let sql = "SELECT seq FROM loose WHERE seq > ?1 AND at < ?2 ORDER BY seq LIMIT ?3";
    let mut sql = tx.conn.prepare_cached(sql)?;
    let rows = sql.query_map([after, before, STEP], |row| row.get(0))?;
    let next: Vec<i64> = rows.collect::<Result<_, _>>()?;
    let Some(last) = next.last() else { return Ok(None) };
    let mut gone = 0;
    for seq in &next {
        gone += u64::from(forget(tx, *seq)?);
        // What still has an open delivery comes back when that is over.
        tx.conn.prepare_cached("DELETE FROM loose WHERE seq = ?1")?.execute([seq])?;
    }
    Ok(Some((*last, gone)))
}

/// A delivery of event `seq` is over: when retention has passed the event before, it is to be looked at again.
pub(super) fn loosen(tx: &mut Tx<'_>, seq: i64) -> Result<(), StoreError> {
    if seq <= tx.pruned_to()? {
        tx.conn.prepare_cached("INSERT INTO loose (seq) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([seq])?;
    }
    Ok(())
}

/// Deletes event `seq`, its id and its deliveries, unless one of these is pending or dead.
fn forget(tx: &mut Tx<'_>, seq: i64) -> Result<bool, StoreError> {
    let (first, last) = (seq * SINKS, seq * SINKS + SINKS - 1);
    let open = sql!("SELECT 1 FROM deliveries WHERE id BETWEEN ?1 AND ?2 AND state <> {DELIVERED}");
    if tx.conn.prepare_cached(open)?.exists([first, last])? {
        return Ok(false);
    }
    let sql = "SELECT s.name, e.id FROM events e LEFT JOIN sources s ON s.id = e.source WHERE e.seq = ?1";
    let text = |row: &rusqlite::Row<'_>, column: usize| row.get::<_, String>(column).ok();
    let read = |row: &rusqlite::Row<'_>| Ok((text(row, 0), text(row, 1).and_then(|id| EventId::new(&id))));
    match tx.conn.prepare_cached(sql)?.query_row([seq], read).optional()? {
        None => return Ok(false),
        Some((Some(source), Some(id))) => tx.forget_key(&EventKey::of(&Name::from(source), &id), seq)?,
        Some(_) => tx.forget_key_of(seq)?,
    }
    tx.conn.prepare_cached("DELETE FROM deliveries WHERE id BETWEEN ?1 AND ?2")?.execute([first, last])?;
    tx.conn.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute(params![seq])?;
    Ok(true)
}
