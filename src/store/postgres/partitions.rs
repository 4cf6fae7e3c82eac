//! The partitions of ids and events, one of each for a generation: made ahead, attached, detached and dropped in ways for
//! which neither readers nor inserts wait.
//!
//! `CREATE TABLE … PARTITION OF` and the `DROP` of a partition lock the whole table, and wait for any reader of it: a
//! dump, a forgotten transaction. Behind them wait all inserts. `ATTACH` and `DETACH … CONCURRENTLY` do not.

use tokio_postgres::error::SqlState;

use crate::store::error::StoreError;
use crate::store::postgres::indexes;
use crate::store::postgres::session::Session;

/// The tables that are partitioned, in the order in which theirs go: no id is found whose event is not.
const TABLES: [&str; 2] = ["gatepost_ids", "gatepost_events"];

/// How long a turn waits for a lock, as a setting of its session: others wait behind it for as long.
pub(super) const WAIT: &str = "SET lock_timeout = '200ms'";
/// Holds up nobody: what is waited for is the end of those who may still read the old partition.
const WAIT_FOR_READERS: &str = "SET lock_timeout = '2s'";

/// What has become of a generation that was to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Discarded {
    /// Its tables are gone.
    Done,
    /// Somebody still reads them: again the next time.
    Later,
}

/// Makes and attaches the partitions of generation `number` where they are not.
pub(super) async fn prepare(session: &Session, number: i32) -> Result<(), StoreError> {
    if attached(session, TABLES[1], number).await?.is_some() {
        return Ok(());
    }
    let [ids, events] = TABLES;
    session
        .batch(&format!(
            "BEGIN;
             CREATE TABLE {ids}_{number} (LIKE {ids} INCLUDING ALL);
             CREATE TABLE {events}_{number} (LIKE {events} INCLUDING ALL) WITH (toast_tuple_target = 8160);
             {}
             ALTER TABLE {ids} ATTACH PARTITION {ids}_{number} FOR VALUES IN ({number});
             ALTER TABLE {events} ATTACH PARTITION {events}_{number} FOR VALUES IN ({number});
             COMMIT",
            indexes::of_new(&format!("{events}_{number}"))
        ))
        .await
}

/// Detaches and drops the partitions of generation `number`, as far as that can be done now.
pub(super) async fn discard(session: &Session, number: i32) -> Result<Discarded, StoreError> {
    session.batch(WAIT_FOR_READERS).await?;
    let mut outcome = Discarded::Done;
    for table in TABLES {
        // Its beginning takes effect at once, also where its end has to wait; so the second is begun in any case.
        let how = match attached(session, table, number).await? {
            None => continue,
            Some(false) => "CONCURRENTLY",
            Some(true) => "FINALIZE",
        };
        if attempt(session, &format!("ALTER TABLE {table} DETACH PARTITION {table}_{number} {how}")).await?
            == Discarded::Later
        {
            outcome = Discarded::Later;
        }
    }
    session.batch(WAIT).await?;
    if outcome == Discarded::Done {
        let [ids, events] = TABLES;
        outcome = attempt(session, &format!("DROP TABLE IF EXISTS {ids}_{number}, {events}_{number}")).await?;
    }
    Ok(outcome)
}

/// Whether generation `number` is a partition of `table`, and if so, whether it is about to be none.
async fn attached(session: &Session, table: &str, number: i32) -> Result<Option<bool>, StoreError> {
    let sql =
        "SELECT inhdetachpending FROM pg_inherits WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2)";
    let rows = session.query(sql, &[&table, &format!("{table}_{number}")]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Runs a command that may find a lock taken.
async fn attempt(session: &Session, sql: &str) -> Result<Discarded, StoreError> {
    match session.client().batch_execute(sql).await {
        Ok(()) => Ok(Discarded::Done),
        Err(error) if error.code().is_some_and(later) => Ok(Discarded::Later),
        Err(error) => Err(error.into()),
    }
}

/// A lock or the statement's time ran out, or a deadlock was broken here.
fn later(code: &SqlState) -> bool {
    [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED, SqlState::T_R_DEADLOCK_DETECTED].contains(code)
}
