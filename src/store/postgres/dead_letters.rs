//! Deliveries that ran out of attempts: listed, queued again, given up.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::clock::Clock;
use crate::event::Name;
use crate::store::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetters};
use crate::store::delivery::DeliveryId;
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::{self, limit};
use crate::store::postgres::schema::GENERATIONS;
use crate::store::postgres::selection::Conditions;
use crate::store::postgres::session::{Pool, Values, within};
use crate::store::sql::{EVENT, EVENT_COLUMNS, sql};
use crate::store::stored::{shown, state};

/// Dead letters that one page looks at: those that it does not want are left to the next.
const LOOKED: i64 = 8192;
/// Dead letters changed in one transaction.
const STEP: usize = 500;

const REPLAY: &str = sql!(
    clock!(),
    "queued AS (
    UPDATE gatepost_deliveries SET state = {PENDING}, attempts = 0, due_at = t, queued_at = t, claimed_at = NULL, error = NULL,
        duplicate = false, replays = replays + 1
    FROM clock WHERE id = ANY ($1) AND ($2::text IS NULL OR sink = $2)
        AND (state = {DEAD} OR (state = {PENDING} AND claimed_at IS NULL AND (attempts > 0 OR due_at > t))) RETURNING id, sink
), counted AS (
    INSERT INTO gatepost_sink_counts
    SELECT q.sink, count(*), -count(*) FROM queued q JOIN gatepost_deliveries d ON d.id = q.id
    WHERE d.state = {DEAD} GROUP BY q.sink
)
SELECT pg_notify('gatepost_queued', '') FROM queued"
);

/// Where it waits for sink `$2` already, or is under way, it is not queued again. `before` is counted to have it read
/// first.
const MOVE: &str = sql!(
    clock!(),
    "old AS (
    SELECT d.id, d.gen, d.seq, d.replays FROM gatepost_deliveries d, clock
    WHERE d.id = ANY ($1) AND d.sink <> $2
        AND (d.state = {DEAD} OR (d.state = {PENDING} AND (d.claimed_at IS NULL OR d.due_at <= t)))
    ORDER BY d.id FOR UPDATE OF d
), before AS (
    SELECT d.seq, d.state FROM gatepost_deliveries d JOIN old ON old.seq = d.seq
    WHERE d.sink = $2 ORDER BY d.id FOR UPDATE OF d
), gone AS (
    DELETE FROM gatepost_deliveries d USING old WHERE d.id = old.id RETURNING d.sink, d.state
), queued AS (
    INSERT INTO gatepost_deliveries AS d (gen, seq, sink, state, attempts, due_at, queued_at, lease, replays)
    SELECT DISTINCT ON (seq) gen, seq, $2::text, {PENDING}, 0, t, t, 0, replays + 1 FROM old, clock
    WHERE (SELECT count(*) FROM before) >= 0 ORDER BY seq, replays DESC
    ON CONFLICT (seq, sink) DO UPDATE
        SET state = {PENDING}, attempts = 0, due_at = excluded.due_at, queued_at = excluded.queued_at, claimed_at = NULL,
            error = NULL, duplicate = false, replays = greatest(d.replays + 1, excluded.replays)
        WHERE d.state <> {PENDING} OR (d.claimed_at IS NULL AND (d.attempts > 0 OR d.due_at > excluded.due_at))
    RETURNING d.seq
), left_behind AS (
    INSERT INTO gatepost_sink_counts
    SELECT sink, -count(*) FILTER (WHERE state = {PENDING}), -count(*) FILTER (WHERE state = {DEAD}) FROM gone GROUP BY sink
), arrived AS (
    INSERT INTO gatepost_sink_counts
    SELECT $2::text, count(*) FILTER (WHERE b.state IS DISTINCT FROM {PENDING}), -count(*) FILTER (WHERE b.state = {DEAD})
    FROM queued q LEFT JOIN (SELECT DISTINCT seq, state FROM before) b ON b.seq = q.seq HAVING count(*) > 0
)
SELECT 1 FROM gone"
);

const DISCARD: &str = sql!(
    clock!(),
    "gone AS (
    DELETE FROM gatepost_deliveries d USING clock
    WHERE d.id = ANY ($1) AND (d.state = {DEAD} OR (d.state = {PENDING} AND (d.claimed_at IS NULL OR d.due_at <= t)))
    RETURNING d.sink, d.state
), counted AS (
    INSERT INTO gatepost_sink_counts
    SELECT sink, -count(*) FILTER (WHERE state = {PENDING}), -count(*) FILTER (WHERE state = {DEAD}) FROM gone GROUP BY sink
)
SELECT 1 FROM gone"
);

/// The dead letters of a PostgreSQL store.
pub(super) struct PostgresDeadLetters {
    /// For all of it.
    pub pool: Pool,
    /// What times are shown as.
    pub wall: Clock,
}

#[async_trait]
impl DeadLetters for PostgresDeadLetters {
    async fn page(&self, filter: &DeadLetterFilter, from: Option<Cursor>) -> Result<Page<DeadLetter>, StoreError> {
        let wanted = filter.page_rows();
        let mut letters = Letters::of(&[], filter, from, Some(LOOKED));
        let candidates = letters.conditions.count();
        let sql = letters.sql(filter, limit(Some(wanted)), false);
        let rows = self.select(&sql, &letters.conditions.values()).await?;
        let now = self.wall.now();
        let found = rows.iter().map(|row| dead_letter(row, now)).collect::<Result<Vec<_>, StoreError>>()?;
        let next = if let Some(last) = rows.last().filter(|_| rows.len() as u64 >= wanted) {
            Some(Cursor(last.try_get(EVENT_COLUMNS + 7)?, last.try_get(EVENT_COLUMNS + 1)?))
        } else {
            let last = self.select(&letters.looked_to(), &letters.conditions.first(candidates)).await?;
            let place = |row: &Row| Ok::<_, StoreError>(Cursor(row.try_get(0)?, row.try_get(1)?));
            last.first().map(place).transpose()?
        };
        Ok(Page { rows: found, next })
    }

    async fn list(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        bodies: bool,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let mut letters = Letters::of(ids, filter, None, None);
        let sql = letters.sql(filter, limit(filter.limit), bodies);
        let rows = self.select(&sql, &letters.conditions.values()).await?;
        let now = self.wall.now();
        rows.iter().map(|row| dead_letter(row, now)).collect()
    }

    async fn replay(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        to: Option<&Name>,
    ) -> Result<u64, StoreError> {
        let mut queued = 0;
        for step in self.matching(ids, filter).await?.chunks(STEP) {
            if let Some(to) = to {
                queued += within(self.move_some(step, to)).await?;
            }
            // What is to go to the sink that it was for is replayed there.
            queued += self.pool.query(REPLAY, &[&step, &to.map(Name::as_str)]).await?.len() as u64;
        }
        Ok(queued)
    }

    async fn discard(&self, ids: &[DeliveryId], filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        let mut gone = 0;
        for step in self.matching(ids, filter).await?.chunks(STEP) {
            gone += self.pool.query(DISCARD, &[&step]).await?.len() as u64;
        }
        Ok(gone)
    }
}

impl PostgresDeadLetters {
    async fn matching(&self, ids: &[DeliveryId], filter: &DeadLetterFilter) -> Result<Vec<i64>, StoreError> {
        let mut letters = Letters::of(ids, filter, None, None);
        let sql = letters.sql(filter, limit(filter.limit), false);
        let rows = self.select(&sql, &letters.conditions.values()).await?;
        rows.iter().map(|row| Ok(row.try_get(EVENT_COLUMNS + 1)?)).collect()
    }

    async fn move_some(&self, ids: &[i64], to: &Name) -> Result<u64, StoreError> {
        let lent = self.pool.lend().await?;
        lent.session.batch("BEGIN").await?;
        // No generation goes away while something of it is queued anew.
        lent.session.query("SELECT pg_advisory_xact_lock_shared($1)", &[&GENERATIONS]).await?;
        let moved = lent.session.query(MOVE, &[&ids, &to.as_str()]).await?.len() as u64;
        lent.session.batch("NOTIFY gatepost_queued; COMMIT").await?;
        lent.done();
        Ok(moved)
    }

    async fn select(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        within(async {
            let lent = self.pool.lend().await?;
            let rows = lent.session.client().query(sql, values).await?;
            lent.done();
            Ok(rows)
        })
        .await
    }
}

/// What is dead, or waits for a sink that is gone, newest first along an index of each; what of it is wanted is seen by its
/// rows, which the planner is kept from joining (see `search.rs`).
struct Letters {
    conditions: Conditions,
    /// `id` and `due_at`, in order; uses `clock`.
    candidates: String,
}

impl Letters {
    /// Those after `from`, at most so many.
    fn of(ids: &[DeliveryId], filter: &DeadLetterFilter, from: Option<Cursor>, most: Option<i64>) -> Self {
        let mut conditions = Conditions::none();
        let most = conditions.parameter(most);
        let mut parts = vec!["true".to_owned()];
        if let Some(sink) = &filter.sink {
            parts.push(format!("d.sink = {}", conditions.parameter(sink.as_str().to_owned())));
        }
        if !ids.is_empty() {
            let ids = ids.iter().map(|id| id.0).collect::<Vec<i64>>();
            parts.push(format!("d.id = ANY ({})", conditions.parameter(ids)));
        }
        if let Some(Cursor(died, id)) = from {
            let (died, id) = (conditions.parameter(died), conditions.parameter(id));
            parts.push(format!("(d.due_at, d.id) < ({died}, {id})"));
        }
        let gone = filter.gone.iter().map(|sink| sink.as_str().to_owned()).collect::<Vec<_>>();
        let (parts, gone) = (parts.join(" AND "), conditions.parameter(gone));
        let walk = |state: &str| {
            format!(
                "SELECT d.id, d.due_at FROM gatepost_deliveries d WHERE {state} AND {parts}
                 ORDER BY d.due_at DESC, d.id DESC LIMIT {most}"
            )
        };
        // What somebody has claimed is being delivered, by whoever knows the sink.
        let waiting = sql!(
            "d.state = {PENDING} AND d.sink = g.sink AND (d.claimed_at IS NULL OR d.due_at <= (SELECT t FROM clock))"
        );
        let candidates = format!(
            "SELECT d.id, d.due_at FROM (
                 ({}) UNION ALL
                 (SELECT w.* FROM unnest({gone}::text[]) AS g (sink) CROSS JOIN LATERAL ({}) AS w)
             ) AS d ORDER BY d.due_at DESC, d.id DESC LIMIT {most}",
            walk(sql!("d.state = {DEAD}")),
            walk(waiting)
        );
        Self { conditions, candidates }
    }

    fn sql(&mut self, filter: &DeadLetterFilter, count: Option<i64>, bodies: bool) -> String {
        self.conditions.of_letter(filter);
        let count = self.conditions.parameter(count);
        let body = if bodies { "e.body" } else { "NULL::bytea" };
        format!(
            "{}found AS ({})
             SELECT {EVENT}, {body}, d.id, d.sink, d.attempts, greatest(d.due_at, 0) - t, d.error, d.state, d.due_at
             FROM found f CROSS JOIN clock
             CROSS JOIN LATERAL (SELECT * FROM gatepost_deliveries d WHERE d.id = f.id OFFSET 0) AS d
             LEFT JOIN LATERAL (
                 SELECT * FROM gatepost_events e WHERE e.gen = d.gen AND e.seq = d.seq OFFSET 0
             ) AS e ON true
             WHERE {} ORDER BY f.due_at DESC, f.id DESC LIMIT {count}",
            clock!(),
            self.candidates,
            self.conditions.sql()
        )
    }

    /// Where a page that found less than was wanted stopped to look, if it did not look at all.
    fn looked_to(&self) -> String {
        format!(
            "{}found AS ({}) SELECT due_at, id FROM found ORDER BY due_at DESC, id DESC OFFSET {} LIMIT 1",
            clock!(),
            self.candidates,
            LOOKED - 1
        )
    }
}

/// Also one whose event is damaged or gone: nobody else would show it.
fn dead_letter(row: &Row, now: Timestamp) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        event: rows::shown_event(row, 0),
        id: DeliveryId(row.try_get(EVENT_COLUMNS + 1)?),
        state: state(row.try_get::<_, i16>(EVENT_COLUMNS + 6)?.into()),
        sink: row.try_get::<_, &str>(EVENT_COLUMNS + 2)?.into(),
        attempts: u32::try_from(row.try_get::<_, i32>(EVENT_COLUMNS + 3)?).unwrap_or(0),
        died_at: shown(now, row.try_get(EVENT_COLUMNS + 4)?),
        error: row.try_get::<_, Option<String>>(EVENT_COLUMNS + 5)?.unwrap_or_default(),
    })
}
