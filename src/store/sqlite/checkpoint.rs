//! Keeps the write-ahead log short without the commits noticing: a thread of its own copies it into the database.
//!
//! Under constant load that thread alone never finishes, as the log grows while it copies; and the log starts over
//! only when all of it is copied. So when it has copied nearly all, the writer copies the small rest between two
//! transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::open_files::OpenFiles;

/// Pages in the log (of 8 KiB) from which it is copied. Copied little by little it does not hold up the commits beside
/// it (measured: p99 at saturation and at 30 % of it), and a log that is short is soon written over instead of growing.
const START: u32 = 256;
/// How few pages may be left for the writer: a moment's work.
const REST: i64 = 64;
/// How often the thread tries to get down to [`REST`].
const ROUNDS: u32 = 5;

/// The writer's hold on the checkpointing thread; dropping it ends the thread.
pub(super) struct Checkpointer {
    begin: SyncSender<()>,
    pages: Arc<AtomicU32>,
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
        Ok(Self { begin, pages: Arc::default(), nearly_done })
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
        if self.pages.load(Ordering::Relaxed) < START {
            // It has started over, so what the thread left is copied; the next time it is the thread's turn again, and not
            // the writer's to copy all of it (measured: it held up commits for milliseconds whenever there was a pause).
            self.nearly_done.store(false, Ordering::Release);
            return;
        }
        if self.nearly_done.swap(false, Ordering::AcqRel) {
            if checkpoint(conn).is_ok_and(|left| left == 0) {
                self.pages.store(0, Ordering::Relaxed);
            }
        } else {
            // Full means that it has been told already.
            let _ = self.begin.try_send(());
        }
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
        let checkpointer = Checkpointer { begin, pages: Arc::default(), nearly_done: Arc::default() };
        (checkpointer, told, Connection::open_in_memory().unwrap())
    }

    #[test]
    fn the_thread_copies_a_long_log_and_the_writer_what_is_left() {
        let (checkpointer, told, conn) = held();
        checkpointer.pages.store(START - 1, Ordering::Relaxed);
        checkpointer.relieve(&conn);
        assert!(told.try_recv().is_err(), "not yet");
        checkpointer.pages.store(START, Ordering::Relaxed);
        checkpointer.relieve(&conn);
        assert!(told.try_recv().is_ok());
        checkpointer.nearly_done.store(true, Ordering::Release);
        checkpointer.relieve(&conn);
        assert!(told.try_recv().is_err(), "the writer's turn");
        assert!(!checkpointer.nearly_done.load(Ordering::Acquire));
    }

    #[test]
    fn where_the_thread_left_nothing_the_next_log_is_its_own_again() {
        let (checkpointer, told, conn) = held();
        checkpointer.nearly_done.store(true, Ordering::Release);
        // All was copied, so the next commit started the log over.
        checkpointer.pages.store(4, Ordering::Relaxed);
        checkpointer.relieve(&conn);
        checkpointer.pages.store(START, Ordering::Relaxed);
        checkpointer.relieve(&conn);
        assert!(told.try_recv().is_ok());
    }
}
