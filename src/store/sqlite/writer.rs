//! The one thread that writes: whatever waits shares one transaction and one fsync (group commit).
//!
//! It waits for nobody to fill a batch: while one commit is under way the next batch gathers by itself, and whoever wakes
//! it lets those come first who are ready (`tasks.rs`). Nobody is answered before the commit has returned. When a task
//! fails, the batch is done again with a savepoint around each, so that only that one fails; when the disk or the lock
//! fails, all of the batch are told so and the connection is opened afresh for the next.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::store::error::StoreError;
use crate::store::handover::Handovers;
use crate::store::sqlite::checkpoint::Checkpointer;
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::handing::Handing;
use crate::store::sqlite::open_files::OpenFiles;
use crate::store::sqlite::tasks::{Answers, Call, Outcomes, Queue, Serving, Task};
use crate::store::sqlite::transaction::{Remembered, Tx};

/// How long a caller waits for its commit. What was not begun by then is dropped; what was may still be committed.
const PATIENCE: Duration = Duration::from_secs(8);

/// The way to the writing thread; when it is dropped the thread finishes what waits and ends.
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread on `conn`, a connection to `files`; `queued` is notified after commits that queued deliveries which were
    /// not handed over to one of `handovers`.
    pub(super) fn start(
        files: Arc<OpenFiles>,
        conn: Connection,
        metrics: Arc<Metrics>,
        queued: Arc<Notify>,
        handovers: Handovers,
        clock: StoreClock,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let checkpointer = Checkpointer::start(Arc::clone(&files))?;
        let readers = Arc::clone(&files);
        let remembered = Remembered::new(Arc::new(move || readers.connect(Role::Reader)), handovers);
        let answers = Answers::start();
        let mut thread =
            Thread { files, conn: None, remembered, metrics, queued, checkpointer, clock, answers, lost: false };
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
        let (task, answer) = Call::new(run);
        if let Some(bell) = self.queue.push(Box::new(task))? {
            // Those who are ready by now come first: what they bring shares the commit.
            tokio::task::yield_now().await;
            drop(bell);
        }
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
    answers: Answers,
    /// The files are not where they belong; nothing is written until they are again.
    lost: bool,
}

impl Thread {
    fn adopt(&mut self, mut conn: Connection) {
        self.checkpointer.watch(&mut conn);
        // What is remembered was checked against marks of the connection before.
        self.remembered.forget_all();
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
        let (outcomes, handing): (Outcomes, _) = match outcomes {
            Ok((outcomes, handing)) => (batch.into_iter().zip(outcomes).collect(), Some(handing)),
            Err(error) => (batch.into_iter().map(|task| (task, Err(error.clone()))).collect(), None),
        };
        self.answers.tell(outcomes);
        // The senders first: on the only core, what is delivered now is what they wait for.
        if let Some(handing) = handing {
            handing.hand_over();
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

    /// One transaction over `batch`: its commit, what became of each in it, and what is to be handed over. `Err`: nothing took
    /// effect.
    fn attempt(
        &mut self,
        batch: &mut [Box<dyn Task>],
        guarded: bool,
    ) -> Result<(Vec<Result<(), StoreError>>, Handing), StoreError> {
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
        let asked = tokio::time::Instant::now();
        let mut tx = Tx::new(&conn, &mut self.remembered, asked, self.clock.now());
        let ran = run(&mut tx, batch, guarded);
        let (done, handing) = tx.end();
        match ran {
            Ok(outcomes) => {
                let started = Instant::now();
                if let Err(error) = conn.prepare_cached("COMMIT").and_then(|mut sql| sql.execute([])) {
                    self.remembered.forget();
                    return Err(self.blame(&conn, error.into()));
                }
                self.metrics.store_commit.observe(started.elapsed().as_secs_f64());
                // Measured on a busy machine: 8 µs a batch. When the file comes back, the commit has happened after all.
                if let Err(error) = self.files.check_commit(&conn) {
                    (self.lost, self.conn) = (true, Some(conn));
                    self.remembered.forget();
                    return Err(error);
                }
                if done.events > 0 {
                    self.metrics.store_batch.observe(f64::from(done.events));
                }
                if done.queued {
                    // All of them: each sink's dispatcher waits, armed before it last looked.
                    self.queued.notify_waiters();
                }
                self.conn = Some(conn);
                Ok((outcomes, handing))
            }
            Err(error) => {
                self.remembered.forget();
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
    let before = tx.savepoint();
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
