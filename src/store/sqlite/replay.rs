//! One delivery queued again, moved to another sink or taken away: what listings, replays and dead letters share.

use rusqlite::{OptionalExtension as _, params};

use crate::event::Name;
use crate::store::error::StoreError;
use crate::store::sql::sql;
use crate::store::sqlite::retention::loosen;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::transaction::Tx;
use crate::store::stored::{DEAD, PENDING};

/// What may be taken away from a sink: dead, or pending and claimed by nobody at `?2`.
const FREE: &str = sql!("(state = {DEAD} OR state = {PENDING} AND (claimed_at IS NULL OR due_at <= ?2))");

/// Whether delivery `id` is dead, or pending and claimed by nobody.
pub(super) fn is_over(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM deliveries WHERE id = ?1 AND {FREE}");
    Ok(tx.conn.prepare_cached(&sql)?.exists([id, tx.now])?)
}

/// Queues delivery `id` again from attempt 0, replayed once more; one that there was none of yet, replayed `replays`
/// times. One that is under way, or waits for its first attempt, is left alone.
pub(super) fn requeue(tx: &mut Tx<'_>, id: i64, replays: i64) -> Result<bool, StoreError> {
    let (sink, now) = (id % SINKS, tx.now);
    let sql = "SELECT state, claimed_at IS NOT NULL OR (attempts = 0 AND due_at <= ?2) FROM deliveries WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let held: Option<(i64, bool)> = tx.conn.prepare_cached(sql)?.query_row([id, now], read).optional()?;
    match held {
        Some((PENDING, true)) => return Ok(false),
        Some((PENDING, false)) => {}
        Some((DEAD, _)) => tx.count(sink, 1, -1),
        Some(_) | None => tx.count(sink, 1, 0),
    }
    // The lease stays, so that a claim from before cannot settle what is queued now.
    let sql = sql!(
        "INSERT INTO deliveries (id, sink, state, attempts, due_at, queued_at, lease, replays)
             VALUES (?1, ?2, {PENDING}, 0, ?3, ?3, 0, ?4)
         ON CONFLICT (id) DO UPDATE SET state = {PENDING}, attempts = 0, due_at = ?3, queued_at = ?3,
             claimed_at = NULL, error = NULL, duplicate = 0, replays = replays + 1"
    );
    tx.conn.prepare_cached(sql)?.execute(params![id, sink, now, replays])?;
    tx.done.queued = true;
    Ok(true)
}

/// Queues delivery `id` for sink `to` instead. It counts as replayed once more, so that it arrives even where the two
/// sinks lead to one place. Where it waits already, or is under way, it is not queued again.
pub(super) fn move_to(tx: &mut Tx<'_>, id: i64, to: &Name) -> Result<bool, StoreError> {
    let target = id / SINKS * SINKS + tx.sink(to)?;
    if target == id {
        return requeue(tx, id, 1);
    }
    let replays: i64 = {
        let mut sql = tx.conn.prepare_cached("SELECT replays + 1 FROM deliveries WHERE id = ?1")?;
        sql.query_row([id], |row| row.get(0))?
    };
    if requeue(tx, target, replays)? {
        let sql = "UPDATE deliveries SET replays = max(replays, ?2) WHERE id = ?1";
        tx.conn.prepare_cached(sql)?.execute([target, replays])?;
    }
    discard(tx, id)
}

/// Takes delivery `id` away, where it is dead, or pending and claimed by nobody. Says whether it did.
pub(super) fn discard(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM deliveries WHERE id = ?1 AND {FREE} RETURNING state");
    let state = tx.conn.prepare_cached(&sql)?.query_row([id, tx.now], |row| row.get(0)).optional()?;
    match state {
        None => return Ok(false),
        Some(PENDING) => tx.count(id % SINKS, -1, 0),
        Some(_) => tx.count(id % SINKS, 0, -1),
    }
    loosen(tx, id / SINKS)?;
    Ok(true)
}
