//! What a batch of events is inserted with: one multi-row statement in one transaction.
//!
//! Uniqueness is PostgreSQL's within a generation (primary key), and holds across generations because none is opened
//! while a transaction that adds to the last is under way: each takes the lock [`GENERATIONS`] shared first, and its
//! statement, which then begins, sees all that earlier generations hold. Keys go in sorted, so that batches and
//! replicas never wait for each other in a circle.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::ToSql;

use crate::event::{Event, EventKey, Name};
use crate::store::delivery::DeliveryId;
use crate::store::error::StoreError;
use crate::store::postgres::candidate::Candidate;
use crate::store::postgres::clock::clock;
use crate::store::postgres::handing::Handing;
use crate::store::postgres::rows::text;
use crate::store::postgres::schema::GENERATIONS;
use crate::store::postgres::session::{Session, Values};
use crate::store::sql::sql;
use crate::store::stored::micros;

/// Plans made once and not by statistics: each row is found through its index, the batch is joined by hashing.
pub(super) const SETUP: &str =
    "SET plan_cache_mode = 'force_generic_plan'; SET enable_seqscan = off; SET enable_nestloop = off;
    SET enable_bitmapscan = off;";

/// Ids first: what they do not take is not new. Earlier generations are asked; the open one, the largest, says so by
/// itself when it takes the id. Then the events of those, their deliveries, and how many of these. A delivery that is handed over
/// is claimed as it is queued, unless its sink is paused.
macro_rules! insert {
    ($more_values:literal, $more_columns:literal, $more_conditions:literal) => {
        sql!(
            clock!(),
            "given AS (
    SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::bytea[], $12::bytea[]", $more_values, ")
        AS g (key, source, id, kind, received_at, content_type, verified_by, request_id, client_ip, traceparent, body,
            headers",
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
        g.client_ip, g.traceparent, g.body, g.headers
    FROM fresh f JOIN given g ON g.key = f.key
), queued AS (
    INSERT INTO gatepost_deliveries (gen, seq, sink, state, attempts, due_at, queued_at, lease, claimed_at)
    SELECT f.gen, f.seq, d.sink, {PENDING}, 0, (SELECT t FROM clock) + d.lasts, (SELECT t FROM clock),
        CASE WHEN d.lasts > 0 THEN {FIRST_LEASE} ELSE 0 END, CASE WHEN d.lasts > 0 THEN (SELECT t FROM clock) END
    FROM fresh f JOIN (
        SELECT key, sink, CASE WHEN sink IN (SELECT p.sink FROM gatepost_pauses p WHERE p.ended IS NULL) THEN 0 ELSE lasts END
        FROM unnest($13::bytea[], $14::text[], $15::bigint[]) AS w (key, sink, lasts)
    ) AS d (key, sink, lasts) ON d.key = f.key
    ON CONFLICT DO NOTHING RETURNING seq, sink, id, claimed_at
), counted AS (
    INSERT INTO gatepost_sink_counts SELECT sink, count(*), 0 FROM queued GROUP BY sink
)
SELECT f.key, q.id, q.sink FROM fresh f LEFT JOIN queued q ON q.seq = f.seq AND q.claimed_at IS NOT NULL")
    };
}

const INSERT: &str = insert!("", "", "");

/// The same for events whose body may be stored under other keys too, which stand one behind the other.
const INSERT_BESIDE: &str = insert!(
    ", $16::bytea[]",
    ", twins",
    " AND (
        SELECT count(*) FROM generate_series(0, length(g.twins) / 16 - 1) AS t (n)
        WHERE (SELECT (
            SELECT CASE WHEN e.erased IS NULL THEN e.body = g.body ELSE left(e.erased, 64) = encode(sha256(g.body), 'hex') END
            FROM gatepost_events e WHERE e.gen = i.gen AND e.seq = i.seq)
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

/// Whether the stored body is the given one; NULL where the id is not there. Of one that was erased the digest is left.
const COMPARE: &str = "
SELECT (SELECT (
        SELECT CASE WHEN e.erased IS NULL THEN e.body = g.body ELSE left(e.erased, 64) = encode(sha256(g.body), 'hex') END
        FROM gatepost_events e WHERE e.gen = i.gen AND e.seq = i.seq)
        FROM gatepost_ids i WHERE i.key = g.key LIMIT 1)
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS g (key, body, n) ORDER BY g.n";

/// What is new of a batch.
#[derive(Default)]
pub(super) struct Fresh {
    /// The keys of its events.
    pub keys: HashSet<EventKey>,
    /// The deliveries that were claimed as they were queued.
    pub claimed: HashMap<(EventKey, Name), DeliveryId>,
}

/// One transaction, sent in one go: lock, insert, wake-up, commit. `handing` is what is to be claimed.
pub(super) async fn insert(session: &Session, batch: &[&Candidate], handing: &Handing) -> Result<Fresh, StoreError> {
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
    let headers: Vec<Option<&[u8]>> = batch.iter().map(|one| one.event.headers.stored()).collect();
    let deliveries = || batch.iter().flat_map(|one| one.sinks.iter().map(move |sink| (one, sink)));
    let delivered: Vec<&[u8]> = deliveries().map(|(one, _)| &one.key.0[..]).collect();
    let sinks: Vec<&str> = deliveries().map(|(_, sink)| sink.as_str()).collect();
    let leases = handing.leases();
    let values: [&(dyn ToSql + Sync); 16] = [
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
        &headers,
        &delivered,
        &sinks,
        &leases,
        &twins,
    ];
    transact(session, &buckets(batch), &values, handing.leaves_some()).await
}

/// The locks that the events of `batch` take which have twins.
fn buckets(batch: &[&Candidate]) -> Vec<i32> {
    let with_twins = batch.iter().filter(|one| !one.twins.is_empty());
    with_twins.map(|one| i32::from(one.event.payload.digest().0[0] % BUCKETS)).collect()
}

/// The transaction of [`insert()`]; `values` end with the twins, which are left out where there are none.
async fn transact(
    session: &Session,
    buckets: &[i32],
    values: &[&(dyn ToSql + Sync)],
    wakes: bool,
) -> Result<Fresh, StoreError> {
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
    let mut fresh = Fresh::default();
    for row in inserted {
        let key = row.try_get::<_, &[u8]>(0)?.try_into();
        let key = EventKey(key.map_err(|_| StoreError::Corrupt("a key of another length".into()))?);
        fresh.keys.insert(key);
        if let Some(id) = row.try_get(1)? {
            fresh.claimed.insert((key, row.try_get::<_, &str>(2)?.into()), DeliveryId(id));
        }
    }
    Ok(fresh)
}

/// Whether the body stored for each of `batch`, or under the key of a twin, is the same; `None` where there is none.
pub(super) async fn compare(session: &Session, batch: &[&Candidate]) -> Result<Vec<Option<bool>>, StoreError> {
    let own: Vec<_> = batch.iter().map(|one| (&one.key, *one)).collect();
    let mut found = compare_bodies(session, &own).await?;
    let absent = batch.iter().zip(&found).filter(|(_, found)| found.is_none());
    let twins: Vec<_> = absent.flat_map(|(one, _)| one.twins.iter().map(|twin| (twin, *one))).collect();
    let mut among_twins = compare_bodies(session, &twins).await?.into_iter();
    for (one, found) in batch.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        let same = among_twins.by_ref().take(one.twins.len()).filter(|same| *same == Some(true)).count() > 0;
        *found = same.then_some(true);
    }
    Ok(found)
}

/// Whether the body stored under each key is that of the event beside it; `None` where the key is not there.
async fn compare_bodies(session: &Session, pairs: &[(&EventKey, &Candidate)]) -> Result<Vec<Option<bool>>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&[u8]> = pairs.iter().map(|(key, _)| &key.0[..]).collect();
    let bodies: Vec<&[u8]> = pairs.iter().map(|(_, one)| &one.event.payload.bytes()[..]).collect();
    let rows = session.query(COMPARE, &[&keys, &bodies]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Writes down that `source` has ids here.
pub(super) async fn note_source(session: &Session, source: &Name) -> Result<(), StoreError> {
    let sql = "INSERT INTO gatepost_sources VALUES ($1) ON CONFLICT DO NOTHING";
    session.execute(sql, &[&source.as_str()]).await?;
    Ok(())
}
