//! The queue of audit records towards the SIEM, shared by all replicas: bounded, claimed by lease, removed.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::store::audit_queue::{AuditQueue, QueuedAudit, Rewrite};
use crate::store::error::StoreError;
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::text;
use crate::store::postgres::schema::BOUNDS;
use crate::store::postgres::session::{Pool, within};
use crate::store::sql::sql;
use crate::store::stored::{unsigned, wait};

const ROOM: &str = "SELECT count(*) FROM (SELECT 1 FROM gatepost_audit LIMIT $1) AS held";

const CLAIM: &str = sql!(
    clock!(),
    "due AS (
    SELECT id FROM gatepost_audit
    WHERE due_at <= (SELECT t FROM clock) OR due_at > (SELECT t FROM clock) + {LONGEST_WAIT}
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE gatepost_audit a SET due_at = t + $2 FROM due, clock WHERE a.id = due.id
    RETURNING a.id, a.record, a.attempts
)
SELECT * FROM taken ORDER BY id"
);

const RELEASE: &str = sql!(
    clock!(),
    "one AS (SELECT 1)
    UPDATE gatepost_audit SET due_at = t + $2, attempts = attempts + $3 FROM clock WHERE id = ANY ($1)"
);

/// The audit queue of a PostgreSQL store.
pub(super) struct PostgresAuditQueue {
    /// For all of it.
    pub pool: Pool,
}

#[async_trait]
impl AuditQueue for PostgresAuditQueue {
    async fn push(&self, records: Vec<String>, capacity: u64) -> Result<u64, StoreError> {
        let capacity = i64::try_from(capacity).unwrap_or(i64::MAX);
        within(async {
            let lent = self.pool.lend().await?;
            lent.session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({BOUNDS})")).await?;
            let rows = lent.session.query(ROOM, &[&capacity]).await?;
            let held: i64 = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
            let fits = usize::try_from(capacity - held).unwrap_or(0).min(records.len());
            let added: Vec<_> = records.iter().take(fits).map(|record| text(record)).collect();
            let sql = "INSERT INTO gatepost_audit (record)
                       SELECT record FROM unnest($1::text[]) WITH ORDINALITY AS g (record, n) ORDER BY n";
            lent.session.execute(sql, &[&added]).await?;
            lent.session.batch("COMMIT").await?;
            lent.done();
            Ok((records.len() - fits) as u64)
        })
        .await
    }

    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<QueuedAudit>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |row: &Row| {
            let attempts = u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or(0);
            Ok(QueuedAudit { id: row.try_get(0)?, record: row.try_get(1)?, attempts })
        };
        self.pool.query(CLAIM, &[&limit, &wait(lease)]).await?.iter().map(read).collect()
    }

    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.pool.execute("DELETE FROM gatepost_audit WHERE id = ANY ($1)", &[&ids]).await?;
        Ok(())
    }

    async fn release(&self, ids: &[i64], after: Duration, refused: bool) -> Result<(), StoreError> {
        self.pool.execute(RELEASE, &[&ids, &wait(after), &i32::from(refused)]).await?;
        Ok(())
    }

    async fn rewrite(&self, rewrite: Rewrite) -> Result<u64, StoreError> {
        let mut changed = 0;
        for row in self.pool.query("SELECT id, record FROM gatepost_audit ORDER BY id", &[]).await? {
            if let Some(record) = rewrite(row.try_get(1)?) {
                let sql = "UPDATE gatepost_audit SET record = $2 WHERE id = $1";
                changed += self.pool.execute(sql, &[&row.try_get::<_, i64>(0)?, &text(&record)]).await?;
            }
        }
        Ok(changed)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let rows = self.pool.query("SELECT count(*) FROM gatepost_audit", &[]).await?;
        Ok(unsigned(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }
}
