//! What a PostgreSQL store holds, in numbers.

use std::time::Duration;

use crate::store::error::StoreError;
use crate::store::postgres::session::{Pool, within};
use crate::store::sql::sql;
use crate::store::stats::{SinkStats, SourceStats, Stats, StoreSize};
use crate::store::stored::{time, unsigned};

const BYTES: &str = "
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'gatepost\\_%'";

const TOTALS: &str = "
SELECT (SELECT count(*) FROM gatepost_ids),
    (SELECT count(*) FROM gatepost_quarantine), (SELECT coalesce(sum(bytes), 0)::bigint FROM gatepost_quarantine),
    (SELECT count(*) FROM gatepost_audit)";

const EVENTS: &str = "
SELECT source, count(*), min(received_at), max(received_at) FROM gatepost_events GROUP BY source
ORDER BY source COLLATE \"C\"";

const SINKS: &str = sql!(
    "
SELECT sink, count(*) FILTER (WHERE state = {PENDING}), count(*) FILTER (WHERE state = {DELIVERED}),
    count(*) FILTER (WHERE state = {DEAD})
FROM gatepost_deliveries GROUP BY sink ORDER BY sink COLLATE \"C\""
);

/// How large the store behind `pool` is.
pub(super) async fn size(pool: &Pool) -> Result<StoreSize, StoreError> {
    let lent = within(pool.lend()).await?;
    let rows = within(lent.session.query(BYTES, &[])).await?;
    let bytes = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(StoreSize { bytes: unsigned(bytes), free_bytes: None })
}

/// What the store behind `pool` holds.
pub(super) async fn stats(pool: &Pool, retention: Duration) -> Result<Stats, StoreError> {
    let StoreSize { bytes, free_bytes } = size(pool).await?;
    let mut stats = Stats { bytes, free_bytes, retention_seconds: retention.as_secs(), ..Stats::default() };
    // Not bounded by the patience of requests: whoever counts a million rows waits for them.
    let lent = within(pool.lend()).await?;
    let session = &lent.session;
    session.batch("BEGIN; SET LOCAL statement_timeout = '5min'").await?;
    if let Some(row) = session.query(TOTALS, &[]).await?.first() {
        let number = |column: usize| Ok::<u64, StoreError>(unsigned(row.try_get(column)?));
        stats.ids = number(0)?;
        (stats.quarantine_entries, stats.quarantine_bytes, stats.audit_records) = (number(1)?, number(2)?, number(3)?);
    }
    for row in session.query(EVENTS, &[]).await? {
        let events = unsigned(row.try_get(1)?);
        let (oldest, newest) = (time(row.try_get(2)?).ok(), time(row.try_get(3)?).ok());
        stats.events += events;
        stats.oldest = [stats.oldest, oldest].into_iter().flatten().min();
        stats.newest = [stats.newest, newest].into_iter().flatten().max();
        stats.sources.push(SourceStats { source: row.try_get::<_, &str>(0)?.into(), events });
    }
    for row in session.query(SINKS, &[]).await? {
        let number = |column: usize| Ok::<u64, StoreError>(unsigned(row.try_get(column)?));
        let sink = row.try_get::<_, &str>(0)?.into();
        stats.sinks.push(SinkStats { sink, pending: number(1)?, delivered: number(2)?, dead: number(3)? });
    }
    session.batch("COMMIT").await?;
    lent.done();
    Ok(stats)
}
