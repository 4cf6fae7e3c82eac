//! Deliveries that ran out of attempts: listed, queued again, given up.

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::clock::Clock;
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::{self, EVENT, EVENT_COLUMNS, limit, shown};
use crate::store::postgres::selection::Conditions;
use crate::store::postgres::session::{Pool, within};
use crate::store::{DeadLetter, DeadLetters, DeliveryId, Filter, StoreError};

/// Dead letters changed in one transaction.
const STEP: usize = 500;

const REPLAY: &str = concat!(
    clock!(),
    "queued AS (
    UPDATE gatepost_deliveries SET state = 0, attempts = 0, due_at = t, queued_at = t, claimed_at = NULL, error = NULL
    FROM clock WHERE id = ANY ($1) AND state = 2 RETURNING sink
), counted AS (
    INSERT INTO gatepost_sink_counts SELECT sink, count(*), -count(*) FROM queued GROUP BY sink
)
SELECT pg_notify('gatepost_queued', '') FROM queued"
);

const DISCARD: &str = "
WITH gone AS (
    DELETE FROM gatepost_deliveries WHERE id = ANY ($1) AND state = 2 RETURNING sink
), counted AS (
    INSERT INTO gatepost_sink_counts SELECT sink, 0, -count(*) FROM gone GROUP BY sink
)
SELECT 1 FROM gone";

/// The dead letters of a PostgreSQL store.
pub struct PostgresDeadLetters {
    /// For all of it.
    pub pool: Pool,
    /// What times are shown as.
    pub wall: Clock,
}

#[async_trait]
impl DeadLetters for PostgresDeadLetters {
    async fn list(&self, ids: &[DeliveryId], filter: &Filter, bodies: bool) -> Result<Vec<DeadLetter>, StoreError> {
        let mut conditions = Conditions::dead(ids, filter);
        let count = conditions.parameter(limit(filter.limit));
        let body = if bodies { "e.body" } else { "NULL::bytea" };
        let sql = format!(
            "{}one AS (SELECT 1)
             SELECT {EVENT}, {body}, d.id, d.sink, d.attempts, greatest(d.due_at, 0) - t, d.error
             FROM gatepost_deliveries d LEFT JOIN gatepost_events e ON e.gen = d.gen AND e.seq = d.seq, clock
             WHERE {} ORDER BY d.due_at DESC, d.id DESC LIMIT {count}",
            clock!(),
            conditions.sql()
        );
        let rows = self.select(&sql, &conditions).await?;
        let now = self.wall.now();
        rows.iter().map(|row| dead_letter(row, now)).collect()
    }

    async fn replay(&self, ids: &[DeliveryId], filter: &Filter) -> Result<u64, StoreError> {
        let mut queued = 0;
        for step in self.matching(ids, filter).await?.chunks(STEP) {
            queued += self.pool.query(REPLAY, &[&step]).await?.len() as u64;
        }
        Ok(queued)
    }

    async fn discard(&self, ids: &[DeliveryId], filter: &Filter) -> Result<u64, StoreError> {
        let mut gone = 0;
        for step in self.matching(ids, filter).await?.chunks(STEP) {
            gone += self.pool.query(DISCARD, &[&step]).await?.len() as u64;
        }
        Ok(gone)
    }
}

impl PostgresDeadLetters {
    async fn matching(&self, ids: &[DeliveryId], filter: &Filter) -> Result<Vec<i64>, StoreError> {
        let mut conditions = Conditions::dead(ids, filter);
        let count = conditions.parameter(limit(filter.limit));
        let sql = format!(
            "SELECT d.id FROM gatepost_deliveries d LEFT JOIN gatepost_events e ON e.gen = d.gen AND e.seq = d.seq
             WHERE {} ORDER BY d.due_at DESC, d.id DESC LIMIT {count}",
            conditions.sql()
        );
        self.select(&sql, &conditions).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
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
        sink: row.try_get::<_, &str>(EVENT_COLUMNS + 2)?.into(),
        attempts: u32::try_from(row.try_get::<_, i32>(EVENT_COLUMNS + 3)?).unwrap_or(0),
        died_at: shown(now, row.try_get(EVENT_COLUMNS + 4)?),
        error: row.try_get::<_, Option<String>>(EVENT_COLUMNS + 5)?.unwrap_or_default(),
    })
}
