//! One write transaction as the tasks in it see it: the connection, and what they share until the commit.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _};
use tokio::time::Instant;

use crate::event::{EventKey, Name};
use crate::store::error::StoreError;
use crate::store::handover::{Handovers, Promise};
use crate::store::sqlite::counters;
use crate::store::sqlite::handing::Handing;
use crate::store::sqlite::ids::{self, Arrival, Recent};
use crate::store::sqlite::kept_statement::Kept;
use crate::store::sqlite::key_filter::Connect;
use crate::store::sqlite::schema::SINKS;

/// What the writer remembers between transactions; forgotten whenever one is rolled back.
pub(super) struct Remembered {
    sources: HashMap<Name, i64>,
    sinks: HashMap<Name, i64>,
    recent: Recent,
    /// Told by others, and true whatever is rolled back.
    handovers: Handovers,
}

impl Remembered {
    /// Nothing yet; `connect` opens connections to read the index of ids by, `handovers` are whom deliveries may be handed to.
    pub(super) fn new(connect: Connect, handovers: Handovers) -> Self {
        Self { sources: HashMap::new(), sinks: HashMap::new(), recent: Recent::new(connect), handovers }
    }

    /// A transaction was rolled back.
    pub(super) fn forget(&mut self) {
        self.sources.clear();
        self.sinks.clear();
        self.recent.forget_copy();
    }

    /// Another connection writes from now on, against whose marks nothing was checked.
    pub(super) fn forget_all(&mut self) {
        self.forget();
        self.recent.forget_filter();
    }
}

/// What one transaction has done so far.
#[derive(Clone, Default)]
pub(super) struct Done {
    /// Events accepted.
    pub events: u32,
    /// Whether deliveries were queued that are to be claimed.
    pub queued: bool,
    /// Changes of (sink, pending, dead), added to the table once per transaction.
    counts: Vec<(i64, i64, i64)>,
    /// Whether the copy of recent keys is known to be good.
    fresh: bool,
    marks: Option<Marks>,
}

/// Points in the sequence of events.
#[derive(Clone, Copy)]
struct Marks {
    next_seq: i64,
    pruned_to: i64,
}

/// How far a transaction had come, to go back there.
pub(super) struct Savepoint {
    done: Done,
    handed: usize,
}

/// A write transaction under way.
pub(super) struct Tx<'c> {
    /// The connection, inside `BEGIN IMMEDIATE`.
    pub conn: &'c Connection,
    /// Store time, in microseconds.
    pub now: i64,
    /// What it has done so far.
    pub done: Done,
    /// What it hands over.
    pub handing: Handing,
    /// Puts an event's row.
    pub insert_event: Kept<'c>,
    /// Puts a delivery's.
    pub insert_delivery: Kept<'c>,
    /// Says of a delivery that it is done.
    pub settle_done: Kept<'c>,
    insert_arrival: Kept<'c>,
    remembered: &'c mut Remembered,
}

impl<'c> Tx<'c> {
    /// A transaction just begun on `conn`, at store time `now`, which was asked for after `asked`.
    pub(super) fn new(conn: &'c Connection, remembered: &'c mut Remembered, asked: Instant, now: i64) -> Self {
        let (done, handing) = (Done::default(), Handing::new(asked));
        Self {
            conn,
            now,
            done,
            handing,
            insert_event: Kept::default(),
            insert_delivery: Kept::default(),
            settle_done: Kept::default(),
            insert_arrival: Kept::default(),
            remembered,
        }
    }

    /// The number the next accepted event gets: above all that ever were, so that none is used twice.
    pub(super) fn next_seq(&mut self) -> Result<i64, StoreError> {
        let mut marks = self.marks()?;
        let seq = marks.next_seq;
        marks.next_seq += 1;
        self.done.marks = Some(marks);
        Ok(seq)
    }

    /// The number the next accepted event would get; all that are there have lower ones.
    pub(super) fn upcoming_seq(&mut self) -> Result<i64, StoreError> {
        Ok(self.marks()?.next_seq)
    }

    /// Retention has passed all events up to this one; those left below it are kept for their deliveries.
    pub(super) fn pruned_to(&mut self) -> Result<i64, StoreError> {
        Ok(self.marks()?.pruned_to)
    }

    /// The event that `key` belongs to.
    pub(super) fn find(&mut self, key: &EventKey) -> Result<Option<i64>, StoreError> {
        let conn = self.conn;
        self.recent()?.find(conn, key)
    }

    /// Gives `key`, which [`Tx::find`] did not find, to the new event that `arrival` is of.
    pub(super) fn add_key(&mut self, key: EventKey, arrival: &Arrival<'_>) -> Result<(), StoreError> {
        self.make_fresh()?;
        self.remembered.recent.add(&mut self.insert_arrival, self.conn, key, arrival)
    }

    /// Forgets `key` of the event `seq`, and its row of `arrivals`.
    pub(super) fn forget_key(&mut self, key: &EventKey, seq: i64) -> Result<(), StoreError> {
        let conn = self.conn;
        self.recent()?.forget(conn, key, seq)
    }

    /// Forgets the key of the event `seq`, of which nobody can say any more what it was: reads many keys.
    pub(super) fn forget_key_of(&mut self, seq: i64) -> Result<(), StoreError> {
        ids::of_event(self.conn, seq)?.iter().try_for_each(|key| self.forget_key(key, seq))?;
        // Where there was no key at all.
        self.conn.prepare_cached("DELETE FROM arrivals WHERE seq = ?1")?.execute([seq])?;
        Ok(())
    }

    fn recent(&mut self) -> Result<&mut Recent, StoreError> {
        self.make_fresh()?;
        Ok(&mut self.remembered.recent)
    }

    fn make_fresh(&mut self) -> Result<(), StoreError> {
        if !self.done.fresh {
            self.remembered.recent.refresh(self.conn)?;
            self.done.fresh = true;
        }
        Ok(())
    }

    /// Moves the mark of retention on.
    pub(super) fn set_pruned_to(&mut self, seq: i64) -> Result<(), StoreError> {
        self.set_counter("pruned_to", seq)?;
        self.done.marks = None;
        Ok(())
    }

    fn marks(&mut self) -> Result<Marks, StoreError> {
        if let Some(marks) = self.done.marks {
            return Ok(marks);
        }
        let sql = "SELECT (SELECT max(seq) FROM events), (SELECT value FROM counters WHERE name = 'pruned_to')";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, i64>(1)?));
        let (max, pruned_to) = self.conn.prepare_cached(sql)?.query_row([], read)?;
        let marks = Marks { next_seq: max.unwrap_or(0).max(pruned_to) + 1, pruned_to };
        self.done.marks = Some(marks);
        Ok(marks)
    }

    /// The number of `source`, given on first sight.
    pub(super) fn source(&mut self, source: &Name) -> Result<i64, StoreError> {
        if let Some(id) = self.remembered.sources.get(source) {
            return Ok(*id);
        }
        let id = number(self.conn, "sources", source)?;
        self.remembered.sources.insert(source.clone(), id);
        Ok(id)
    }

    /// The number of `sink`, given on first sight.
    pub(super) fn sink(&mut self, sink: &Name) -> Result<i64, StoreError> {
        if let Some(id) = self.remembered.sinks.get(sink) {
            return Ok(*id);
        }
        let id = number(self.conn, "sinks", sink)?;
        if id >= SINKS {
            return Err(StoreError::Corrupt(format!("more than {SINKS} sink names were used with this store")));
        }
        self.remembered.sinks.insert(sink.clone(), id);
        Ok(id)
    }

    /// A place for a new delivery of sink `number`, called `name`, which is then inserted as claimed.
    pub(super) fn promise(&mut self, number: i64, name: &Name) -> Result<Option<Promise>, StoreError> {
        self.handing.promise(self.conn, &self.remembered.handovers, number, name)
    }

    /// Counts a change of how many deliveries to `sink` are pending and dead.
    pub(super) fn count(&mut self, sink: i64, pending: i64, dead: i64) {
        if let Some(row) = self.done.counts.iter_mut().find(|row| row.0 == sink) {
            row.1 += pending;
            row.2 += dead;
        } else {
            self.done.counts.push((sink, pending, dead));
        }
    }

    /// A counter kept in the store.
    pub(super) fn counter(&self, name: &str) -> Result<i64, StoreError> {
        counters::get(self.conn, name)
    }

    /// Sets a counter kept in the store.
    pub(super) fn set_counter(&self, name: &str, value: i64) -> Result<(), StoreError> {
        counters::set(self.conn, name, value)
    }

    /// Whether what is deleted from now on is overwritten with zeros; costs the writing of pages that would just be let go.
    pub(super) fn overwrite(&self, on: bool) -> Result<(), StoreError> {
        Ok(self.conn.pragma_update_and_check(None, "secure_delete", on, |_| Ok(()))?)
    }

    /// Where it is, for [`Tx::undo`].
    pub(super) fn savepoint(&self) -> Savepoint {
        Savepoint { done: self.done.clone(), handed: self.handing.len() }
    }

    /// Back to `before`, after a savepoint was rolled back; names may have gone with it.
    pub(super) fn undo(&mut self, before: Savepoint) {
        self.done = Done { fresh: false, ..before.done };
        self.handing.truncate(before.handed);
        self.remembered.forget();
    }

    /// What it has done and hands over, for whoever commits it or rolls it back.
    pub(super) fn end(self) -> (Done, Handing) {
        (self.done, self.handing)
    }

    /// Writes what was counted; the last thing before the commit.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        let sql = "UPDATE sinks SET pending = pending + ?2, dead = dead + ?3 WHERE id = ?1";
        if self.done.fresh {
            self.remembered.recent.move_on(self.conn)?;
        }
        for change in self.done.counts.drain(..) {
            self.conn.prepare_cached(sql)?.execute(change)?;
        }
        Ok(())
    }
}

fn number(conn: &Connection, table: &'static str, name: &Name) -> Result<i64, StoreError> {
    let find = format!("SELECT id FROM {table} WHERE name = ?1");
    let found = conn.prepare_cached(&find)?.query_row([name.as_str()], |row| row.get(0)).optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    conn.execute(&format!("INSERT INTO {table} (name) VALUES (?1)"), [name.as_str()])?;
    Ok(conn.last_insert_rowid())
}
