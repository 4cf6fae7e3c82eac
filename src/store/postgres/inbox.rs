//! Takes events: what waits becomes one batch (when, says `batches.rs`) and one commit (how, says `insert.rs`).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::event::{Event, EventKey, Name};
use crate::metrics::Metrics;
use crate::store::error::StoreError;
use crate::store::handover::Handovers;
use crate::store::inbox::{Inbox, Insertion};
use crate::store::postgres::address::Address;
use crate::store::postgres::batches;
use crate::store::postgres::candidate::Candidate;
use crate::store::postgres::handing::Handing;
use crate::store::postgres::insert;
use crate::store::postgres::session::{Session, within};

/// Events that may wait; beyond it senders are told at once.
const QUEUE: usize = 8192;

/// One event that waits for its commit.
struct Waiting {
    candidate: Candidate,
    reply: oneshot::Sender<Result<Insertion, StoreError>>,
}

/// The receiving side of a PostgreSQL store.
pub(super) struct PostgresInbox {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    task: AsyncMutex<JoinSet<()>>,
}

impl PostgresInbox {
    /// Starts the tasks that insert; `queued` is notified of deliveries that were not handed over to one of `handovers`.
    pub(super) fn start(
        address: &Address,
        metrics: &Arc<Metrics>,
        queued: &Arc<Notify>,
        handovers: &Handovers,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (address, metrics, queued) = (address.clone(), Arc::clone(metrics), Arc::clone(queued));
        let handovers = handovers.clone();
        let worker = move || Worker {
            address: address.clone(),
            session: None,
            known_sources: HashSet::new(),
            metrics: Arc::clone(&metrics),
            queued: Arc::clone(&queued),
            handovers: handovers.clone(),
        };
        let bytes = |waiting: &Waiting| waiting.candidate.event.payload.bytes().len();
        let mut task = JoinSet::new();
        task.spawn(batches::hand_out(waiting, bytes, worker, Worker::take));
        Self { queue: Mutex::new(Some(queue)), task: AsyncMutex::new(task) }
    }

    /// Finishes what waits; later inserts fail.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        while self.task.lock().await.join_next().await.is_some() {}
    }
}

#[async_trait]
impl Inbox for PostgresInbox {
    async fn insert_beside(
        &self,
        event: Event,
        twins: &[EventKey],
        sinks: Arc<[Name]>,
    ) -> Result<Insertion, StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".into());
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let waiting =
            Waiting { candidate: Candidate { key: event.unique_key(), twins: twins.to_vec(), event, sinks }, reply };
        queue.try_send(waiting).map_err(|_| StoreError::Unavailable("too many events wait for the database".into()))?;
        within(async { answer.await.unwrap_or_else(|_| Err(closed())) }).await
    }
}

struct Worker {
    address: Address,
    session: Option<Session>,
    /// Sources this process has written down.
    known_sources: HashSet<Name>,
    metrics: Arc<Metrics>,
    queued: Arc<Notify>,
    handovers: Handovers,
}

impl Worker {
    /// Inserts and answers `batch`, but for those that nobody waits for any more.
    async fn take(mut self, mut batch: Vec<Waiting>) -> Self {
        batch.retain(|waiting| !waiting.reply.is_closed());
        if !batch.is_empty() {
            self.answer(batch).await;
        }
        self
    }

    async fn answer(&mut self, mut batch: Vec<Waiting>) {
        batch.sort_by_key(|waiting| waiting.candidate.key);
        let candidates: Vec<&Candidate> = batch.iter().map(|waiting| &waiting.candidate).collect();
        let outcome = within(self.commit(&candidates)).await;
        match outcome {
            Ok(insertions) => {
                for (waiting, insertion) in batch.into_iter().zip(insertions) {
                    let _ = waiting.reply.send(insertion);
                }
            }
            // One of them may be to blame: the server refused the statement, but is there.
            Err(StoreError::Corrupt(_)) if batch.len() > 1 => {
                for waiting in batch {
                    let outcome = within(self.commit(&[&waiting.candidate])).await;
                    let alone =
                        outcome.and_then(|outcomes| outcomes.into_iter().next().unwrap_or_else(|| repeated(None)));
                    let _ = waiting.reply.send(alone.map_err(|error| unavailable(&error)));
                }
            }
            Err(error) => {
                let error = unavailable(&error);
                for waiting in batch {
                    let _ = waiting.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Inserts `batch`, sorted by key. The session is kept only when all went well: a timeout drops it half-way.
    async fn commit(&mut self, batch: &[&Candidate]) -> Result<Vec<Result<Insertion, StoreError>>, StoreError> {
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::connect(&self.address, insert::SETUP, || ()).await?,
        };
        self.note_sources(&session, batch).await?;
        let (firsts, is_first) = firsts(batch);
        let started = Instant::now();
        let handing = Handing::of(&firsts, &self.handovers);
        let fresh = insert::insert(&session, &firsts, &handing).await?;
        self.metrics.store_commit.observe(started.elapsed().as_secs_f64());
        let accepted: Vec<bool> =
            batch.iter().zip(is_first).map(|(one, first)| first && fresh.keys.contains(&one.key)).collect();
        if !fresh.keys.is_empty() {
            self.metrics.store_batch.observe(f64::from(u32::try_from(fresh.keys.len()).unwrap_or(u32::MAX)));
            if handing.leaves_some() {
                self.queued.notify_waiters();
            }
        }
        handing.hand_over(&firsts, &fresh.claimed);
        let rest: Vec<&Candidate> =
            batch.iter().zip(&accepted).filter(|(_, new)| !**new).map(|(one, _)| *one).collect();
        let mut is_same = insert::compare(&session, &rest).await?.into_iter();
        self.session = Some(session);
        let outcome = |new| if new { Ok(Insertion::Accepted) } else { repeated(is_same.next().flatten()) };
        Ok(accepted.into_iter().map(outcome).collect())
    }

    async fn note_sources(&mut self, session: &Session, batch: &[&Candidate]) -> Result<(), StoreError> {
        for candidate in batch {
            let source = &candidate.event.source;
            if !self.known_sources.contains(source) {
                insert::note_source(session, source).await?;
                self.known_sources.insert(source.clone());
            }
        }
        Ok(())
    }
}

/// What the server refuses for its content stays refused; to the sender it is one more reason to come again.
fn unavailable(error: &StoreError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// The first of each key and body, which are inserted, and which of `batch` they are; the others are compared with
/// whatever is there then.
fn firsts<'b>(batch: &[&'b Candidate]) -> (Vec<&'b Candidate>, Vec<bool>) {
    let mut firsts: Vec<&Candidate> = Vec::with_capacity(batch.len());
    let mut is_first = Vec::with_capacity(batch.len());
    let mut last = None;
    for one in batch {
        let first = last != Some(one.key) && !firsts.iter().any(|first| one.is_twin_of(first));
        last = Some(one.key);
        is_first.push(first);
        if first {
            firsts.push(one);
        }
    }
    (firsts, is_first)
}

/// What became of an event that was not accepted, by whether the body that is there is the same.
fn repeated(same: Option<bool>) -> Result<Insertion, StoreError> {
    match same {
        Some(true) => Ok(Insertion::Duplicate),
        Some(false) => Ok(Insertion::Conflict),
        None => Err(StoreError::Unavailable("the id was just forgotten, try again".into())),
    }
}
