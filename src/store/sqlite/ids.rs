//! What is unique: the keys in `arrivals` that came last with their copy in memory, and an index of all before them.
//!
//! A random key into a large index costs a page of log for every event. So a new key is first appended with the rest of
//! its event's narrow row, and moves to the index `ids` later, many at a time and sorted, so that they share pages
//! (measured: half the work per event at a million ids). The index is in parts, each of so many events that came one after the
//! other: keys move to the newest alone, which stays small however many there are, and of a part whose events are gone
//! nothing is left. A key is in at least one of the two in every commit. The copy is checked against the table in each
//! transaction, by SQLite's own mark of what other connections committed: the tables stay the judge. Nor is the index read
//! for a key that it certainly does not hold (`key_filter.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::EventKey;
use crate::store::error::StoreError;
use crate::store::sqlite::counters;
use crate::store::sqlite::kept_statement::Kept;
use crate::store::sqlite::key_filter::{Connect, KeyFilter};

/// Recent keys from which they move.
const ENOUGH: usize = 65_536;
/// Events whose keys lie in one part of the index: they fill some ten thousand pages, of which a move writes nearly all. Twice
/// the keys for each page would be twice the parts that a duplicate of an old event may be looked for in. Schema 8 has it, too.
const PART: i64 = 2_097_152;
/// Keys moved for every event added: the move ends long before as many have come again.
const PACE: usize = 4;

/// The last event whose key has moved: those after it are recent.
const MOVED_TO: &str = "moved_to";
/// Changes when keys are recent no more, so that copies elsewhere are made afresh.
const EPOCH: &str = "recent_epoch";

/// A row of `arrivals`, but for its key.
pub(super) struct Arrival<'a> {
    /// The number of the event.
    pub seq: i64,
    /// That of its source.
    pub source: i64,
    /// Its type.
    pub kind: &'a str,
    /// When it came, in microseconds.
    pub received_at: i64,
}

/// The copy of the recent keys, and a move under way; forgotten whenever a transaction is rolled back. The filter of the index
/// is not: it only knows of keys too many then.
pub(super) struct Recent {
    /// Keys from which they move.
    enough: usize,
    index: KeyFilter,
    /// Our mark as the filter knows it; `None` where it is to be made afresh.
    filtered: Option<i64>,
    /// It is full.
    outgrown: bool,
    /// The mark was moved on by this transaction.
    turned: bool,
    keys: HashMap<EventKey, i64>,
    /// [`MOVED_TO`], and the last row copied.
    moved_to: i64,
    last: i64,
    /// Parts of the index, newest first.
    parts: Vec<i64>,
    /// SQLite's mark and ours when it was copied; `None` before the first time.
    copied: Option<(i64, i64)>,
    moving: Option<Move>,
    /// Added in this transaction.
    added: usize,
}

struct Move {
    /// What is left, sorted, smallest last.
    left: Vec<(EventKey, i64)>,
    /// When all have moved, those up to this event are not recent any more.
    upto: i64,
}

impl Recent {
    /// Nothing copied yet; `connect` opens connections to read the index by.
    pub(super) fn new(connect: Connect) -> Self {
        Self::moving_at(ENOUGH, connect)
    }

    fn moving_at(enough: usize, connect: Connect) -> Self {
        let index = KeyFilter::new(connect);
        Self {
            enough,
            index,
            filtered: None,
            outgrown: false,
            turned: false,
            keys: HashMap::new(),
            moved_to: 0,
            last: 0,
            parts: Vec::new(),
            copied: None,
            moving: None,
            added: 0,
        }
    }

    /// Forgets what it copied, after a rollback.
    pub(super) fn forget_copy(&mut self) {
        // Others may take the mark that was taken back.
        self.filtered = self.filtered.filter(|_| !self.turned);
        (self.keys, self.last, self.copied, self.moving, self.added) = (HashMap::new(), 0, None, None, 0);
    }

    /// Has the filter made afresh.
    pub(super) const fn forget_filter(&mut self) {
        self.filtered = None;
    }

    /// Makes the copy equal to the table; first thing in a transaction that asks for keys.
    pub(super) fn refresh(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let mark: i64 = conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        self.turned = false;
        if self.filtered.is_some() && !self.outgrown && self.copied.is_some_and(|(copied, _)| copied == mark) {
            return Ok(());
        }
        let epoch = counters::get(conn, EPOCH)?;
        if self.copied.is_none_or(|(_, copied)| copied != epoch) {
            self.moved_to = counters::get(conn, MOVED_TO)?;
            (self.keys, self.last, self.moving) = (HashMap::new(), self.moved_to, None);
        }
        self.parts = parts(conn)?;
        let sql = "SELECT seq, key FROM arrivals WHERE seq > ?1 AND key IS NOT NULL ORDER BY seq";
        let mut sql = conn.prepare_cached(sql)?;
        let mut rows = sql.query([self.last])?;
        while let Some(row) = rows.next()? {
            self.last = row.get(0)?;
            self.keys.insert(EventKey(row.get(1)?), self.last);
        }
        self.copied = Some((mark, epoch));
        // Keys went from here by others, and so may be in the index without the filter knowing.
        if self.filtered != Some(epoch) {
            self.filtered = Some(epoch);
            self.index.renew(expected(conn)?);
        } else if self.outgrown {
            self.index.grow(expected(conn)?);
        }
        self.outgrown = false;
        Ok(())
    }

    /// The event that `key` belongs to. After [`Recent::refresh`].
    pub(super) fn find(&mut self, conn: &Connection, key: &EventKey) -> Result<Option<i64>, StoreError> {
        match self.keys.get(key) {
            Some(seq) => Ok(Some(*seq)),
            None if self.index.excludes(key) => Ok(None),
            None => in_index(conn, &self.parts, key),
        }
    }

    /// Gives `key`, which [`Recent::find`] did not find, to the new event that `arrival` is of.
    pub(super) fn add<'c>(
        &mut self,
        insert: &mut Kept<'c>,
        conn: &'c Connection,
        key: EventKey,
        arrival: &Arrival<'_>,
    ) -> Result<(), StoreError> {
        let Arrival { seq, source, kind, received_at } = arrival;
        let sql = "INSERT INTO arrivals (seq, source, kind, received_at, key) VALUES (?1, ?2, ?3, ?4, ?5)";
        insert.get(conn, sql)?.execute(params![seq, source, kind, received_at, key.0])?;
        self.keys.insert(key, *seq);
        self.last = *seq;
        self.added += 1;
        Ok(())
    }

    /// Forgets `key` of the event `seq`, and its row.
    pub(super) fn forget(&mut self, conn: &Connection, key: &EventKey, seq: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM ids WHERE part = ?1 AND key = ?2 AND seq = ?3";
        conn.prepare_cached(sql)?.execute(params![seq / PART, key.0, seq])?;
        conn.prepare_cached("DELETE FROM arrivals WHERE seq = ?1")?.execute([seq])?;
        if seq > self.moved_to {
            self.turn(conn)?;
        }
        if self.keys.get(key) == Some(&seq) {
            self.keys.remove(key);
        }
        Ok(())
    }

    /// Moves some keys on, as many as this transaction added and some more; last thing before its commit.
    pub(super) fn move_on(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let pace = std::mem::take(&mut self.added) * PACE;
        if self.moving.is_none() && pace > 0 && self.keys.len() >= self.enough {
            let mut left: Vec<(EventKey, i64)> = self.keys.iter().map(|(key, seq)| (*key, *seq)).collect();
            left.sort_unstable_by(|a, b| b.cmp(a));
            self.moving = Some(Move { left, upto: self.last });
        }
        let Some(moving) = &mut self.moving else { return Ok(()) };
        if moving.left.is_empty() {
            return if pace > 0 { self.end_move(conn) } else { Ok(()) };
        }
        let from = moving.left.len().saturating_sub(pace);
        let mut sql = conn.prepare_cached("INSERT INTO ids VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
        for (key, seq) in moving.left.drain(from..).rev() {
            // Not what retention has forgotten meanwhile.
            if self.keys.get(&key) == Some(&seq) {
                let part = seq / PART;
                sql.execute(params![part, key.0, seq])?;
                if !self.parts.contains(&part) {
                    self.parts.push(part);
                    self.parts.sort_unstable_by(|a, b| b.cmp(a));
                }
                if !self.index.add(key) {
                    // By the next transaction, to which all that this one adds is there to be read.
                    self.outgrown = true;
                }
            }
        }
        Ok(())
    }

    /// The keys that have moved are recent no more.
    fn end_move(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let Some(Move { upto, .. }) = self.moving.take() else { return Ok(()) };
        counters::set(conn, MOVED_TO, upto)?;
        self.moved_to = upto;
        self.turn(conn)?;
        self.keys.retain(|_, seq| *seq > upto);
        self.keys.shrink_to(self.enough);
        Ok(())
    }

    /// Tells other copies that keys are recent no more.
    fn turn(&mut self, conn: &Connection) -> Result<(), StoreError> {
        conn.prepare_cached("UPDATE counters SET value = value + 1 WHERE name = ?1")?.execute([EPOCH])?;
        if let Some((_, epoch)) = &mut self.copied {
            *epoch += 1;
        }
        if let Some(epoch) = &mut self.filtered {
            *epoch += 1;
        }
        self.turned = true;
        Ok(())
    }
}

/// How many keys the index may hold, without counting them: there were never more events.
fn expected(conn: &Connection) -> Result<usize, StoreError> {
    // Each of its own: together they would walk through the table.
    let sql = "SELECT (SELECT max(seq) FROM events) - (SELECT min(seq) FROM events)";
    let between: Option<i64> = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(between.and_then(|many| usize::try_from(many).ok()).unwrap_or(0))
}

/// The event that `key` belongs to, for those who have no copy of the recent ones: some milliseconds.
pub(super) fn find(conn: &Connection, key: &EventKey) -> Result<Option<i64>, StoreError> {
    if let Some(seq) = in_index(conn, &parts(conn)?, key)? {
        return Ok(Some(seq));
    }
    let mut sql = conn.prepare_cached("SELECT seq FROM arrivals WHERE seq > ?1 AND key = ?2")?;
    Ok(sql.query_row(params![counters::get(conn, MOVED_TO)?, key.0], |row| row.get(0)).optional()?)
}

/// The keys of the event `seq`: one, wherever it lies.
pub(super) fn of_event(conn: &Connection, seq: i64) -> Result<Vec<EventKey>, StoreError> {
    let sql = "SELECT key FROM arrivals WHERE seq = ?1 AND key IS NOT NULL
               UNION SELECT key FROM ids WHERE part = ?2 AND seq = ?1";
    let mut sql = conn.prepare_cached(sql)?;
    let keys = sql.query_map([seq, seq / PART], |row| row.get(0).map(EventKey))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

/// How many keys there are: one that has moved counts as recent for a while.
pub(super) fn count(conn: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM ids) + (
                   SELECT count(*) FROM arrivals a WHERE a.seq > ?1 AND a.key IS NOT NULL
                       AND NOT EXISTS (SELECT 1 FROM ids i WHERE i.part = a.seq / ?2 AND i.key = a.key))";
    Ok(conn.query_row(sql, [counters::get(conn, MOVED_TO)?, PART], |row| row.get(0))?)
}

fn in_index(conn: &Connection, parts: &[i64], key: &EventKey) -> Result<Option<i64>, StoreError> {
    let mut sql = conn.prepare_cached("SELECT seq FROM ids WHERE part = ?1 AND key = ?2")?;
    for part in parts {
        let found = sql.query_row(params![part, key.0], |row| row.get(0)).optional()?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The parts of the index, newest first: one look for each.
fn parts(conn: &Connection) -> Result<Vec<i64>, StoreError> {
    let mut sql = conn.prepare_cached("SELECT max(part) FROM ids WHERE part < ?1")?;
    let mut parts = Vec::new();
    let mut below = i64::MAX;
    while let Some(part) = sql.query_row([below], |row| row.get(0))? {
        parts.push(part);
        below = part;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
