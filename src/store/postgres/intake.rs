//! Takes events: what waits becomes one multi-row statement and one commit (when, says `batches.rs`).
//!
//! Uniqueness is PostgreSQL's within a generation (primary key), and holds across generations because none is opened
//! while a transaction that adds to the last is under way: each takes the lock [`GENERATIONS`] shared first, and its
//! statement, which then begins, sees all that earlier generations hold. Keys go in sorted, so that batches and
//! replicas never wait for each other in a circle.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_postgres::types::ToSql;

use crate::event::{Event, EventKey, Name};
use crate::metrics::Metrics;
use crate::store::error::StoreError;
use crate::store::inbox::{Inbox, Insertion};
use crate::store::postgres::address::Address;
use crate::store::postgres::batches;
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::text;
use crate::store::postgres::schema::GENERATIONS;
use crate::store::postgres::session::{Session, Values, within};
use crate::store::sql::sql;
use crate::store::stored::micros;

/// Events that may wait; beyond it senders are told at once.
const QUEUE: usize = 8192;

/// Plans made once and not by statistics: each row is found through its index, the batch is joined by hashing.
pub(super) const SETUP: &str =
    "SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off; SET enable_nestloop = off;
    SET enable_bitmapscan = off;";

/// Ids first: what they do not take is not new. Earlier generations are asked; the open one, the largest, says so by
/// itself when it takes the id. Then the events of those, their deliveries, and how many of these.
macro_rules! insert {
    ($more_values:literal, $more_columns:literal, $more_conditions:literal) => {
        sql!(
            clock!(),
            "given AS (
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bytea[]", $more_values, ")
        AS g (key, source, id, kind, received_at, content_type, verified_by, request_id, client_ip, traceparent, body",
        $more_columns, ")
), fresh AS (
    INSERT INTO gatepost_ids (key, gen, seq)
    SELECT g.key, (SELECT gen FROM gatepost_generations WHERE closed_at IS NULL), nextval('gatepost_event_seq')
    FROM given g WHERE (
        SELECT count(*) FROM gatepost_ids o
        WHERE o.key = g.key AND o.gen < (SELECT gen FROM gatepost_generations WHERE closed_at IS NULL)
    ) = 0", $more_conditions, "
    ORDER BY g.key
    ON CONFLICT DO NOTHING RETURNING key, gen, seq
), stored AS (
    INSERT INTO gatepost_events
    SELECT f.seq, f.gen, g.source, g.id, g.kind, g.received_at, g.content_type, g.verified_by, g.request_id,
        g.client_ip, g.traceparent, g.body
    FROM fresh f JOIN given g ON g.key = f.key
), queued AS (
    INSERT INTO gatepost_deliveries (gen, seq, sink, state, attempts, due_at, queued_at, lease)
    SELECT f.gen, f.seq, d.sink, {PENDING}, 0, (SELECT t FROM clock), (SELECT t FROM clock), 0
    FROM fresh f JOIN unnest($12::bytea[], $13::text[]) AS d (key, sink) ON d.key = f.key
    ON CONFLICT DO NOTHING RETURNING sink
), counted AS (
    INSERT INTO gatepost_sink_counts SELECT sink, count(*), 0 FROM queued GROUP BY sink
)
SELECT key FROM fresh")
    };
}

const INSERT: &str = insert!("", "", "");

/// The same for events whose body may be stored under other keys too, which stand one behind the other.
const INSERT_BESIDE: &str = insert!(
    ", $14::bytea[]",
    ", twins",
    " AND (
        SELECT count(*) FROM generate_series(0, length(g.twins) / 16 - 1) AS t (n)
        WHERE (SELECT (SELECT e.body = g.body FROM gatepost_events e WHERE e.gen = i.gen AND e.seq = i.seq)
               FROM gatepost_ids i WHERE i.key = substring(g.twins FROM t.n * 16 + 1 FOR 16) LIMIT 1)
    ) = 0"
);

/// Taken before [`INSERT_BESIDE`] looks for equal bodies, in one order by everybody, so that two of them are never
/// inserted at once.
const LOCK_BODIES: &str = "
SELECT pg_advisory_xact_lock($1, bucket) FROM (SELECT DISTINCT b FROM unnest($2::int[]) AS b ORDER BY b) AS o (bucket)";

/// The class of the locks of [`LOCK_BODIES`].
const BODIES: i32 = 1;

/// How many of them there are: a server has room for some thousand locks at a time.
const BUCKETS: u8 = 64;

/// Whether the stored body is the given one; NULL where the id is not there.
const COMPARE: &str = "
SELECT (SELECT (SELECT e.body = g.body FROM gatepost_events e WHERE e.gen = i.gen AND e.seq = i.seq)
        FROM gatepost_ids i WHERE i.key = g.key LIMIT 1)
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS g (key, body, n) ORDER BY g.n";

/// An event to be inserted, with its key and sinks.
pub(super) struct Offer {
    /// What uniqueness is decided by.
    pub key: EventKey,
    /// Keys under which the same body makes it no new event.
    pub twins: Vec<EventKey>,
    /// The event.
    pub event: Event,
    /// One delivery for each is queued.
    pub sinks: Arc<[Name]>,
}

impl Offer {
    /// Whether `other`, where it is stored, makes this one a duplicate.
    fn is_told_by(&self, other: &Self) -> bool {
        self.twins.contains(&other.key) && self.event.payload.bytes() == other.event.payload.bytes()
    }
}

/// One event that waits for its commit.
struct Waiting {
    offer: Offer,
    reply: oneshot::Sender<Result<Insertion, StoreError>>,
}

/// The receiving side of a PostgreSQL store.
pub(super) struct PostgresInbox {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    task: AsyncMutex<JoinSet<()>>,
}

impl PostgresInbox {
    /// Starts the tasks that insert.
    pub(super) fn start(address: &Address, metrics: &Arc<Metrics>, queued: &Arc<Notify>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (address, metrics, queued) = (address.clone(), Arc::clone(metrics), Arc::clone(queued));
        let worker = move || Worker {
            address: address.clone(),
            session: None,
            known_sources: HashSet::new(),
            metrics: Arc::clone(&metrics),
            queued: Arc::clone(&queued),
        };
        let bytes = |waiting: &Waiting| waiting.offer.event.payload.bytes().len();
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
        let waiting = Waiting { offer: Offer { key: event.unique_key(), twins: twins.to_vec(), event, sinks }, reply };
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
        batch.sort_by_key(|waiting| waiting.offer.key);
        let offers: Vec<&Offer> = batch.iter().map(|waiting| &waiting.offer).collect();
        let outcome = within(self.commit(&offers)).await;
        match outcome {
            Ok(insertions) => {
                for (waiting, insertion) in batch.into_iter().zip(insertions) {
                    let _ = waiting.reply.send(insertion);
                }
            }
            // One of them may be to blame: the server refused the statement, but is there.
            Err(StoreError::Corrupt(_)) if batch.len() > 1 => {
                for waiting in batch {
                    let outcome = within(self.commit(&[&waiting.offer])).await;
                    let _ = waiting
                        .reply
                        .send(outcome.and_then(|mut one| one.remove(0)).map_err(|error| unavailable(&error)));
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
    async fn commit(&mut self, batch: &[&Offer]) -> Result<Vec<Result<Insertion, StoreError>>, StoreError> {
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => Session::connect(&self.address, SETUP, || ()).await?,
        };
        self.note_sources(&session, batch).await?;
        // The first of each key is offered; the others are compared with whatever is there then.
        let mut firsts: Vec<usize> = Vec::with_capacity(batch.len());
        for n in (0..batch.len()).filter(|n| *n == 0 || batch[*n - 1].key != batch[*n].key) {
            if !firsts.iter().any(|first| batch[n].is_told_by(batch[*first])) {
                firsts.push(n);
            }
        }
        let started = Instant::now();
        let fresh = insert(&session, &firsts.iter().map(|n| batch[*n]).collect::<Vec<_>>()).await?;
        self.metrics.store_commit.observe(started.elapsed().as_secs_f64());
        let mut accepted = vec![false; batch.len()];
        for n in &firsts {
            accepted[*n] = fresh.contains(&batch[*n].key);
        }
        if !fresh.is_empty() {
            self.metrics.store_batch.observe(f64::from(u32::try_from(fresh.len()).unwrap_or(u32::MAX)));
        }
        if firsts.iter().any(|n| accepted[*n] && !batch[*n].sinks.is_empty()) {
            self.queued.notify_waiters();
        }
        let rest: Vec<&Offer> = batch.iter().zip(&accepted).filter(|(_, new)| !**new).map(|(one, _)| *one).collect();
        let mut compared = compare(&session, &rest).await?;
        compare_twins(&session, &rest, &mut compared).await?;
        let mut compared = compared.into_iter();
        self.session = Some(session);
        let outcome = |new: &bool| match (*new, if *new { None } else { compared.next().flatten() }) {
            (true, _) => Ok(Insertion::Accepted),
            (false, Some(true)) => Ok(Insertion::Duplicate),
            (false, Some(false)) => Ok(Insertion::Conflict),
            (false, None) => Err(StoreError::Unavailable("the id was just forgotten, try again".into())),
        };
        Ok(accepted.iter().map(outcome).collect())
    }

    async fn note_sources(&mut self, session: &Session, batch: &[&Offer]) -> Result<(), StoreError> {
        for offer in batch {
            let source = &offer.event.source;
            if !self.known_sources.contains(source) {
                note_source(session, source).await?;
                self.known_sources.insert(source.clone());
            }
        }
        Ok(())
    }
}

/// Writes down that `source` has ids here.
pub(super) async fn note_source(session: &Session, source: &Name) -> Result<(), StoreError> {
    let sql = "INSERT INTO gatepost_sources VALUES ($1) ON CONFLICT DO NOTHING";
    session.execute(sql, &[&source.as_str()]).await?;
    Ok(())
}

/// What the server refuses for its content stays refused; to the sender it is one more reason to come again.
fn unavailable(error: &StoreError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// One transaction, sent in one go: lock, insert, wake-up, commit. Returns the keys that are new.
pub(super) async fn insert(session: &Session, batch: &[&Offer]) -> Result<HashSet<EventKey>, StoreError> {
    let twins: Vec<Vec<u8>> = batch.iter().map(|one| one.twins.iter().flat_map(|key| key.0).collect()).collect();
    let column = |read: fn(&Event) -> &str| batch.iter().map(|one| text(read(&one.event))).collect::<Vec<_>>();
    let keys: Vec<&[u8]> = batch.iter().map(|one| &one.key.0[..]).collect();
    let (sources, ids) = (column(|event| event.source.as_str()), column(|event| event.id.as_str()));
    let (kinds, types) = (column(|event| &event.kind), column(|event| &event.content_type));
    let (verified_by, requests) = (column(|event| &event.key), column(|event| &event.request_id));
    let times: Vec<i64> = batch.iter().map(|one| micros(one.event.received_at)).collect();
    let ips: Vec<Option<String>> = batch.iter().map(|one| one.event.client_ip.map(|ip| ip.to_string())).collect();
    let traces: Vec<Option<&str>> = batch.iter().map(|one| one.event.traceparent.as_deref()).collect();
    let bodies: Vec<&[u8]> = batch.iter().map(|one| &one.event.payload.bytes()[..]).collect();
    let deliveries = || batch.iter().flat_map(|one| one.sinks.iter().map(move |sink| (one, sink)));
    let delivered: Vec<&[u8]> = deliveries().map(|(one, _)| &one.key.0[..]).collect();
    let sinks: Vec<&str> = deliveries().map(|(_, sink)| sink.as_str()).collect();
    let values: [&(dyn ToSql + Sync); 14] = [
        &keys,
        &sources,
        &ids,
        &kinds,
        &times,
        &types,
        &verified_by,
        &requests,
        &ips,
        &traces,
        &bodies,
        &delivered,
        &sinks,
        &twins,
    ];
    transact(session, &buckets(batch), &values, !sinks.is_empty()).await
}

/// The locks that the events of `batch` take which have twins.
fn buckets(batch: &[&Offer]) -> Vec<i32> {
    let with_twins = batch.iter().filter(|one| !one.twins.is_empty());
    with_twins.map(|one| i32::from(one.event.payload.digest().0[0] % BUCKETS)).collect()
}

/// The transaction of [`insert()`]; `values` end with the twins, which are left out where there are none.
async fn transact(
    session: &Session,
    buckets: &[i32],
    values: &[&(dyn ToSql + Sync)],
    wakes: bool,
) -> Result<HashSet<EventKey>, StoreError> {
    let beside = !buckets.is_empty();
    let lock = session.prepared("SELECT pg_advisory_xact_lock_shared($1)").await?;
    let lock_bodies = if beside { Some(session.prepared(LOCK_BODIES).await?) } else { None };
    let insert = session.prepared(if beside { INSERT_BESIDE } else { INSERT }).await?;
    let values = if beside { values } else { values.split_last().map_or(values, |(_, others)| others) };
    let wake_up = if wakes { "NOTIFY gatepost_queued; COMMIT" } else { "COMMIT" };
    let client = session.client();
    let generations: Values<'_> = &[&GENERATIONS];
    let bodies: Values<'_> = &[&BODIES, &buckets];
    // Polled in this order, they leave in this order without waiting for each other's answers.
    let (begun, locked, alone, inserted, committed) = tokio::join!(
        biased;
        client.batch_execute("BEGIN"),
        client.query(&lock, generations),
        async {
            match &lock_bodies {
                Some(lock) => client.query(lock, bodies).await,
                None => Ok(Vec::new()),
            }
        },
        client.query(&insert, values),
        client.batch_execute(wake_up),
    );
    begun?;
    locked?;
    alone?;
    let inserted = inserted?;
    committed?;
    let mut fresh = HashSet::with_capacity(inserted.len());
    for row in inserted {
        let key = row.try_get::<_, &[u8]>(0)?.try_into();
        fresh.insert(EventKey(key.map_err(|_| StoreError::Corrupt("a key of another length".into()))?));
    }
    Ok(fresh)
}

async fn compare(session: &Session, batch: &[&Offer]) -> Result<Vec<Option<bool>>, StoreError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&[u8]> = batch.iter().map(|one| &one.key.0[..]).collect();
    let bodies: Vec<&[u8]> = batch.iter().map(|one| &one.event.payload.bytes()[..]).collect();
    let rows = session.query(COMPARE, &[&keys, &bodies]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What is not there under its own key may be there under a twin's.
async fn compare_twins(session: &Session, batch: &[&Offer], found: &mut [Option<bool>]) -> Result<(), StoreError> {
    let absent = batch.iter().enumerate().filter(|(n, _)| found[*n].is_none());
    let pairs: Vec<(usize, &EventKey)> =
        absent.flat_map(|(n, one)| one.twins.iter().map(move |twin| (n, twin))).collect();
    if pairs.is_empty() {
        return Ok(());
    }
    let keys: Vec<&[u8]> = pairs.iter().map(|(_, twin)| &twin.0[..]).collect();
    let bodies: Vec<&[u8]> = pairs.iter().map(|(n, _)| &batch[*n].event.payload.bytes()[..]).collect();
    let rows = session.query(COMPARE, &[&keys, &bodies]).await?;
    for ((n, _), row) in pairs.iter().zip(&rows) {
        if row.try_get::<_, Option<bool>>(0)? == Some(true) {
            found[*n] = Some(true);
        }
    }
    Ok(())
}
