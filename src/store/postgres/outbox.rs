//! Deliveries: claimed by lease with `SKIP LOCKED`, settled, counted by differences.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_postgres::Row;

use crate::event::Name;
use crate::store::postgres::rows::{self, micros, text, time, unsigned};
use crate::store::postgres::session::Pool;
use crate::store::{Backlog, Claimed, DeliveryId, Outbox, Settled, Settlement, StoreError};

/// Rows of counts of one sink from which they are summed up into one.
const SUM_UP: i64 = 64;

const CLAIM: &str = "
WITH due AS (
    SELECT id, due_at FROM gatepost_deliveries WHERE sink = $1 AND state = 0 AND due_at <= $2
    ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE gatepost_deliveries d SET lease = lease + 1, claimed_at = $2, due_at = $4 FROM due WHERE d.id = due.id
    RETURNING d.id, d.lease, d.attempts, d.queued_at, d.gen, d.seq, due.due_at AS was_due
)
SELECT t.id, t.lease, t.attempts, t.queued_at, e.source, e.id, e.kind, e.received_at, e.content_type, e.key,
    e.request_id, e.client_ip, e.traceparent, e.body
FROM taken t JOIN gatepost_events e ON e.seq = t.seq ORDER BY t.was_due, t.id";

/// Outcomes: 0 done, 1 retry, 2 dead, 3 released. A dead one died in the attempt that its claim began.
const SETTLE: &str = "
WITH given AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::text[])
        AS g (id, lease, outcome, at, error)
), changed AS (
    UPDATE gatepost_deliveries d SET
        state = CASE g.outcome WHEN 0 THEN 1 WHEN 2 THEN 2 ELSE 0 END,
        attempts = d.attempts + CASE g.outcome WHEN 3 THEN 0 ELSE 1 END,
        due_at = CASE g.outcome WHEN 0 THEN d.due_at WHEN 2 THEN d.claimed_at ELSE g.at END,
        error = CASE g.outcome WHEN 0 THEN NULL WHEN 3 THEN d.error ELSE g.error END,
        claimed_at = NULL
    FROM given g WHERE d.id = g.id AND d.lease = g.lease AND d.state = 0 AND d.claimed_at IS NOT NULL
    RETURNING d.sink, g.outcome
)
INSERT INTO gatepost_sink_counts
SELECT sink, -count(*), count(*) FILTER (WHERE outcome = 2) FROM changed WHERE outcome IN (0, 2) GROUP BY sink";

const BACKLOG: &str = "
SELECT count(*), coalesce(sum(pending), 0)::bigint, coalesce(sum(dead), 0)::bigint,
    (SELECT min(queued_at) FROM gatepost_deliveries WHERE state = 0 AND sink = $1)
FROM gatepost_sink_counts WHERE sink = $1";

/// What another process sums up at the same time is left to it.
const SUM: &str = "
WITH gone AS (
    DELETE FROM gatepost_sink_counts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM gatepost_sink_counts WHERE sink = $1 FOR UPDATE SKIP LOCKED))
    RETURNING pending, dead
)
INSERT INTO gatepost_sink_counts SELECT $1, sum(pending), sum(dead) FROM gone HAVING count(*) > 0";

/// The delivering side of a PostgreSQL store.
pub struct PostgresOutbox {
    /// For all of it.
    pub pool: Pool,
    /// Notified after this process's commits and by the server about those of others.
    pub queued: Arc<Notify>,
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn claim(
        &self,
        sink: &Name,
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<Claimed>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let now = micros(now);
        let until = now.saturating_add(i64::try_from(lease.as_micros()).unwrap_or(i64::MAX));
        let rows = self.pool.query(CLAIM, &[&sink.as_str(), &now, &limit, &until]).await?;
        rows.iter().map(claimed).collect()
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<(), StoreError> {
        // In one order, so that two of these never wait for each other in a circle.
        settlements.sort_by_key(|settlement| settlement.id);
        let ids: Vec<i64> = settlements.iter().map(|settlement| settlement.id.0).collect();
        let leases: Vec<i64> = settlements.iter().map(|settlement| settlement.lease).collect();
        let (mut kinds, mut times, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for settlement in &settlements {
            let (kind, at, error) = match &settlement.outcome {
                Settled::Done => (0_i16, None, None),
                Settled::Retry { at, error } => (1, Some(micros(*at)), Some(text(error))),
                Settled::Dead { error } => (2, None, Some(text(error))),
                Settled::Released { at } => (3, Some(micros(*at)), None),
            };
            kinds.push(kind);
            times.push(at);
            errors.push(error);
        }
        self.pool.execute(SETTLE, &[&ids, &leases, &kinds, &times, &errors]).await?;
        Ok(())
    }

    async fn next_due(&self, sink: &Name) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT min(due_at) FROM gatepost_deliveries WHERE state = 0 AND sink = $1";
        let rows = self.pool.query(sql, &[&sink.as_str()]).await?;
        let due: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
        due.map(time).transpose()
    }

    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError> {
        let rows = self.pool.query(BACKLOG, &[&sink.as_str()]).await?;
        let Some(row) = rows.first() else { return Ok(Backlog::default()) };
        let backlog = Backlog {
            pending: unsigned(row.try_get(1)?),
            dead: unsigned(row.try_get(2)?),
            oldest: row.try_get::<_, Option<i64>>(3)?.map(time).transpose()?,
        };
        if row.try_get::<_, i64>(0)? > SUM_UP {
            self.pool.execute(SUM, &[&sink.as_str()]).await?;
        }
        Ok(backlog)
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }
}

fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: DeliveryId(row.try_get(0)?),
        lease: row.try_get(1)?,
        attempts: u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or(0),
        queued_at: time(row.try_get(3)?)?,
        event: rows::event(row, 4)?,
    })
}
