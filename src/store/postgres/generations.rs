//! Retention without bloat: events and ids lie in generations, partitions that each take a quarter of the retention
//! and are dropped whole once their youngest event is old. Nothing is forgotten early; at most a quarter late.
//!
//! What still has an open delivery moves to generation 0, event and id together, before its own is dropped, and leaves
//! that one by one when its deliveries are over. A generation is opened under an exclusive lock for which every
//! inserting transaction holds the shared one, so that an id is never added to two of them. Under the same lock one is
//! marked as leaving: from then on nothing of it is queued again, so it can be cleared little by little, each time from
//! where the last one stopped, with no step that has to be quick enough for all of it. Times are the server's.

use std::time::{Duration, Instant};

use crate::event::{EventId, EventKey, Name};
use crate::store::error::StoreError;
use crate::store::postgres::indexes;
use crate::store::postgres::partitions::{self, Discarded};
use crate::store::postgres::schema::{GENERATIONS, TURNING};
use crate::store::postgres::session::{Pool, Session, within};
use crate::store::sql::sql;
use crate::store::stored::{event_id, unsigned};

/// Numbers of events looked at in one transaction.
const STEP: i64 = 2000;
/// Bytes of bodies moved in one transaction: no more events once they have so many.
const STEP_BYTES: i64 = 8 * 1024 * 1024;
/// How long one turn clears; the next goes on.
const TURN: Duration = Duration::from_secs(20);
/// `cleared_to` of a generation in which nothing is left to do.
const CLEARED: i64 = i64::MAX;

/// The server's time in microseconds since 1970.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

const DUE: &str =
    concat!("SELECT gen FROM gatepost_generations WHERE closed_at IS NULL AND opened_at <= ", now!(), " - $1");

/// Generations whose youngest event is old: how far they are cleared, and whether that is long ago.
const OLD: &str = concat!(
    "SELECT gen, leaving, coalesce(cleared_to, -1), closed_at < ",
    now!(),
    " - $1 - 3600000000 FROM gatepost_generations WHERE closed_at < ",
    now!(),
    " - $1 ORDER BY gen"
);

/// Events of generation `$1` among some with an open delivery, as many as fit.
const OPEN: &str = sql!(
    "
SELECT seq, source, id FROM (
    SELECT e.seq, e.source, e.id, sum(octet_length(e.body)) OVER (ORDER BY e.seq) - octet_length(e.body) AS before
    FROM gatepost_events e WHERE e.gen = $1 AND e.seq BETWEEN $2 AND $3 AND EXISTS (
        SELECT 1 FROM gatepost_deliveries d WHERE d.seq = e.seq AND d.state IN ({PENDING}, {DEAD}))
) AS open WHERE before < $4 ORDER BY seq"
);

/// Their deliveries, locked in the order in which settlements lock them; whoever settles one meanwhile comes first.
const HOLD: &str = "SELECT id FROM gatepost_deliveries WHERE gen = $1 AND seq = ANY ($2) ORDER BY id FOR UPDATE";

/// Moves events to generation 0; their deliveries follow.
const MOVE: &str = "
WITH ids AS (
    DELETE FROM gatepost_ids WHERE gen = $1 AND key = ANY ($3) RETURNING key, seq
), new_ids AS (
    INSERT INTO gatepost_ids (key, gen, seq) SELECT key, 0, seq FROM ids ON CONFLICT DO NOTHING
), events AS (
    DELETE FROM gatepost_events WHERE gen = $1 AND seq = ANY ($2) RETURNING *
), new_events AS (
    INSERT INTO gatepost_events
    SELECT seq, 0, source, id, kind, received_at, content_type, key, request_id, client_ip, traceparent, body,
        headers, erased
    FROM events
), deliveries AS (
    UPDATE gatepost_deliveries SET gen = 0 WHERE gen = $1 AND seq = ANY ($2)
)
SELECT count(*) FROM events";

const COUNT: &str = "SELECT count(*) FROM gatepost_events WHERE gen = $1 AND seq BETWEEN $2 AND $3";
const FORGET: &str =
    sql!("DELETE FROM gatepost_deliveries WHERE seq BETWEEN $2 AND $3 AND gen = $1 AND state = {DELIVERED}");

/// The next events of generation 0, and whether they have an open delivery.
const KEPT: &str = sql!(
    "
SELECT e.seq, e.source, e.id,
    EXISTS (SELECT 1 FROM gatepost_deliveries d WHERE d.seq = e.seq AND d.state IN ({PENDING}, {DEAD}))
FROM gatepost_events e WHERE e.gen = 0 AND e.seq > $1 ORDER BY e.seq LIMIT $2"
);

/// Whoever queues one of these again holds its id (see `archive.rs`), and is not waited for.
const LOCK: &str = "SELECT key FROM gatepost_ids WHERE gen = 0 AND key = ANY ($1) ORDER BY key FOR UPDATE SKIP LOCKED";

/// Forgets those of generation 0 whose ids are locked, but for what was queued again before they were.
const SWEEP: &str = sql!(
    "
WITH over AS (
    SELECT i.key, i.seq FROM gatepost_ids i WHERE i.gen = 0 AND i.key = ANY ($1) AND NOT EXISTS (
        SELECT 1 FROM gatepost_deliveries d WHERE d.seq = i.seq AND d.state IN ({PENDING}, {DEAD}))
), deliveries AS (
    DELETE FROM gatepost_deliveries WHERE seq = ANY (ARRAY(SELECT seq FROM over))
), ids AS (
    DELETE FROM gatepost_ids WHERE gen = 0 AND key = ANY (ARRAY(SELECT key FROM over))
)
DELETE FROM gatepost_events WHERE gen = 0 AND seq = ANY (ARRAY(SELECT seq FROM over))"
);

/// Opens and drops generations as the server's time asks for, `retention` in microseconds; returns how many events were
/// forgotten. One replica at a time: to the others there is nothing to do. Nobody who inserts waits for it for longer
/// than [`partitions::WAIT`].
pub(super) async fn turn(pool: &Pool, retention: i64) -> Result<u64, StoreError> {
    // Not lent again: whatever happens, the lock ends with its session.
    let lent = within(pool.lend()).await?;
    let session = &lent.session;
    within(session.batch(partitions::WAIT)).await?;
    let alone = within(session.query("SELECT pg_try_advisory_lock($1)", &[&TURNING])).await?;
    if !alone.first().is_some_and(|row| row.get(0)) {
        return Ok(0);
    }
    let until = Instant::now() + TURN;
    // What one cannot do now must not keep the others from being done.
    let opened = within(open_next(session, retention / 4)).await;
    within(session.batch("ROLLBACK")).await?;
    let retired = retire(session, retention, until).await;
    within(session.batch("ROLLBACK")).await?;
    let swept = sweep(session, until).await;
    within(session.batch("ROLLBACK")).await?;
    let completed = indexes::complete(session).await;
    opened?;
    completed?;
    let gone = retired? + swept?;
    // The end of the session would do it, but the server may take longer over that than until the next turn.
    within(session.query("SELECT pg_advisory_unlock($1)", &[&TURNING])).await?;
    Ok(gone)
}

/// Makes the next generation ahead of its time; when the open one has had its own, closes that and opens the next.
async fn open_next(session: &Session, span: i64) -> Result<(), StoreError> {
    let first = concat!("UPDATE gatepost_generations SET opened_at = ", now!(), " WHERE opened_at IS NULL");
    session.execute(first, &[]).await?;
    let open = session.query("SELECT gen FROM gatepost_generations WHERE closed_at IS NULL", &[]).await?;
    let Some(open) = open.first() else { return Err(StoreError::Corrupt("no generation is open".into())) };
    let next = open.try_get::<_, i32>(0)? + 1;
    partitions::prepare(session, next).await?;
    if session.query(DUE, &[&span]).await?.is_empty() {
        return Ok(());
    }
    session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({GENERATIONS})")).await?;
    let close = concat!("UPDATE gatepost_generations SET closed_at = ", now!(), " WHERE closed_at IS NULL");
    session.execute(close, &[]).await?;
    let open = concat!("INSERT INTO gatepost_generations (gen, opened_at) VALUES ($1, ", now!(), ")");
    session.execute(open, &[&next]).await?;
    session.batch("COMMIT").await
}

/// Clears and drops what is old.
async fn retire(session: &Session, retention: i64, until: Instant) -> Result<u64, StoreError> {
    let mut gone = 0;
    for row in within(session.query(OLD, &[&retention])).await? {
        let (number, leaving): (i32, bool) = (row.try_get(0)?, row.try_get(1)?);
        let mut cleared: i64 = row.try_get(2)?;
        if !leaving {
            within(leave(session, number)).await?;
        }
        while cleared < CLEARED && Instant::now() < until {
            let (to, events) = within(clear(session, number, cleared)).await?;
            cleared = to;
            gone += events;
        }
        if cleared < CLEARED {
            break;
        }
        if partitions::discard(session, number).await? == Discarded::Later {
            if row.try_get(3)? {
                tracing::warn!(
                    generation = number,
                    "old events still take room: a transaction that reads them does not end; look for it in pg_stat_activity"
                );
            }
            break;
        }
        within(session.execute("DELETE FROM gatepost_generations WHERE gen = $1", &[&number])).await?;
    }
    Ok(gone)
}

/// From now on nothing of generation `number` is queued again; whoever did so has finished.
async fn leave(session: &Session, number: i32) -> Result<(), StoreError> {
    session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({GENERATIONS})")).await?;
    session.execute("UPDATE gatepost_generations SET leaving = true WHERE gen = $1", &[&number]).await?;
    session.batch("COMMIT").await
}

/// The next step after `cleared` in generation `number`: what is open moves, the other deliveries go. Returns up to
/// where it is cleared now, and how many events that has cost.
async fn clear(session: &Session, number: i32, cleared: i64) -> Result<(i64, u64), StoreError> {
    let bounds = "SELECT min(seq), max(seq) FROM gatepost_events WHERE gen = $1 AND seq > $2";
    let rows = session.query(bounds, &[&number, &cleared]).await?;
    let bound = |column| rows.first().map_or(Ok(None), |row| row.try_get::<_, Option<i64>>(column));
    let (to, mut events) = match (bound(0)?, bound(1)?) {
        (Some(first), Some(last)) => {
            let to = first + STEP - 1;
            while move_open(session, number, first, to).await? {}
            let held = session.query(COUNT, &[&number, &first, &to]).await?;
            session.execute(FORGET, &[&number, &first, &to]).await?;
            let held: i64 = held.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
            (if to < last { to } else { CLEARED }, unsigned(held))
        }
        _ => (CLEARED, 0),
    };
    let mark = "UPDATE gatepost_generations SET cleared_to = $2 WHERE gen = $1";
    if session.execute(mark, &[&number, &to]).await? == 0 {
        events = 0;
    }
    Ok((to, events))
}

/// Moves some of what is open between two numbers; whether there may be more.
async fn move_open(session: &Session, number: i32, first: i64, last: i64) -> Result<bool, StoreError> {
    let rows = session.query(OPEN, &[&number, &first, &last, &STEP_BYTES]).await?;
    if rows.is_empty() {
        return Ok(false);
    }
    let (mut seqs, mut keys) = (Vec::new(), Vec::new());
    for row in &rows {
        seqs.push(row.try_get::<_, i64>(0)?);
        keys.push(key(row.try_get(1)?, &event_id(row.try_get(2)?)?));
    }
    session.batch("BEGIN").await?;
    session.query(HOLD, &[&number, &seqs]).await?;
    let moved = session.query(MOVE, &[&number, &seqs, &keys]).await?;
    session.batch("COMMIT").await?;
    let moved: i64 = moved.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0);
    Ok(moved > 0)
}

/// Forgets what lies in generation 0 and has no open delivery any more.
async fn sweep(session: &Session, until: Instant) -> Result<u64, StoreError> {
    let (mut after, mut gone) = (-1_i64, 0);
    loop {
        let (last, swept) = within(sweep_some(session, after)).await?;
        gone += swept;
        match last {
            Some(last) if Instant::now() < until => after = last,
            _ => return Ok(gone),
        }
    }
}

/// Looks at the next events after `after`; returns the last, where there may be more, and how many went.
async fn sweep_some(session: &Session, after: i64) -> Result<(Option<i64>, u64), StoreError> {
    let rows = session.query(KEPT, &[&after, &STEP]).await?;
    let last = rows.last().filter(|_| i64::try_from(rows.len()) == Ok(STEP)).map(|row| row.try_get(0)).transpose()?;
    let mut keys = Vec::new();
    for row in &rows {
        if !row.try_get::<_, bool>(3)? {
            keys.push(key(row.try_get(1)?, &event_id(row.try_get(2)?)?));
        }
    }
    if keys.is_empty() {
        return Ok((last, 0));
    }
    session.batch("BEGIN").await?;
    let locked = session.query(LOCK, &[&keys]).await?;
    let locked = locked.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Vec<u8>>, _>>()?;
    let gone = session.execute(SWEEP, &[&locked]).await?;
    session.batch("COMMIT").await?;
    Ok((last, gone))
}

fn key(source: &str, id: &EventId) -> Vec<u8> {
    EventKey::of(&Name::from(source), id).0.to_vec()
}
