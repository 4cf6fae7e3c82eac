//! The store's own time: wall time when the store was made, and from then on only time that really passed.
//!
//! It is the machine's time since boot plus an offset that all processes share. After another boot it goes on from the
//! last mark: how long the machine was off nobody knows, as the clock that would say so may be wrong, and an id that is
//! remembered for too long does no harm. A wall clock that jumps changes nothing.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use crate::store::backend::Clocks;
use crate::store::error::StoreError;
use crate::store::stored::{self, micros_of};

/// Tells the time of one store, in microseconds; cheap to clone.
#[derive(Clone)]
pub(super) struct StoreClock {
    clocks: Clocks,
    /// Store time when the machine started.
    offset: i64,
    /// How far the wall clock was ahead of the store's time when the machine's first process opened it.
    base: i64,
}

/// The row of `clock`.
struct Held {
    boot: String,
    offset: i64,
    mark: i64,
    base: i64,
}

impl StoreClock {
    /// Reads the clock of the store behind `conn`, or starts it: a store that never had one begins at wall time.
    pub(super) fn open(conn: &mut Connection, clocks: &Clocks) -> Result<Self, StoreError> {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Held { boot: row.get(0)?, offset: row.get(1)?, mark: row.get(2)?, base: row.get(3)? })
        };
        let held = tx.query_row("SELECT boot, ahead, mark, base FROM clock", [], read).optional()?;
        let (up, wall) = (micros_of(clocks.boot.now()), clocks.wall.now().as_microsecond());
        let boot = clocks.boot.id().unwrap_or_default();
        let (offset, base) = match &held {
            None => (wall.saturating_sub(up), 0),
            Some(held) if is_same_boot(held, &boot, up) => (held.offset, held.base),
            Some(held) => (held.mark.saturating_sub(up), wall.saturating_sub(held.mark)),
        };
        let now = offset.saturating_add(up);
        let mark = held.as_ref().map_or(now, |held| held.mark.max(now));
        let sql = "INSERT INTO clock VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (id)
                   DO UPDATE SET boot = ?1, ahead = ?2, mark = ?3, base = ?4";
        tx.execute(sql, params![boot, offset, mark, base])?;
        if held.is_none() {
            // Left behind by wall time, before there was another: their retention begins again.
            tx.execute("UPDATE loose SET at = ?1", [now])?;
        }
        tx.commit()?;
        Ok(Self { clocks: clocks.clone(), offset, base })
    }

    /// Store time.
    pub(super) fn now(&self) -> i64 {
        self.offset.saturating_add(micros_of(self.clocks.boot.now()))
    }

    /// A store time as the wall clock of this machine has it.
    pub(super) fn shown(&self, at: i64) -> Timestamp {
        stored::shown(self.clocks.wall.now(), at.saturating_sub(self.now()))
    }

    /// How far the wall clock went ahead of the store's time since the machine started.
    pub(super) fn skew(&self) -> SignedDuration {
        let ahead = self.clocks.wall.now().as_microsecond().saturating_sub(self.now());
        SignedDuration::from_micros(ahead.saturating_sub(self.base))
    }
}

/// Raises the mark from which store time goes on after another boot; part of every probe.
pub(super) fn raise_mark(conn: &Connection, now: i64) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE clock SET mark = max(mark, ?1)")?.execute([now])?;
    Ok(())
}

/// Whether `held` was written since the machine started. A mark ahead of the time says no: a machine was put back to
/// an earlier state of its own.
fn is_same_boot(held: &Held, boot: &str, up: i64) -> bool {
    !boot.is_empty() && held.boot == boot && held.offset.saturating_add(up) >= held.mark
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::{BootClock, Clock};
    use crate::store::sqlite::file::{self, Role};
    use crate::store::sqlite::schema;

    struct Machine {
        path: std::path::PathBuf,
        clocks: Clocks,
        _dir: tempfile::TempDir,
    }

    impl Machine {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.db");
            file::create(&path, &mut file::sync).unwrap();
            schema::migrate(&mut file::connect(&path, Role::Writer).unwrap()).unwrap();
            let wall = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
            Self { path, clocks: Clocks { wall, boot: boot(Some("first"), 1000) }, _dir: dir }
        }

        fn open(&self) -> StoreClock {
            StoreClock::open(&mut file::connect(&self.path, Role::Writer).unwrap(), &self.clocks).unwrap()
        }

        fn probe(&self, clock: &StoreClock) {
            raise_mark(&file::connect(&self.path, Role::Writer).unwrap(), clock.now()).unwrap();
        }

        fn pass(&self, seconds: u64) {
            self.clocks.wall.advance(Duration::from_secs(seconds));
            self.clocks.boot.advance(Duration::from_secs(seconds));
        }
    }

    fn boot(id: Option<&str>, up: u64) -> BootClock {
        BootClock::manual(id, Duration::from_secs(up))
    }

    fn start() -> i64 {
        "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap().as_microsecond()
    }

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_new_store_begins_at_wall_time_and_a_jump_of_the_wall_clock_is_only_skew() {
        let machine = Machine::new();
        let clock = machine.open();
        assert_eq!((clock.now(), clock.skew()), (start(), SignedDuration::ZERO));
        machine.pass(10);
        machine.clocks.wall.advance(Duration::from_hours(100));
        assert_eq!(clock.now(), start() + 10 * SECOND);
        assert_eq!(clock.skew(), SignedDuration::from_hours(100));
        assert_eq!(clock.shown(clock.now() + SECOND), machine.clocks.wall.now() + Duration::from_secs(1));
        // Whoever opens it beside, or after a restart, has the same time and the same skew.
        let beside = machine.open();
        assert_eq!((beside.now(), beside.skew()), (clock.now(), clock.skew()));
    }

    #[test]
    fn after_another_boot_it_goes_on_from_the_mark_whatever_the_wall_clock_says() {
        for (hours, id) in [(90, Some("second")), (-90, Some("second")), (5, None)] {
            let mut machine = Machine::new();
            let clock = machine.open();
            machine.pass(60);
            machine.probe(&clock);
            machine.pass(1);
            machine.clocks.boot = boot(id, 7);
            machine.clocks.wall.set(machine.clocks.wall.now() + SignedDuration::from_hours(hours));
            let clock = machine.open();
            assert_eq!((clock.now(), clock.skew()), (start() + 60 * SECOND, SignedDuration::ZERO));
            machine.pass(5);
            assert!(machine.open().now() >= start() + 60 * SECOND);
            assert_eq!(clock.now(), start() + 65 * SECOND);
        }
    }

    #[test]
    fn a_machine_that_was_put_back_never_lets_time_go_back() {
        let mut machine = Machine::new();
        let clock = machine.open();
        machine.pass(100);
        machine.probe(&clock);
        machine.clocks.boot = boot(Some("first"), 1050);
        assert_eq!(machine.open().now(), start() + 100 * SECOND);
    }

    #[test]
    fn a_time_beyond_all_bounds_is_still_shown() {
        let clock = Machine::new().open();
        assert_eq!(clock.shown(i64::MAX), Timestamp::MAX);
        assert_eq!(clock.shown(i64::MIN), Timestamp::MIN);
    }
}
