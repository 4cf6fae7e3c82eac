//! Retention without bloat: events and ids lie in generations, partitions that each take a quarter of the retention
//! and are dropped whole once their youngest event is old. Nothing is forgotten early; at most a quarter late.
//!
//! What still has an open delivery moves to generation 0, event and id together, before its own is dropped, and leaves
//! that one by one when its deliveries are over. Generations change under an exclusive lock for which every inserting
//! transaction holds the shared one, so that an id is never added to two of them.

use jiff::Timestamp;

use crate::store::StoreError;
use crate::store::postgres::rows::{micros, unsigned};
use crate::store::postgres::schema::{GENERATIONS, generation};
use crate::store::postgres::session::{Pool, Session, within};

/// Rows moved or deleted in one transaction.
const STEP: i64 = 2000;

/// Events of generation `$1` with an open delivery.
const OPEN: &str = "SELECT DISTINCT seq FROM gatepost_deliveries WHERE gen = $1 AND state IN (0, 2) LIMIT $2";

/// Moves events to generation 0; their deliveries follow.
const MOVE: &str = "
WITH ids AS (
    DELETE FROM gatepost_ids WHERE gen = $1 AND seq = ANY ($2) RETURNING key, seq
), new_ids AS (
    INSERT INTO gatepost_ids (key, gen, seq) SELECT key, 0, seq FROM ids
), events AS (
    DELETE FROM gatepost_events WHERE gen = $1 AND seq = ANY ($2) RETURNING *
), new_events AS (
    INSERT INTO gatepost_events
    SELECT seq, 0, source, id, kind, received_at, content_type, key, request_id, client_ip, traceparent, body
    FROM events
)
UPDATE gatepost_deliveries SET gen = 0 WHERE gen = $1 AND seq = ANY ($2)";

/// Forgets events of generation 0 that are old and have no open delivery.
const SWEEP: &str = "
WITH over AS (
    SELECT e.seq FROM gatepost_events e WHERE e.gen = 0 AND e.received_at < $1 AND NOT EXISTS (
        SELECT 1 FROM gatepost_deliveries d WHERE d.seq = e.seq AND d.state IN (0, 2)) LIMIT $2
), deliveries AS (
    DELETE FROM gatepost_deliveries WHERE seq IN (SELECT seq FROM over)
), ids AS (
    DELETE FROM gatepost_ids WHERE gen = 0 AND seq IN (SELECT seq FROM over)
)
DELETE FROM gatepost_events WHERE gen = 0 AND seq IN (SELECT seq FROM over)";

/// Opens and drops generations as the time `now` asks for; returns how many events were forgotten.
pub async fn turn(pool: &Pool, now: Timestamp, retention: i64) -> Result<u64, StoreError> {
    let (now, before) = (micros(now), micros(now).saturating_sub(retention));
    within(open_next(pool, now, retention / 4)).await?;
    let sql = "SELECT gen FROM gatepost_generations WHERE closed_at < $1 ORDER BY gen";
    let mut gone = 0;
    for row in pool.query(sql, &[&before]).await? {
        gone += retire(pool, row.try_get(0)?).await?;
    }
    loop {
        let swept = pool.execute(SWEEP, &[&before, &STEP]).await?;
        gone += swept;
        if unsigned(STEP) > swept {
            return Ok(gone);
        }
    }
}

/// Closes the generation that has had its time and opens the next.
async fn open_next(pool: &Pool, now: i64, span: i64) -> Result<(), StoreError> {
    let lent = pool.lend().await?;
    let session = &lent.session;
    session.execute("UPDATE gatepost_generations SET opened_at = $1 WHERE opened_at IS NULL", &[&now]).await?;
    let due = "SELECT gen FROM gatepost_generations WHERE closed_at IS NULL AND opened_at <= $1";
    let latest = now.saturating_sub(span);
    if !session.query(due, &[&latest]).await?.is_empty() {
        session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({GENERATIONS})")).await?;
        // Another replica may have been faster.
        if let Some(row) = session.query(due, &[&latest]).await?.first() {
            let next: i32 = row.try_get::<_, i32>(0)? + 1;
            session.batch(&generation(next)).await?;
            session.execute("UPDATE gatepost_generations SET closed_at = $1 WHERE closed_at IS NULL", &[&now]).await?;
            session.execute("INSERT INTO gatepost_generations VALUES ($1, $2, NULL)", &[&next, &now]).await?;
        }
        session.batch("COMMIT").await?;
    }
    lent.done();
    Ok(())
}

/// Drops generation `gen`; what still has an open delivery moves to generation 0 first, most of it before the lock.
async fn retire(pool: &Pool, gen_number: i32) -> Result<u64, StoreError> {
    loop {
        let open = open_events(pool, gen_number).await?;
        if open.is_empty() {
            break;
        }
        pool.execute(MOVE, &[&gen_number, &open]).await?;
    }
    let bounds = format!("SELECT count(*), min(seq), max(seq) FROM gatepost_events_{gen_number}");
    let (held, first, last) = within(async {
        let lent = pool.lend().await?;
        let row = lent.session.client().query_one(&bounds, &[]).await?;
        lent.done();
        let seq = |column| Ok::<_, StoreError>(row.try_get::<_, Option<i64>>(column)?.unwrap_or(0));
        Ok((row.try_get(0)?, seq(1)?, seq(2)?))
    })
    .await?;
    let mut from = first;
    while held > 0 && from <= last {
        let sql = "DELETE FROM gatepost_deliveries WHERE seq BETWEEN $2 AND $3 AND gen = $1 AND state = 1";
        pool.execute(sql, &[&gen_number, &from, &(from + STEP)]).await?;
        from += STEP + 1;
    }
    let moved = within(drop_generation(pool, gen_number)).await?;
    Ok(unsigned(held).saturating_sub(moved))
}

async fn open_events(pool: &Pool, gen_number: i32) -> Result<Vec<i64>, StoreError> {
    pool.query(OPEN, &[&gen_number, &STEP]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Returns how many events had been queued again meanwhile, and so were moved after all.
async fn drop_generation(pool: &Pool, gen_number: i32) -> Result<u64, StoreError> {
    let lent = pool.lend().await?;
    let session = &lent.session;
    session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({GENERATIONS})")).await?;
    let moved = move_rest(session, gen_number).await?;
    session.batch(&format!("DROP TABLE IF EXISTS gatepost_ids_{gen_number}, gatepost_events_{gen_number}")).await?;
    session.execute("DELETE FROM gatepost_generations WHERE gen = $1", &[&gen_number]).await?;
    session.batch("COMMIT").await?;
    lent.done();
    Ok(moved)
}

async fn move_rest(session: &Session, gen_number: i32) -> Result<u64, StoreError> {
    let rows = session.query(OPEN, &[&gen_number, &i64::MAX]).await?;
    let open: Vec<i64> = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, StoreError>>()?;
    if !open.is_empty() {
        session.execute(MOVE, &[&gen_number, &open]).await?;
    }
    Ok(open.len() as u64)
}
