//! Deliveries: claimed by lease with `SKIP LOCKED`, settled, counted by differences.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_postgres::Row;

use crate::event::Name;
use crate::store::claimed::Claimed;
use crate::store::delivery::DeliveryId;
use crate::store::error::StoreError;
use crate::store::handover::{Handover, Handovers};
use crate::store::outbox::{Backlog, Outbox, Settled, Settlement};
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::{self, text};
use crate::store::postgres::session::Pool;
use crate::store::postgres::sink_controls;
use crate::store::sink_controls::SinkControl;
use crate::store::sql::{EVENT_COLUMNS, sql};
use crate::store::stored::{duration, unsigned, wait};

/// Rows of counts of one sink from which they are summed up into one.
const SUM_UP: i64 = 64;

/// How long in the time from `$queued` on sink `$1` was paused.
macro_rules! paused {
    ($queued:literal) => {
        concat!(
            "coalesce((SELECT sum(greatest(coalesce(p.ended, t) - greatest(p.began, ",
            $queued,
            "), 0))::bigint
    FROM gatepost_pauses p WHERE p.sink = $1), 0)"
        )
    };
}

/// What is due, then what a clock gone wrong has put off for longer than anything is put off. One whose event is gone
/// is claimed as well: it can only be given up. A time when it was queued that makes no sense must not end the statement.
const CLAIM: &str = sql!(
    clock!(),
    "free AS (
    SELECT NOT EXISTS (SELECT 1 FROM gatepost_pauses WHERE sink = $1 AND ended IS NULL) AS free
), due AS (
    SELECT id, due_at FROM gatepost_deliveries
    WHERE (SELECT free FROM free) AND sink = $1 AND state = {PENDING} AND due_at <= (SELECT t FROM clock)
    ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), stranded AS (
    SELECT id, due_at FROM gatepost_deliveries
    WHERE (SELECT free FROM free) AND sink = $1 AND state = {PENDING} AND due_at > (SELECT t FROM clock) + {LONGEST_WAIT}
    ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
), picked AS (
    SELECT * FROM due UNION ALL SELECT * FROM stranded LIMIT $2
), taken AS (
    UPDATE gatepost_deliveries d SET lease = lease + 1, claimed_at = t, due_at = t + $3
    FROM picked, clock WHERE d.id = picked.id
    RETURNING d.id, d.lease, d.attempts, t - greatest(d.queued_at, 0) - ", paused!("d.queued_at"), " AS age, d.gen, d.seq, d.replays,
        picked.due_at AS was_due
)
SELECT t.id, t.lease, t.attempts, t.age, {EVENT}, e.body, e.seq IS NULL, t.replays
FROM taken t LEFT JOIN gatepost_events e ON e.seq = t.seq ORDER BY t.was_due, t.id"
);

/// Outcomes: 0 done, 1 retry, 2 dead, 3 released, 4 done, and the sink had it already.
const SETTLE: &str = sql!(
    clock!(),
    "given AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::text[])
        AS g (id, lease, outcome, after, error)
), changed AS (
    UPDATE gatepost_deliveries d SET
        state = CASE g.outcome WHEN 0 THEN {DELIVERED} WHEN 4 THEN {DELIVERED} WHEN 2 THEN {DEAD} ELSE {PENDING} END,
        duplicate = g.outcome = 4,
        attempts = d.attempts + CASE g.outcome WHEN 3 THEN 0 ELSE 1 END,
        due_at = CASE WHEN g.outcome IN (0, 4) THEN d.due_at ELSE t + g.after END,
        error = CASE g.outcome WHEN 0 THEN NULL WHEN 4 THEN NULL WHEN 3 THEN d.error ELSE g.error END,
        claimed_at = NULL
    FROM given g, clock WHERE d.id = g.id AND d.lease = g.lease AND d.state = {PENDING} AND d.claimed_at IS NOT NULL
    RETURNING d.sink, g.outcome
)
INSERT INTO gatepost_sink_counts
SELECT sink, -count(*), count(*) FILTER (WHERE outcome = 2) FROM changed WHERE outcome IN (0, 2, 4) GROUP BY sink"
);

/// Both ends of the index: a condition on `due_at` that hardly ever holds would have the whole table read instead.
const NEXT_DUE: &str = sql!(
    clock!(),
    "ends (first, last) AS (
    SELECT min(due_at), max(due_at) FROM gatepost_deliveries WHERE sink = $1 AND state = {PENDING}
        AND NOT EXISTS (SELECT 1 FROM gatepost_pauses p WHERE p.sink = $1 AND p.ended IS NULL)
)
SELECT CASE WHEN last > t + {LONGEST_WAIT} OR first < 0 THEN 0 ELSE first - t END FROM ends, clock"
);

const BACKLOG: &str = sql!(
    clock!(),
    "oldest (queued_at) AS (SELECT min(queued_at) FROM gatepost_deliveries WHERE state = {PENDING} AND sink = $1)
SELECT count(*), coalesce(sum(pending), 0)::bigint, coalesce(sum(dead), 0)::bigint,
    (SELECT t - greatest(queued_at, 0) FROM oldest, clock WHERE queued_at IS NOT NULL),
    (SELECT t - greatest(queued_at, 0) - ",
    paused!("queued_at"),
    " FROM oldest, clock WHERE queued_at IS NOT NULL)
FROM gatepost_sink_counts WHERE sink = $1"
);

const SINKS: &str = "
SELECT sink FROM gatepost_sink_counts GROUP BY sink HAVING sum(pending) > 0 OR sum(dead) > 0 ORDER BY sink COLLATE \"C\"";

/// What another process sums up at the same time is left to it.
const SUM: &str = "
WITH gone AS (
    DELETE FROM gatepost_sink_counts WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM gatepost_sink_counts WHERE sink = $1 FOR UPDATE SKIP LOCKED))
    RETURNING pending, dead
)
INSERT INTO gatepost_sink_counts SELECT $1, sum(pending), sum(dead) FROM gone HAVING count(*) > 0";

/// The delivering side of a PostgreSQL store.
pub(super) struct PostgresOutbox {
    /// For all of it.
    pub pool: Pool,
    /// Notified after this process's commits and by the server about those of others.
    pub queued: Arc<Notify>,
    /// Looked through by who inserts.
    pub handovers: Handovers,
}

#[async_trait]
impl Outbox for PostgresOutbox {
    async fn claim(&self, sink: &Name, limit: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(CLAIM, &[&sink.as_str(), &limit, &wait(lease)]).await?;
        rows.iter().map(claimed).collect()
    }

    async fn settle(&self, mut settlements: Vec<Settlement>) -> Result<(), StoreError> {
        // In one order, so that two of these never wait for each other in a circle.
        settlements.sort_by_key(|settlement| settlement.id);
        let ids: Vec<i64> = settlements.iter().map(|settlement| settlement.id.0).collect();
        let leases: Vec<i64> = settlements.iter().map(|settlement| settlement.lease).collect();
        let (mut kinds, mut waits, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for settlement in &settlements {
            let (kind, after, error) = match &settlement.outcome {
                Settled::Done { duplicate } => (if *duplicate { 4_i16 } else { 0 }, 0, None),
                Settled::Retry { after, error } => (1, wait(*after), Some(text(error))),
                Settled::Dead { error } => (2, 0, Some(text(error))),
                Settled::Released { after } => (3, wait(*after), None),
            };
            kinds.push(kind);
            waits.push(after);
            errors.push(error);
        }
        self.pool.execute(SETTLE, &[&ids, &leases, &kinds, &waits, &errors]).await?;
        Ok(())
    }

    async fn next_due(&self, sink: &Name) -> Result<Option<Duration>, StoreError> {
        let rows = self.pool.query(NEXT_DUE, &[&sink.as_str()]).await?;
        let due: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
        Ok(due.map(duration))
    }

    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError> {
        let rows = self.pool.query(BACKLOG, &[&sink.as_str()]).await?;
        let Some(row) = rows.first() else { return Ok(Backlog::default()) };
        let backlog = Backlog {
            pending: unsigned(row.try_get(1)?),
            dead: unsigned(row.try_get(2)?),
            oldest_age: row.try_get::<_, Option<i64>>(3)?.map(duration),
            oldest_counted_age: row.try_get::<_, Option<i64>>(4)?.map(duration),
        };
        if row.try_get::<_, i64>(0)? > SUM_UP {
            self.pool.execute(SUM, &[&sink.as_str()]).await?;
        }
        Ok(backlog)
    }

    async fn sinks(&self) -> Result<Vec<(Name, Backlog)>, StoreError> {
        let rows = self.pool.query(SINKS, &[]).await?;
        let mut sinks = Vec::with_capacity(rows.len());
        for row in rows {
            let name = Name::from(row.try_get::<_, &str>(0)?);
            sinks.push((name.clone(), self.backlog(&name).await?));
        }
        Ok(sinks)
    }

    async fn control(&self, sink: &Name) -> Result<SinkControl, StoreError> {
        Ok(sink_controls::read(&self.pool, Some(sink)).await?.remove(sink).unwrap_or_default())
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }

    fn hand_over(&self, sink: &Name, to: &Arc<Handover>) {
        self.handovers.set(sink, to);
    }
}

/// Behind what a claim is, its event and the body: whether that is gone, then how often it was replayed.
const GONE: usize = CLAIM_COLUMNS + EVENT_COLUMNS + 1;
/// What a claim is.
const CLAIM_COLUMNS: usize = 4;

fn claimed(row: &Row) -> Result<Claimed, StoreError> {
    Ok(Claimed {
        id: DeliveryId(row.try_get(0)?),
        lease: row.try_get(1)?,
        attempts: u32::try_from(row.try_get::<_, i32>(2)?).unwrap_or(0),
        replay: u32::try_from(row.try_get::<_, i32>(GONE + 1)?).unwrap_or(0),
        age: duration(row.try_get(3)?),
        event: if row.try_get(GONE)? {
            Err("it is gone".into())
        } else {
            rows::event(row, CLAIM_COLUMNS).map_err(|error| match error {
                StoreError::Corrupt(error) | StoreError::Unavailable(error) => error,
                error @ (StoreError::Url(_)
                | StoreError::TooNew { .. }
                | StoreError::Foreign(_)
                | StoreError::Unsupported(_)) => error.to_string(),
            })
        },
    })
}
