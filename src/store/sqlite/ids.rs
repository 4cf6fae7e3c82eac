//! What is unique: two tables and, in front of one of them, its copy in memory.
//!
//! A random key into a large index costs a page of log for every event. So a new key is first appended to `recent`,
//! in the order of events, and moves to the index `ids` later, many at a time and sorted, so that they share pages
//! (measured: half the work per event at a million ids). A key is in at least one of the two in every commit. The
//! copy of `recent` is checked against the table in each transaction, by SQLite's own mark of what other connections
//! committed: the tables stay the judge. Nor is the index read for a key that it certainly does not hold
//! (`key_filter.rs`).

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::event::EventKey;
use crate::store::error::StoreError;
use crate::store::sqlite::counters;
use crate::store::sqlite::kept_statement::Kept;
use crate::store::sqlite::key_filter::{Connect, KeyFilter};

/// Keys in `recent` from which they move, at least. In a large index fewer of them share a page, and each page is written
/// twice, to the log and to the database. So the more there are, the more move at once: one for so many in the index,
/// which is some seven a page, up to so many times as many at least (measured with 16 million ids).
const ENOUGH: usize = 65_536;
const INDEXED_FOR_EACH: usize = 32;
const MOST: usize = 4;
/// Keys moved for every event added: the move ends long before as many have come again.
const PACE: usize = 4;
/// Rows deleted from `recent` in one transaction once their keys have moved.
const DELETED_AT_ONCE: i64 = 4_096;

/// Changes when rows went from `recent`, so that copies elsewhere are made afresh.
const EPOCH: &str = "recent_epoch";

/// The copy of `recent`, and a move under way; forgotten whenever a transaction is rolled back. The filter of the index
/// is not: it only knows of keys too many then.
pub(super) struct Recent {
    /// Keys from which they move at least.
    enough: usize,
    index: KeyFilter,
    /// Our mark as the filter knows it; `None` where it is to be made afresh.
    filtered: Option<i64>,
    /// The mark was moved on by this transaction.
    turned: bool,
    keys: HashMap<EventKey, i64>,
    /// The last row copied.
    last: i64,
    /// SQLite's mark and ours when it was copied; `None` before the first time.
    copied: Option<(i64, i64)>,
    moving: Option<Move>,
    /// Added in this transaction.
    added: usize,
}

struct Move {
    /// What is left, sorted, smallest last.
    left: Vec<(EventKey, i64)>,
    /// When all have moved, rows up to this one go.
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
            turned: false,
            keys: HashMap::new(),
            last: 0,
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
        if self.filtered.is_some() && self.copied.is_some_and(|(copied, _)| copied == mark) {
            return Ok(());
        }
        let epoch = counters::get(conn, EPOCH)?;
        if self.copied.is_none_or(|(_, copied)| copied != epoch) {
            (self.keys, self.last, self.moving) = (HashMap::new(), 0, None);
        }
        let mut sql = conn.prepare_cached("SELECT seq, key FROM recent WHERE seq > ?1 ORDER BY seq")?;
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
        }
        Ok(())
    }

    /// The event that `key` belongs to. After [`Recent::refresh`].
    pub(super) fn find(&mut self, conn: &Connection, key: &EventKey) -> Result<Option<i64>, StoreError> {
        match self.keys.get(key) {
            Some(seq) => Ok(Some(*seq)),
            None if self.index.excludes(key) => Ok(None),
            None => in_index(conn, key),
        }
    }

    /// Gives `key`, which [`Recent::find`] did not find, to the new event `seq`.
    pub(super) fn add<'c>(
        &mut self,
        insert: &mut Kept<'c>,
        conn: &'c Connection,
        key: EventKey,
        seq: i64,
    ) -> Result<(), StoreError> {
        insert.get(conn, "INSERT INTO recent VALUES (?1, ?2)")?.execute(params![seq, key.0])?;
        self.keys.insert(key, seq);
        self.last = seq;
        self.added += 1;
        Ok(())
    }

    /// Forgets `key` of the event `seq`.
    pub(super) fn forget(&mut self, conn: &Connection, key: &EventKey, seq: i64) -> Result<(), StoreError> {
        conn.prepare_cached("DELETE FROM ids WHERE key = ?1 AND seq = ?2")?.execute(params![key.0, seq])?;
        if conn.prepare_cached("DELETE FROM recent WHERE seq = ?1")?.execute([seq])? > 0 {
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
        if self.moving.is_none() && pace > 0 && self.keys.len() >= self.enough() {
            let mut left: Vec<(EventKey, i64)> = self.keys.iter().map(|(key, seq)| (*key, *seq)).collect();
            left.sort_unstable_by(|a, b| b.cmp(a));
            self.moving = Some(Move { left, upto: self.last });
        }
        let Some(moving) = &mut self.moving else { return Ok(()) };
        if moving.left.is_empty() {
            return if pace > 0 { self.clear(conn) } else { Ok(()) };
        }
        let from = moving.left.len().saturating_sub(pace);
        let mut sql = conn.prepare_cached("INSERT INTO ids VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        for (key, seq) in moving.left.drain(from..).rev() {
            // Not what retention has forgotten meanwhile.
            if self.keys.get(&key) == Some(&seq) {
                sql.execute(params![key.0, seq])?;
                if !self.index.add(key) {
                    // By the next transaction, to which all that this one adds is there to be read.
                    self.filtered = None;
                }
            }
        }
        Ok(())
    }

    /// Keys from which they move now.
    fn enough(&self) -> usize {
        (self.index.keys() / INDEXED_FOR_EACH).clamp(self.enough, self.enough * MOST)
    }

    /// Deletes rows whose keys have moved.
    fn clear(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let Some(upto) = self.moving.as_ref().map(|moving| moving.upto) else { return Ok(()) };
        let first: Option<i64> = conn.prepare_cached("SELECT min(seq) FROM recent")?.query_row([], |row| row.get(0))?;
        let end = first.unwrap_or(upto).saturating_add(DELETED_AT_ONCE).min(upto);
        conn.prepare_cached("DELETE FROM recent WHERE seq <= ?1")?.execute([end])?;
        self.turn(conn)?;
        self.keys.retain(|_, seq| *seq > end);
        if end == upto {
            self.moving = None;
            self.keys.shrink_to(self.enough);
        }
        Ok(())
    }

    /// Tells other copies that rows went.
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

/// The event that `key` belongs to, for those who have no copy of `recent`: some milliseconds.
pub(super) fn find(conn: &Connection, key: &EventKey) -> Result<Option<i64>, StoreError> {
    if let Some(seq) = in_index(conn, key)? {
        return Ok(Some(seq));
    }
    let mut sql = conn.prepare_cached("SELECT seq FROM recent WHERE key = ?1")?;
    Ok(sql.query_row([&key.0[..]], |row| row.get(0)).optional()?)
}

fn in_index(conn: &Connection, key: &EventKey) -> Result<Option<i64>, StoreError> {
    let mut sql = conn.prepare_cached("SELECT seq FROM ids WHERE key = ?1")?;
    Ok(sql.query_row([&key.0[..]], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests;
