//! What waits for the writing thread, the bell that wakes it, and the way back to those who wait for an answer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::store::error::StoreError;
use crate::store::sqlite::transaction::Tx;

/// Tasks that may wait; beyond it callers are told at once.
const QUEUE: usize = 8192;
/// Tasks in one transaction: bounds its length and thereby the wait of those behind it.
const BATCH: usize = 512;
/// Transactions whose tasks the runtime has not answered yet.
const BATCHES: usize = 8;

/// Something to be done in a write transaction.
pub(super) trait Task: Send {
    /// Nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Does it; may be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError>;
    /// Tells whoever waits.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// A closure as a task, and who waits for what it returns.
pub(super) struct Call<T, F> {
    run: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Call<T, F> {
    /// `run` as a task, and where its outcome comes out.
    pub(super) fn new(run: F) -> (Self, oneshot::Receiver<Result<T, StoreError>>) {
        let (reply, outcome) = oneshot::channel();
        (Self { run, value: None, reply }, outcome)
    }
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
    /// The thread sleeps until somebody rings.
    idle: bool,
    closed: bool,
}

/// The tasks that wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

/// Wakes the thread when it is dropped: whoever has it to ring it cannot end without having done so.
pub(super) struct Bell<'q>(&'q Queue);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        self.0.filled.notify_one();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A task that panicked leaves the list itself whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task. The first that comes while the thread sleeps gets the bell.
    pub(super) fn push(&self, task: Box<dyn Task>) -> Result<Option<Bell<'_>>, StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Unavailable("the store is closed".into()));
        }
        if waiting.tasks.len() >= QUEUE {
            return Err(StoreError::Unavailable("too many writes wait for the disk".into()));
        }
        waiting.tasks.push(task);
        Ok(std::mem::take(&mut waiting.idle).then(|| Bell(self)))
    }

    /// All that wait, at most [`BATCH`]; `None` once closed and empty.
    pub(super) fn take(&self) -> Option<Vec<Box<dyn Task>>> {
        // On the only core, the runtime was held up by the commit that has just ended: whoever is ready there shares the
        // next. With another core it costs one system call.
        thread::yield_now();
        let mut waiting = self.lock();
        while waiting.tasks.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting.idle = true;
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.idle = false;
        if waiting.tasks.len() <= BATCH {
            return Some(std::mem::take(&mut waiting.tasks));
        }
        Some(waiting.tasks.drain(..BATCH).collect())
    }

    /// Takes no more tasks.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }
}

/// Held by the thread: however it ends, nobody waits for it in vain.
pub(super) struct Serving(pub(super) Arc<Queue>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.close();
        let unanswered = std::mem::take(&mut self.0.lock().tasks);
        drop(unanswered);
    }
}

/// The tasks of one transaction, and what became of each.
pub(super) type Outcomes = Vec<(Box<dyn Task>, Result<(), StoreError>)>;

/// The way back. Answering from the writing thread wakes the runtime for each of a batch; a task on the runtime is woken
/// once, and wakes the others where they run.
pub(super) struct Answers(mpsc::Sender<Outcomes>);

impl Answers {
    /// Starts the task, which ends when this is dropped and all have been answered.
    #[expect(clippy::disallowed_methods, reason = "the writing thread owns it: it ends with that")]
    pub(super) fn start() -> Self {
        let (send, mut outcomes) = mpsc::channel(BATCHES);
        tokio::spawn(async move {
            while let Some(outcomes) = outcomes.recv().await {
                answer(outcomes);
            }
        });
        Self(send)
    }

    /// Tells all of them.
    pub(super) fn tell(&self, outcomes: Outcomes) {
        // Nothing to gain for one, and one more wake-up to wait for.
        if outcomes.len() == 1 {
            return answer(outcomes);
        }
        match self.0.try_send(outcomes) {
            Ok(()) => {}
            // The runtime is far behind, or gone with all who waited on it.
            Err(TrySendError::Full(outcomes) | TrySendError::Closed(outcomes)) => answer(outcomes),
        }
    }
}

fn answer(outcomes: Outcomes) {
    for (task, outcome) in outcomes {
        task.answer(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Box<dyn Task> {
        Box::new(Call::new(|_: &mut Tx<'_>| Ok(())).0)
    }

    #[test]
    fn one_of_those_who_come_while_the_thread_sleeps_wakes_it_and_cannot_forget_to() {
        let queue = Arc::new(Queue::default());
        let taking = Arc::clone(&queue);
        let thread = thread::spawn(move || taking.take().map(|tasks| tasks.len()));
        while !queue.lock().idle {
            thread::yield_now();
        }
        let bell = queue.push(task()).unwrap();
        assert!(bell.is_some());
        assert!(queue.push(task()).unwrap().is_none(), "one is enough");
        // As when the caller goes away before it has rung.
        drop(bell);
        assert_eq!(thread.join().unwrap(), Some(2));
        assert!(queue.push(task()).unwrap().is_none(), "who is awake looks by itself");
    }

    #[tokio::test]
    async fn all_of_a_batch_are_answered_whoever_does_it() {
        let answers = Answers::start();
        // More batches than the runtime has room for before it runs at all.
        let mut waiting = Vec::new();
        for _ in 0..BATCHES * 2 {
            let mut outcomes = Outcomes::new();
            for _ in 0..3 {
                let (call, outcome) = Call::new(|_: &mut Tx<'_>| Ok(()));
                outcomes.push((Box::new(call) as _, Err(StoreError::Unavailable("told".into()))));
                waiting.push(outcome);
            }
            answers.tell(outcomes);
        }
        for outcome in waiting {
            assert!(matches!(outcome.await, Ok(Err(StoreError::Unavailable(_)))));
        }
    }
}
