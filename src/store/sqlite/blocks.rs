//! What lies where: for each stretch of [`BLOCK`] events, which sources and types it has and from when to when.
//!
//! An index over source, type and time costs every event some microseconds and, with a dozen types, a dozen pages in each
//! commit. This costs one short transaction in a thousand events, beside retention, and a search then reads the narrow
//! rows of those stretches alone in which there may be something. A row says what may be there, never what must: what has
//! gone meanwhile is not found, and what is not summed up yet is looked through.

use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use crate::store::error::StoreError;
use crate::store::sqlite::counters;
use crate::store::sqlite::selection::Conditions;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;

/// Events of a block: those numbered from a multiple of it to the next.
pub(super) const BLOCK: i64 = 1024;
/// A block with more kinds of events than this is said to have any: its rows would be as many as its events.
const MOST_KINDS: i64 = 64;
/// Blocks below this one are summed up.
const SUMMED: &str = "blocks";

/// What one block has; any type where it has too many.
const SUM_UP: &str = "
INSERT INTO blocks (block, source, kind, first_at, last_at)
SELECT ?1, source, CASE WHEN ?4 THEN kind ELSE '*' END AS named, min(received_at), max(received_at)
FROM arrivals WHERE seq >= ?2 AND seq < ?3 GROUP BY source, named";

const FORGET: &str = "
DELETE FROM blocks WHERE block < ?1 AND NOT EXISTS (
    SELECT 1 FROM events WHERE seq >= blocks.block * ?2 AND seq < (blocks.block + 1) * ?2)";

/// Sums up what is complete, a block in a transaction, and forgets blocks of which retention has left nothing.
pub(super) async fn keep(writer: &Writer) -> Result<(), StoreError> {
    while writer.call(sum_up).await? {}
    writer
        .call(|tx| {
            let passed = tx.pruned_to()? / BLOCK;
            tx.conn.prepare_cached(FORGET)?.execute([passed, BLOCK])?;
            Ok(())
        })
        .await
}

/// Sums up the next block of which all numbers are given; says whether there was one.
fn sum_up(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let (from, upcoming) = (tx.counter(SUMMED)? * BLOCK, tx.upcoming_seq()?);
    let next = "SELECT min(seq) FROM events WHERE seq >= ?1";
    let next: Option<i64> = tx.conn.prepare_cached(next)?.query_row([from], |row| row.get(0))?;
    let block = next.unwrap_or(upcoming) / BLOCK;
    let (first, end) = (block * BLOCK, (block + 1) * BLOCK);
    if upcoming < end {
        return Ok(false);
    }
    let mut sql = tx.conn.prepare_cached(SUM_UP)?;
    if i64::try_from(sql.execute((block, first, end, true))?).is_ok_and(|kinds| kinds > MOST_KINDS) {
        tx.conn.prepare_cached("DELETE FROM blocks WHERE block = ?1")?.execute([block])?;
        sql.execute((block, first, end, false))?;
    }
    tx.set_counter(SUMMED, block + 1)?;
    Ok(true)
}

/// Goes through the blocks that may have something, newest first.
pub(super) struct Blocks<'c> {
    conn: &'c Connection,
    /// What a block has to have.
    conditions: Conditions,
    /// Blocks from this one on are not summed up.
    summed: i64,
    /// Only events below this number are looked for.
    below: i64,
}

impl<'c> Blocks<'c> {
    /// Those below event `below` that meet `conditions` on table `blocks`.
    pub(super) fn below(conn: &'c Connection, below: i64, conditions: Conditions) -> Result<Self, StoreError> {
        Ok(Self { conn, conditions, summed: counters::get(conn, SUMMED)?, below })
    }

    /// The numbers of the next block's events, from the first to the one after the last.
    pub(super) fn next(&mut self) -> Result<Option<(i64, i64)>, StoreError> {
        let newest = "SELECT max(seq) FROM events WHERE seq < ?1";
        let newest: Option<i64> = self.conn.prepare_cached(newest)?.query_row([self.below], |row| row.get(0))?;
        let Some(newest) = newest else { return Ok(None) };
        let block = if newest / BLOCK >= self.summed { Some(newest / BLOCK) } else { self.listed(newest / BLOCK)? };
        let Some(block) = block else { return Ok(None) };
        let found = (block * BLOCK, self.below.min((block + 1) * BLOCK));
        self.below = found.0;
        Ok(Some(found))
    }

    /// The newest of the blocks up to `block` that may have something.
    fn listed(&self, block: i64) -> Result<Option<i64>, StoreError> {
        let values = self.conditions.values.iter().cloned().chain([block.into()]);
        let mut sql = self.conn.prepare_cached(&find(&self.conditions))?;
        Ok(sql.query_row(params_from_iter(values), |row| row.get(0)).optional()?)
    }
}

/// The newest block that meets `conditions`, in the order in which they lie: none is sorted.
fn find(conditions: &Conditions) -> String {
    format!("SELECT block FROM blocks WHERE {} AND block <= ? ORDER BY block DESC LIMIT 1", conditions.sql())
}

#[cfg(test)]
mod tests;
