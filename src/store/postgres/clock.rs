//! The server's clock, the same for all replicas, as SQL: everything that decides goes by it.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::store::error::StoreError;
use crate::store::postgres::session::Pool;
use crate::store::sql::sql;
use crate::store::stored::time;

/// The beginning of a statement that may then use `clock`, a table of one row `t`: the time in microseconds.
/// Materialised: read once, so that it can be looked up in an index.
macro_rules! clock {
    () => {
        "WITH clock (t) AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), "
    };
}

pub(super) use clock;

const NOW: &str = sql!(clock!(), "one AS (SELECT 1) SELECT t FROM clock, one");

/// The server's time now, and how far `wall` is ahead of it, in microseconds. The way to the server and back is halved.
pub(super) async fn now(pool: &Pool, wall: &Clock) -> Result<(Timestamp, i64), StoreError> {
    let asked = Instant::now();
    let rows = pool.query(NOW, &[]).await?;
    let way_back = i64::try_from(asked.elapsed().as_micros() / 2).unwrap_or(i64::MAX);
    let here = wall.now().as_microsecond().saturating_sub(way_back);
    let row = rows.first().ok_or_else(|| StoreError::Unavailable("the server told no time".into()))?;
    let there: i64 = row.try_get(0)?;
    Ok((time(there)?, here.saturating_sub(there)))
}
