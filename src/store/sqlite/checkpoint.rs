//! Keeps the write-ahead log short without the commits noticing: a thread of its own copies it into the database.
//!
//! Under constant load that thread alone never finishes, as the log grows while it copies; and the log starts over
//! only when all of it is copied. So when the log is long and nearly all of it copied, the writer copies the small rest between
//! two transactions: the one moment in which commits wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::open_files::OpenFiles;

/// Pages of the log (of 8 KiB) after which it is copied, and again. Little by little, for where there is one core commits wait
/// for what is copied at once; not too little, for each time both files are synced (measured: a twentieth of the CPU of an event
/// with 64 pages, and no more to gain with 512).
const STEP: u32 = 256;
/// Pages from which it is to start over: for the writer's part, short as it is, all commits wait.
const LONG: u32 = 1_024;
/// How few pages may be left for the writer: a moment's work.
const REST: i64 = 64;
/// How often the thread tries to get down to [`REST`].
const ROUNDS: u32 = 5;

/// The writer's hold on the checkpointing thread; dropping it ends the thread.
pub(super) struct Checkpointer {
    begin: SyncSender<()>,
    pages: Arc<AtomicU32>,
    /// How long the log was when the thread was told last.
    told: AtomicU32,
    nearly_done: Arc<AtomicBool>,
}

impl Checkpointer {
    /// Starts the thread for the database `files`.
    pub(super) fn start(files: Arc<OpenFiles>) -> Result<Self, StoreError> {
        let (begin, told) = sync_channel(1);
        let nearly_done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&nearly_done);
        let thread = thread::Builder::new().name("store-checkpoint".into());
        thread
            .spawn(move || copy_when_told(&files, &told, &flag))
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { begin, pages: Arc::default(), told: AtomicU32::default(), nearly_done })
    }

    /// Follows how long the log is after each commit of `conn`.
    pub(super) fn watch(&self, conn: &mut Connection) {
        let pages = Arc::clone(&self.pages);
        let hook = move |_: &'_ mut rusqlite::hooks::Wal, length: std::ffi::c_int| {
            pages.store(u32::try_from(length).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        // Without the hook the log would only be copied on close.
        if let Err(error) = conn.wal_hook(Some(hook)) {
            tracing::error!(%error, "the store's log cannot be watched");
        }
    }

    /// Called between transactions: wakes the thread when the log is long, and copies the rest it left.
    pub(super) fn relieve(&self, conn: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < LONG {
            // What the thread says of a log that is to grow on, or has started over since, is not for the writer (measured: it
            // copied all of the log then, and held up commits for milliseconds).
            self.nearly_done.store(false, Ordering::Release);
        } else if self.nearly_done.swap(false, Ordering::AcqRel) {
            if checkpoint(conn).is_ok_and(|left| left == 0) {
                self.pages.store(0, Ordering::Relaxed);
            }
            return;
        }
        let mut told = self.told.load(Ordering::Relaxed);
        if pages < told {
            // It has started over.
            told = 0;
        }
        // Full means that it has been told already.
        if (pages - told >= STEP || pages >= LONG) && self.begin.try_send(()).is_ok() {
            told = pages;
        }
        self.told.store(told, Ordering::Relaxed);
    }
}

fn copy_when_told(files: &OpenFiles, told: &Receiver<()>, nearly_done: &AtomicBool) {
    let mut conn = None;
    while told.recv().is_ok() {
        if conn.is_none() {
            conn = files.connect(Role::Checkpointer).ok();
        }
        let Some(open) = &conn else { continue };
        for _ in 0..ROUNDS {
            match checkpoint(open) {
                Ok(left) if left > REST => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the store's log could not be copied, it grows until it can");
                    conn = None;
                    break;
                }
            }
        }
        nearly_done.store(conn.is_some(), Ordering::Release);
    }
}

/// Copies what can be copied without holding anybody up; returns how many pages are left.
fn checkpoint(conn: &Connection) -> Result<i64, StoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?);
    Ok(conn.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], read)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hold on a thread that does nothing, and what it was told.
    fn held() -> (Checkpointer, Receiver<()>, Connection) {
        let (begin, told) = sync_channel(1);
        let checkpointer =
            Checkpointer { begin, pages: Arc::default(), told: AtomicU32::default(), nearly_done: Arc::default() };
        (checkpointer, told, Connection::open_in_memory().unwrap())
    }

    /// Whether the thread is told after a commit that makes the log so long.
    fn tells_at(pages: u32, (checkpointer, told, conn): &(Checkpointer, Receiver<()>, Connection)) -> bool {
        checkpointer.pages.store(pages, Ordering::Relaxed);
        checkpointer.relieve(conn);
        told.try_recv().is_ok()
    }

    #[test]
    fn the_thread_copies_step_by_step() {
        let held = held();
        assert!(!tells_at(STEP - 1, &held));
        assert!(tells_at(STEP + 10, &held));
        assert!(!tells_at(2 * STEP + 9, &held));
        assert!(tells_at(2 * STEP + 10, &held));
        assert!(!tells_at(4, &held), "it has started over");
        assert!(!tells_at(STEP - 1, &held));
        assert!(tells_at(STEP, &held));
    }

    #[test]
    fn one_that_is_busy_is_told_again() {
        let held = held();
        held.0.begin.try_send(()).unwrap();
        held.0.pages.store(STEP, Ordering::Relaxed);
        held.0.relieve(&held.2);
        held.1.try_recv().unwrap();
        assert!(tells_at(STEP + 1, &held), "what it was told before was of less");
    }

    #[test]
    fn of_a_long_log_the_writer_copies_what_is_left() {
        let held = held();
        assert!(tells_at(LONG, &held));
        assert!(tells_at(LONG + 1, &held), "until it is done");
        held.0.nearly_done.store(true, Ordering::Release);
        assert!(!tells_at(LONG + 2, &held), "the writer's turn");
        assert!(!held.0.nearly_done.load(Ordering::Acquire));
    }

    #[test]
    fn what_the_thread_has_left_of_a_short_log_is_its_own() {
        let held = held();
        held.0.nearly_done.store(true, Ordering::Release);
        assert!(!tells_at(4, &held));
        assert!(tells_at(LONG, &held));
    }
}
