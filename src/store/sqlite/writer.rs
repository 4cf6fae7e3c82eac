//! The one thread that writes: whatever waits shares one transaction and one fsync (group commit).
//!
//! It never lingers to fill a batch: while one commit is under way the next batch gathers by itself. Nobody is
//! answered before the commit has returned. When a task fails, the batch is done again with a savepoint around each,
//! so that only that one fails; when the disk or the lock fails, all of the batch are told so and the connection is
//! opened afresh for the next.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};

use crate::metrics::Metrics;
use crate::store::error::StoreError;
use crate::store::sqlite::checkpoint::Checkpointer;
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::open_files::OpenFiles;
use crate::store::sqlite::transaction::{Remembered, Tx};

/// Tasks that may wait; beyond it callers are told at once.
const QUEUE: usize = 8192;
/// Tasks in one transaction: bounds its length and thereby the wait of those behind it.
const BATCH: usize = 512;
/// How long a caller waits for its commit. What was not begun by then is dropped; what was may still be committed.
const PATIENCE: Duration = Duration::from_secs(8);

/// Something to be done in a write transaction.
trait Task: Send {
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Does it; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Tells whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Call<T, F> {
    run: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send> Task for Call<T, F> {
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        self.value = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let outcome = committed.and_then(|()| value.ok_or_else(|| StoreError::Unavailable("not run".into())));
        // Whoever asked may have gone away; the commit stands.
        let _ = reply.send(outcome);
    }
}

#[derive(Default)]
struct Waiting {
    tasks: Vec<Box<dyn Task>>,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // A task that panicked leaves the list itself whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, task: Box<dyn Task>) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        if waiting.tasks.len() >= QUEUE {
            return Err(StoreError::Unavailable("too many writes wait for the disk".into()));
        }
        waiting.tasks.push(task);
        let first = waiting.tasks.len() == 1;
        drop(waiting);
        if first {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// All that wait, at most [`BATCH`]; `None` once closed and empty.
    fn take(&self) -> Option<Vec<Box<dyn Task>>> {
        let mut waiting = self.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.tasks.len() <= BATCH {
            return Some(std::mem::take(&mut waiting.tasks));
        }
        Some(waiting.tasks.drain(..BATCH).collect())
    }

    fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }
}

/// Held by the thread: however it ends, nobody waits for it in vain.
struct Serving(Arc<Queue>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.close();
        let unanswered = std::mem::take(&mut self.0.lock().tasks);
        drop(unanswered);
    }
}

/// The way to the writing thread; when it is dropped the thread finishes what waits and ends.
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on `conn`, a connection to `files`; `queued` is notified after commits that queued deliveries.
    pub(super) fn start(
        files: Arc<OpenFiles>,
        conn: Connection,
        metrics: Arc<Metrics>,
        queued: Arc<Notify>,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let checkpointer = Checkpointer::start(Arc::clone(&files))?;
        let remembered = Remembered::default();
        let mut thread = Thread { files, conn: None, remembered, metrics, queued, checkpointer, clock, lost: false };
        thread.adopt(conn);
        let tasks = Serving(Arc::clone(&queue));
        let work = move || {
            while let Some(batch) = tasks.0.take() {
                thread.commit(batch);
            }
            thread.end();
        };
        let thread = thread::Builder::new().name("store-writer".into()).spawn(work);
        let thread = thread.map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Does `run` in the next transaction; resolves after its commit. `run` may be called again after a rollback.
    pub(super) async fn call<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Box::new(Call { run, value: None, reply }))?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Unavailable("the writing thread ended".into())),
            Err(_) => Err(StoreError::Unavailable(format!("no commit within {PATIENCE:?}"))),
        }
    }

    /// Takes no more tasks; the returned thread ends when what waits is done.
    pub(super) fn close(&self) -> Option<JoinHandle<()>> {
        self.queue.close();
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

struct Thread {
    files: Arc<OpenFiles>,
    conn: Option<Connection>,
    remembered: Remembered,
    metrics: Arc<Metrics>,
    queued: Arc<Notify>,
    checkpointer: Checkpointer,
    clock: StoreClock,
    /// The files are not where they belong; nothing is written until they are again.
    lost: bool,
}

impl Thread {
    fn adopt(&mut self, mut conn: Connection) {
        self.checkpointer.watch(&mut conn);
        // What is remembered was checked against marks of the connection before.
        self.remembered = Remembered::default();
        self.conn = Some(conn);
    }

    /// Runs `batch` in one transaction and answers each of it.
    fn commit(&mut self, mut batch: Vec<Box<dyn Task>>) {
        batch.retain(|task| !task.abandoned());
        if batch.is_empty() {
            return;
        }
        let outcomes = match self.attempt(&mut batch, false) {
            // One of them failed, or all did: find out which, each on its own.
            Err(_) if self.conn.is_some() && !self.lost => self.attempt(&mut batch, true),
            first => first,
        };
        match outcomes {
            Ok(outcomes) => batch.into_iter().zip(outcomes).for_each(|(task, outcome)| task.answer(outcome)),
            Err(error) => batch.into_iter().for_each(|task| task.answer(Err(error.clone()))),
        }
        if let Some(conn) = self.conn.as_ref().filter(|_| !self.lost) {
            self.checkpointer.relieve(conn);
        }
    }

    /// Why a transaction failed: often the files are to blame, and SQLite's own words do not tell.
    fn blame(&mut self, conn: &Connection, error: StoreError) -> StoreError {
        let Err(words) = self.files.check_commit(conn) else { return error };
        self.lost = true;
        words
    }

    /// Closes the connection, and the files after it.
    fn end(self) {
        let Self { files, conn, checkpointer, .. } = self;
        drop(checkpointer);
        drop(conn);
        files.release();
    }

    /// One transaction over `batch`: its commit, and what became of each in it. `Err`: nothing took effect.
    fn attempt(
        &mut self,
        batch: &mut [Box<dyn Task>],
        guarded: bool,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        if self.lost {
            self.files.check()?;
            self.lost = false;
        }
        if self.conn.is_none() {
            self.adopt(self.files.connect(Role::Writer)?);
        }
        let conn = self.conn.take().ok_or_else(|| StoreError::Unavailable("no connection".into()))?;
        if let Err(error) = conn.prepare_cached("BEGIN IMMEDIATE").and_then(|mut sql| sql.execute([])) {
            // Dropped, and opened afresh for the next batch.
            return Err(self.blame(&conn, error.into()));
        }
        let mut tx = Tx::new(&conn, &mut self.remembered, self.clock.now());
        match run(&mut tx, batch, guarded) {
            Ok(outcomes) => {
                let started = Instant::now();
                if let Err(error) = conn.prepare_cached("COMMIT").and_then(|mut sql| sql.execute([])) {
                    self.remembered = Remembered::default();
                    return Err(self.blame(&conn, error.into()));
                }
                self.metrics.store_commit.observe(started.elapsed().as_secs_f64());
                // Measured on a busy machine: 8 µs a batch. When the file comes back, the commit has happened after all.
                if let Err(error) = self.files.check_commit(&conn) {
                    (self.lost, self.conn, self.remembered) = (true, Some(conn), Remembered::default());
                    return Err(error);
                }
                if tx.done.events > 0 {
                    self.metrics.store_batch.observe(f64::from(tx.done.events));
                }
                if tx.done.queued {
                    // All of them: each sink's dispatcher waits, armed before it last looked.
                    self.queued.notify_waiters();
                }
                self.conn = Some(conn);
                Ok(outcomes)
            }
            Err(error) => {
                self.remembered = Remembered::default();
                let error = self.blame(&conn, error);
                if conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok() {
                    self.conn = Some(conn);
                }
                Err(error)
            }
        }
    }
}

fn run(tx: &mut Tx<'_>, batch: &mut [Box<dyn Task>], guarded: bool) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for task in batch {
        outcomes.push(if guarded { run_guarded(tx, task.as_mut())? } else { Ok(task.run(tx)?) });
    }
    tx.flush()?;
    Ok(outcomes)
}

/// The outer error ends the transaction, the inner one is this task's own.
fn run_guarded(tx: &mut Tx<'_>, task: &mut dyn Task) -> Result<Result<(), StoreError>, StoreError> {
    let before = tx.done.clone();
    tx.conn.execute_batch("SAVEPOINT task")?;
    let outcome = task.run(tx);
    if outcome.is_err() {
        if tx.conn.is_autocommit() {
            // SQLite has ended the whole transaction by itself.
            return outcome.map(Ok);
        }
        tx.conn.execute_batch("ROLLBACK TO task")?;
        tx.undo(before);
    }
    tx.conn.execute_batch("RELEASE task")?;
    Ok(outcome)
}
