//! The server's clock, the same for all replicas, as SQL: everything that decides goes by it.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::store::error::StoreError;
use crate::store::postgres::rows::time;
use crate::store::postgres::session::Pool;

/// The beginning of a statement that may then use `clock`, a table of one row `t`: the time in microseconds.
/// Materialised: read once, so that it can be looked up in an index.
macro_rules! clock {
    () => {
        "WITH clock (t) AS MATERIALIZED (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), "
    };
}

/// [`crate::store::delivery::LONGEST_WAIT`] in microseconds: what is due later than that from now counts as due.
macro_rules! longest {
    () => {
        "7200000000"
    };
}

pub(in crate::store::postgres) use {clock, longest};

const NOW: &str = concat!(clock!(), "one AS (SELECT 1) SELECT t FROM clock, one");

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

#[cfg(test)]
mod tests {
    use crate::store::delivery::LONGEST_WAIT;

    #[test]
    fn the_bound_in_sql_is_the_bound() {
        assert_eq!(longest!().parse(), Ok(LONGEST_WAIT.as_micros()));
    }
}
