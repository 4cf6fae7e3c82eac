//! Which events a filter means, newest first, found in steps whose number is bounded: however many there are, and whatever is
//! asked for, a page is there in time. What it has not looked at the next one does.

use rusqlite::{CachedStatement, Connection, params_from_iter};

use crate::store::archive::EventFilter;
use crate::store::delivery::State;
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, PagedFilter};
use crate::store::sql::sql;
use crate::store::sqlite::blocks::Blocks;
use crate::store::sqlite::rows::{Names, limit};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::selection::{self, Conditions};

/// What one page may cost, in blocks of narrow rows: some 80 µs each.
const MOST: u64 = 1024;
/// What a block costs of which each event is looked at.
const OF_ROWS: u64 = 64;
/// Open deliveries that one page looks at.
const DELIVERIES: i64 = 8192;

/// Numbers of events, newest first.
pub(super) struct Found {
    pub seqs: Vec<i64>,
    /// Where the next page begins; `None` when all was looked at.
    pub next: Option<Cursor>,
}

/// The next events after `from` that `filter` means.
pub(super) fn find(
    conn: &Connection,
    filter: &EventFilter,
    (sources, sinks): (&Names, &Names),
    from: Option<Cursor>,
) -> Result<Found, StoreError> {
    let nothing = Found { seqs: Vec::new(), next: None };
    let below = from.map_or(i64::MAX, |Cursor(seq, _)| seq);
    let Some(conditions) = selection::events(filter, sources, sinks) else { return Ok(nothing) };
    let mut search = Search::prepare(conn, filter, conditions)?;
    match (filter.state, selection::blocks(filter, sources)) {
        (Some(State::Pending), _) => among_deliveries(conn, PENDING, below, &mut search),
        (Some(State::Dead), _) => among_deliveries(conn, DEAD, below, &mut search),
        (_, Some(blocks)) if selection::is_narrowed(filter) || selection::looks_at_rows(filter) => {
            let cost = if selection::looks_at_rows(filter) { OF_ROWS } else { 1 };
            among_blocks(Blocks::below(conn, below, blocks)?, MOST / cost, &mut search)
        }
        _ => {
            search.between(i64::MIN, below)?;
            Ok(search.ended())
        }
    }
}

/// The index is named: by itself SQLite walks all deliveries from the newest back, which ends soon only while much is open.
/// What is sorted is what is open, one number each.
const PENDING: &str = sql!(
    "SELECT id FROM (
         SELECT id FROM deliveries INDEXED BY deliveries_due WHERE {WAITING} AND id < ?1
         UNION ALL SELECT id FROM deliveries INDEXED BY deliveries_claimed WHERE {CLAIMED} AND id < ?1
     ) ORDER BY id DESC LIMIT ?2"
);
/// Likewise.
const DEAD: &str = sql!(
    "SELECT id FROM deliveries INDEXED BY deliveries_dead WHERE state = {DEAD} AND id < ?1 ORDER BY id DESC LIMIT ?2"
);

/// Looks through blocks, at most `most`.
fn among_blocks(mut blocks: Blocks<'_>, most: u64, search: &mut Search<'_>) -> Result<Found, StoreError> {
    for _ in 0..most {
        let Some((first, end)) = blocks.next()? else { return Ok(search.ended()) };
        search.between(first, end)?;
        if search.is_full() {
            return Ok(search.ended());
        }
        search.looked_to = Some(first);
    }
    Ok(search.broken_off())
}

/// Looks at the events of open deliveries, which `sql` selects below a number.
fn among_deliveries(conn: &Connection, sql: &str, below: i64, search: &mut Search<'_>) -> Result<Found, StoreError> {
    let mut sql = conn.prepare_cached(sql)?;
    let mut rows = sql.query([below.saturating_mul(SINKS), DELIVERIES])?;
    let (mut looked, mut last) = (0, None);
    while let Some(row) = rows.next()? {
        let seq = row.get::<_, i64>(0)? / SINKS;
        looked += 1;
        if last.replace(seq) == Some(seq) {
            continue;
        }
        search.between(seq, seq + 1)?;
        if search.is_full() {
            return Ok(search.ended());
        }
        search.looked_to = Some(seq);
    }
    Ok(if looked < DELIVERIES { search.ended() } else { search.broken_off() })
}

/// A search under way.
struct Search<'c> {
    sql: CachedStatement<'c>,
    conditions: Conditions,
    wanted: u64,
    found: Vec<i64>,
    /// All from this one on have been looked at.
    looked_to: Option<i64>,
}

impl<'c> Search<'c> {
    fn prepare(conn: &'c Connection, filter: &EventFilter, conditions: Conditions) -> Result<Self, StoreError> {
        let sql = conn.prepare_cached(&listing(filter, &conditions))?;
        Ok(Self { sql, conditions, wanted: filter.page_rows(), found: Vec::new(), looked_to: None })
    }

    /// Adds what matches from event `first` to the one before `end`, as far as it is wanted.
    fn between(&mut self, first: i64, end: i64) -> Result<(), StoreError> {
        let left = self.wanted.saturating_sub(self.found.len() as u64);
        let bounds = [first.into(), end.into(), limit(Some(left)).into()];
        let values = self.conditions.values.iter().cloned().chain(bounds);
        let rows = self.sql.query_map(params_from_iter(values), |row| row.get(0))?;
        for seq in rows {
            self.found.push(seq?);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.found.len() as u64 >= self.wanted
    }

    /// What was found, where nothing is left to look at but what comes after the last of a full page.
    fn ended(&mut self) -> Found {
        let next = self.found.last().filter(|_| self.is_full()).map(|seq| Cursor(*seq, 0));
        Found { seqs: std::mem::take(&mut self.found), next }
    }

    /// What was found, where there is more to look at.
    fn broken_off(&mut self) -> Found {
        Found { seqs: std::mem::take(&mut self.found), next: self.looked_to.map(|seq| Cursor(seq, 0)) }
    }
}

/// What looks for `filter` between two numbers. Where columns of the narrow rows are looked for, those are read first, and the
/// rows with their bodies only where they are needed.
fn listing(filter: &EventFilter, conditions: &Conditions) -> String {
    let (from, seq) = match (selection::is_narrowed(filter), selection::looks_at_rows(filter)) {
        (false, _) => ("events e", "e.seq"),
        (true, false) => ("arrivals a", "a.seq"),
        // CROSS: in this order.
        (true, true) => ("arrivals a CROSS JOIN events e ON e.seq = a.seq", "a.seq"),
    };
    let conditions = conditions.sql();
    format!("SELECT {seq} FROM {from} WHERE {conditions} AND {seq} >= ? AND {seq} < ? ORDER BY {seq} DESC LIMIT ?")
}

#[cfg(test)]
mod tests;
