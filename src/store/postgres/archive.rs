//! What was accepted: listed, looked up, delivered again.

use std::collections::HashMap;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::event::{EventKey, Name};
use crate::store::archive::{Archive, Archived, EventFilter, EventRef};
use crate::store::delivery::{DeliveryStatus, State};
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::postgres::clock::clock;
use crate::store::postgres::erase::erase;
use crate::store::postgres::rows;
use crate::store::postgres::schema::GENERATIONS;
use crate::store::postgres::search::Search;
use crate::store::postgres::selection::Conditions;
use crate::store::postgres::session::{Lent, Pool, Values, within};
use crate::store::sql::{EVENT, EVENT_COLUMNS, sql};
use crate::store::stored::unsigned;

/// Events queued again in one transaction.
const STEP: usize = 200;

/// Queues deliveries from attempt 0. One that is under way, or waits for its first attempt, is left alone; the lease
/// stays, so that a claim from before cannot settle what is queued now. `before` is counted to have it read first. The
/// ids are held, so that none is swept away meanwhile (`generations.rs`); what is about to be forgotten is left alone.
/// What is queued for a sink that the event was not queued for before counts as replayed as often as any other, and once
/// more: the sinks may lead to one place that removes duplicates.
const REQUEUE: &str = sql!(
    clock!(),
    "held AS (
    SELECT i.key, i.gen, i.seq FROM gatepost_ids i WHERE i.key = ANY ($1::bytea[])
        AND i.gen NOT IN (SELECT gen FROM gatepost_generations WHERE leaving)
        AND NOT EXISTS (SELECT 1 FROM gatepost_events e WHERE e.gen = i.gen AND e.seq = i.seq AND e.erased IS NOT NULL)
    ORDER BY i.key FOR KEY SHARE OF i
), target AS (
    SELECT DISTINCT e.gen, e.seq, t.sink FROM unnest($1::bytea[], $2::text[]) AS t (key, sink)
    JOIN held e ON e.key = t.key
), before AS (
    SELECT d.seq, d.sink, d.state FROM gatepost_deliveries d JOIN target t ON t.seq = d.seq AND t.sink = d.sink
    ORDER BY d.id FOR UPDATE OF d
), queued AS (
    INSERT INTO gatepost_deliveries AS d (gen, seq, sink, state, attempts, due_at, queued_at, lease, replays)
    SELECT gen, seq, sink, {PENDING}, 0, t, t, 0,
        1 + coalesce((SELECT max(o.replays) FROM gatepost_deliveries o WHERE o.seq = target.seq), 0)
    FROM target, clock WHERE (SELECT count(*) FROM before) >= 0
    ON CONFLICT (seq, sink) DO UPDATE
        SET state = {PENDING}, attempts = 0, due_at = excluded.due_at, queued_at = excluded.queued_at, claimed_at = NULL,
            error = NULL, duplicate = false, replays = d.replays + 1
        WHERE d.state <> {PENDING} OR (d.claimed_at IS NULL AND (d.attempts > 0 OR d.due_at > excluded.due_at))
    RETURNING d.seq, d.sink
), counted AS (
    INSERT INTO gatepost_sink_counts
    SELECT q.sink, count(*) FILTER (WHERE b.state IS DISTINCT FROM {PENDING}), -count(*) FILTER (WHERE b.state = {DEAD})
    FROM queued q LEFT JOIN before b ON b.seq = q.seq AND b.sink = q.sink GROUP BY q.sink
)
SELECT count(*) FROM queued"
);

/// What waits for sinks `$2` that are gone, or died on the way to them, is queued for `$3` now, where it could be.
const TAKE_AWAY: &str = sql!(
    clock!(),
    "taken AS (
    DELETE FROM gatepost_deliveries d USING gatepost_ids i, clock
    WHERE i.key = ANY ($1) AND i.seq = d.seq AND d.sink = ANY ($2)
        AND (d.state = {DEAD} OR (d.state = {PENDING} AND (d.claimed_at IS NULL OR d.due_at <= t)))
        AND EXISTS (SELECT 1 FROM gatepost_deliveries o WHERE o.seq = d.seq AND o.sink = ANY ($3) AND o.state = {PENDING})
    RETURNING d.sink, d.state
)
INSERT INTO gatepost_sink_counts
SELECT sink, -count(*) FILTER (WHERE state = {PENDING}), -count(*) FILTER (WHERE state = {DEAD}) FROM taken GROUP BY sink"
);

/// The accepted events of a PostgreSQL store.
pub(super) struct PostgresArchive {
    /// For all of it.
    pub pool: Pool,
    /// What times are shown as.
    pub wall: Clock,
}

#[async_trait]
impl Archive for PostgresArchive {
    async fn page(&self, filter: &EventFilter, from: Option<Cursor>) -> Result<Page<Archived>, StoreError> {
        let mut search = Search::of(filter, from);
        let looked_to = search.looked_to();
        let candidates = search.conditions.count();
        let sql = search.page(filter);
        within(async {
            let found = self.archived(&sql, &search.conditions).await?;
            let full = found.len() as u64 >= filter.page_rows();
            let last = found.last().map(|(cursor, _)| *cursor).filter(|_| full);
            let rows = found.into_iter().map(|(_, archived)| archived).collect();
            let next = match (last, looked_to) {
                (None, Some(sql)) if !full => self.place(&sql, &search.conditions.first(candidates)).await?,
                (last, _) => last,
            };
            let cursor = |Place { seq, at }| search.cursor(seq, at);
            Ok(Page { rows, next: next.map(cursor) })
        })
        .await
    }

    async fn get(&self, event: &EventRef) -> Result<Vec<Archived>, StoreError> {
        within(async {
            let lent = self.pool.lend().await?;
            let keys = keys(&lent, event).await?;
            lent.done();
            let mut conditions = Conditions::none();
            conditions.add("(e.gen, e.seq) IN (SELECT gen, seq FROM gatepost_ids WHERE key = ANY (?))", keys);
            let sql = format!(
                "SELECT {EVENT}, e.body, length(e.body)::bigint, e.seq, e.erased, 0::bigint FROM gatepost_events e
                 WHERE {} ORDER BY e.seq DESC",
                conditions.sql()
            );
            let found = self.archived(&sql, &conditions).await?;
            Ok(found.into_iter().map(|(_, archived)| archived).collect())
        })
        .await
    }

    async fn replay(&self, events: &[EventRef], sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError> {
        let mut queued = 0;
        for step in events.chunks(STEP) {
            queued += within(self.replay_some(step, sinks, gone)).await?;
        }
        Ok(queued)
    }

    async fn erase(&self, event: &EventRef, erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError> {
        within(async {
            let lent = self.pool.lend().await?;
            let keys: Vec<Vec<u8>> = keys(&lent, event).await?;
            lent.done();
            let mut erased = None;
            for key in keys {
                let Ok(key) = key.try_into() else { continue };
                erased = erase(&self.pool, &EventKey(key), erasure).await?.or(erased);
            }
            Ok(erased)
        })
        .await
    }
}

/// Where an event lies in a listing.
#[derive(Clone, Copy)]
struct Place {
    seq: i64,
    at: i64,
}

impl PostgresArchive {
    /// Events that `sql` selects: [`EVENT`], body, its length, `seq`, what is left of it and `at`; each with its place.
    async fn archived(&self, sql: &str, conditions: &Conditions) -> Result<Vec<(Place, Archived)>, StoreError> {
        let lent = self.pool.lend().await?;
        let rows = lent.session.client().query(sql, &conditions.values()).await?;
        let seqs = rows.iter().map(|row| Ok(row.try_get(EVENT_COLUMNS + 2)?));
        let seqs = seqs.collect::<Result<Vec<i64>, StoreError>>()?;
        let mut deliveries = deliveries(&lent, &self.wall, &seqs).await?;
        lent.done();
        let mut found = Vec::with_capacity(rows.len());
        for (row, seq) in rows.iter().zip(seqs) {
            let deliveries = deliveries.remove(&seq).unwrap_or_default();
            let archived = Archived {
                event: rows::shown_event(row, 0),
                bytes: unsigned(row.try_get(EVENT_COLUMNS + 1)?),
                state: State::of_event(&deliveries),
                deliveries,
                erased: Erasure::from_stored(row.try_get(EVENT_COLUMNS + 3).unwrap_or(Some(""))),
            };
            found.push((Place { seq, at: row.try_get(EVENT_COLUMNS + 4)? }, archived));
        }
        Ok(found)
    }

    /// The place of the row that `sql` selects: `seq` and `at`.
    async fn place(&self, sql: &str, values: Values<'_>) -> Result<Option<Place>, StoreError> {
        let lent = self.pool.lend().await?;
        let row = lent.session.client().query_opt(sql, values).await?;
        lent.done();
        row.map(|row| Ok(Place { seq: row.try_get(0)?, at: row.try_get(1)? })).transpose()
    }

    async fn replay_some(&self, events: &[EventRef], sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError> {
        let asked = |sink: &&str| sinks.is_some_and(|sinks| sinks.iter().any(|name| name.as_str() == *sink));
        let gone: Vec<&str> = gone.iter().map(Name::as_str).filter(|sink| !asked(sink)).collect();
        let lent = self.pool.lend().await?;
        lent.session.batch("BEGIN").await?;
        // No generation goes away while its events are queued again.
        lent.session.query("SELECT pg_advisory_xact_lock_shared($1)", &[&GENERATIONS]).await?;
        let (mut targets, mut of) = (Vec::new(), Vec::new());
        for event in events {
            for key in keys(&lent, event).await? {
                for sink in wanted(&lent, &key, sinks, &gone).await? {
                    targets.push(key.clone());
                    of.push(sink);
                }
            }
        }
        let rows = lent.session.query(REQUEUE, &[&targets, &of]).await?;
        let queued = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0_i64);
        if sinks.is_some() && !gone.is_empty() {
            lent.session.query(TAKE_AWAY, &[&targets, &gone, &of]).await?;
        }
        lent.session.batch("NOTIFY gatepost_queued; COMMIT").await?;
        lent.done();
        Ok(unsigned(queued))
    }
}

/// The sinks asked for, or those the event was queued for before but for those that are gone.
async fn wanted(lent: &Lent<'_>, key: &[u8], sinks: Option<&[Name]>, gone: &[&str]) -> Result<Vec<String>, StoreError> {
    if let Some(sinks) = sinks {
        return Ok(sinks.iter().map(|sink| sink.as_str().to_owned()).collect());
    }
    let sql = "SELECT d.sink FROM gatepost_deliveries d JOIN gatepost_ids i ON i.seq = d.seq
               WHERE i.key = $1 AND d.sink <> ALL ($2)";
    let rows = lent.session.query(sql, &[&key, &gone]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// The keys `event` may mean: an id alone is looked up under every source there ever was.
async fn keys(lent: &Lent<'_>, event: &EventRef) -> Result<Vec<Vec<u8>>, StoreError> {
    let sources = if let Some(source) = &event.source {
        vec![source.clone()]
    } else {
        let rows = lent.session.query("SELECT name FROM gatepost_sources", &[]).await?;
        rows.iter().map(|row| Ok(row.try_get::<_, &str>(0)?.into())).collect::<Result<_, StoreError>>()?
    };
    Ok(sources.iter().map(|source| EventKey::of(source, &event.id).0.to_vec()).collect())
}

async fn deliveries(
    lent: &Lent<'_>,
    wall: &Clock,
    seqs: &[i64],
) -> Result<HashMap<i64, Vec<DeliveryStatus>>, StoreError> {
    let sql = sql!(
        clock!(),
        "found AS (SELECT * FROM gatepost_deliveries WHERE seq = ANY ($1))
         SELECT seq, sink, state, attempts, greatest(due_at, 0) - t, error, replays, duplicate
         FROM found, clock ORDER BY seq, sink COLLATE \"C\""
    );
    let mut found: HashMap<i64, Vec<DeliveryStatus>> = HashMap::new();
    let rows = lent.session.query(sql, &[&seqs]).await?;
    let now = wall.now();
    for row in rows {
        found.entry(row.try_get(0)?).or_default().push(rows::delivery(&row, 1, now)?);
    }
    Ok(found)
}
