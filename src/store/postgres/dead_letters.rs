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
use crate::store::postgres::session::{Pool, within};
use crate::store::sql::{EVENT, EVENT_COLUMNS, sql};
use crate::store::stored::{shown, state};

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
        let mut conditions = Conditions::dead_letters(&[], filter);
        if let Some(Cursor(died, id)) = from {
            conditions.after("d.due_at", died, "d.id", id);
        }
        let rows = self.letters(conditions, Some(wanted), false).await?;
        let now = self.wall.now();
        let letter = |row: &Row| {
            let letter = dead_letter(row, now)?;
            Ok((Cursor(row.try_get(EVENT_COLUMNS + 7)?, letter.id.0), letter))
        };
        Ok(Page::of(rows.iter().map(letter).collect::<Result<_, StoreError>>()?, wanted))
    }

    async fn list(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        bodies: bool,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = self.letters(Conditions::dead_letters(ids, filter), filter.limit, bodies).await?;
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
    async fn letters(
        &self,
        mut conditions: Conditions,
        most: Option<u64>,
        bodies: bool,
    ) -> Result<Vec<Row>, StoreError> {
        let count = conditions.parameter(limit(most));
        let body = if bodies { "e.body" } else { "NULL::bytea" };
        let sql = format!(
            "{}one AS (SELECT 1)
             SELECT {EVENT}, {body}, d.id, d.sink, d.attempts, greatest(d.due_at, 0) - t, d.error, d.state,
                 d.due_at
             FROM gatepost_deliveries d LEFT JOIN gatepost_events e ON e.gen = d.gen AND e.seq = d.seq, clock
             WHERE {} ORDER BY d.due_at DESC, d.id DESC LIMIT {count}",
            clock!(),
            conditions.sql()
        );
        self.select(&sql, &conditions).await
    }

    async fn matching(&self, ids: &[DeliveryId], filter: &DeadLetterFilter) -> Result<Vec<i64>, StoreError> {
        let mut conditions = Conditions::dead_letters(ids, filter);
        let count = conditions.parameter(limit(filter.limit));
        let sql = format!(
            "{}one AS (SELECT 1)
             SELECT d.id
             FROM gatepost_deliveries d LEFT JOIN gatepost_events e ON e.gen = d.gen AND e.seq = d.seq, clock
             WHERE {} ORDER BY d.due_at DESC, d.id DESC LIMIT {count}",
            clock!(),
            conditions.sql()
        );
        self.select(&sql, &conditions).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
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

    async fn select(&self, sql: &str, conditions: &Conditions) -> Result<Vec<Row>, StoreError> {
        within(async {
            let lent = self.pool.lend().await?;
            let rows = lent.session.client().query(sql, &conditions.values()).await?;
            lent.done();
            Ok(rows)
        })
        .await
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
