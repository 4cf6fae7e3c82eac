//! Erasing an event: what its sender said goes from its row. The server keeps old versions of rows until it cleans up.

use crate::event::EventKey;
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::postgres::rows::text;
use crate::store::postgres::session::Pool;
use crate::store::sql::sql;
use crate::store::stored::unsigned;

/// Held in the order in which replays hold them (`archive.rs`): the event stays in its generation until the commit.
const HOLD: &str = "
SELECT i.gen, i.seq FROM gatepost_ids i WHERE i.key = $1 FOR KEY SHARE OF i";

const DELIVERIES: &str = sql!(
    "WITH held AS (
    SELECT id FROM gatepost_deliveries WHERE seq = $1 ORDER BY id FOR UPDATE
), gone AS (
    DELETE FROM gatepost_deliveries d USING held WHERE d.id = held.id AND d.state <> {DELIVERED}
    RETURNING d.sink, d.state
), counted AS (
    INSERT INTO gatepost_sink_counts
    SELECT sink, -count(*) FILTER (WHERE state = {PENDING}), -count(*) FILTER (WHERE state = {DEAD}) FROM gone GROUP BY sink
)
SELECT count(*) FROM gone"
);

const FROM_QUARANTINE: &str = "
DELETE FROM gatepost_quarantine q USING gatepost_events e
WHERE e.gen = $1 AND e.seq = $2
    AND (q.source = e.source AND q.event_id = e.id OR q.body = e.body AND octet_length(e.body) > 0)";

const ERASE: &str = "
UPDATE gatepost_events SET content_type = '', key = '', request_id = '', client_ip = NULL, traceparent = NULL,
    headers = NULL, body = '', erased = encode(sha256(body), 'hex') || $3
WHERE gen = $1 AND seq = $2 AND erased IS NULL";

/// Erases the event of `key`; `None` where there is none, or nothing left of it.
pub(super) async fn erase(pool: &Pool, key: &EventKey, erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError> {
    let lent = pool.lend().await?;
    let session = &lent.session;
    session.batch("BEGIN").await?;
    let mut erased = None;
    if let Some(row) = session.query(HOLD, &[&&key.0[..]]).await?.first() {
        let (generation, seq): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let deliveries = session.query(DELIVERIES, &[&seq]).await?;
        let deliveries = unsigned(deliveries.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0));
        let quarantined = session.execute(FROM_QUARANTINE, &[&generation, &seq]).await?;
        let stored = erasure.stored();
        if session.execute(ERASE, &[&generation, &seq, &text(&stored)]).await? > 0 {
            erased = Some(ErasedParts { deliveries, quarantined });
        }
    }
    session.batch(if erased.is_some() { "COMMIT" } else { "ROLLBACK" }).await?;
    lent.done();
    Ok(erased)
}
