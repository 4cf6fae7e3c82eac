//! The indexes of a generation's events by which listings find what they look for, in the order in which they list: source
//! and time, and with the type between. Rows are added at the end of each source and type, so that few pages change.
//!
//! A generation has them from its beginning. Those from before are given them beside the daemon's work, one at a time and
//! in a way for which nobody waits; until then a listing reads their tables.

use crate::store::error::StoreError;
use crate::store::postgres::session::Session;

/// Names and columns.
const INDEXES: [(&str, &str); 2] =
    [("by_source", "(source, received_at, seq)"), ("by_kind", "(source, kind, received_at, seq)")];
/// What earlier programs made instead.
const FORMER: &str = "listed";

/// Building reads all of a generation, and waits for the end of transactions that may still read it.
const PATIENT: &str = "SET statement_timeout = '30min'; SET lock_timeout = '1min'";

/// The partitions of the events, newest first.
const PARTITIONS: &str = "
SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass('gatepost_events') AND NOT i.inhdetachpending ORDER BY c.oid DESC";
const IS_VALID: &str = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)";

/// The SQL that makes them for the empty `table`.
pub(super) fn of_new(table: &str) -> String {
    let make = |(name, columns): &(&str, &str)| format!("CREATE INDEX {table}_{name} ON {table} {columns}; ");
    INDEXES.iter().map(make).collect()
}

/// Makes those that are missing, and takes away what they replace; the last of a turn, as it leaves the session with
/// settings of its own. Broken off, the next turn goes on.
pub(super) async fn complete(session: &Session) -> Result<(), StoreError> {
    for row in session.query(PARTITIONS, &[]).await? {
        let table: String = row.try_get(0)?;
        for (name, columns) in INDEXES {
            let index = format!("{table}_{name}");
            match is_valid(session, &index).await? {
                Some(true) => {}
                Some(false) => {
                    // Somebody was stopped while making it.
                    patiently(session, &format!("DROP INDEX CONCURRENTLY {index}")).await?;
                    make(session, &table, &index, columns).await?;
                }
                None => make(session, &table, &index, columns).await?,
            }
        }
        let former = format!("{table}_{FORMER}");
        if is_valid(session, &former).await?.is_some() {
            patiently(session, &format!("DROP INDEX CONCURRENTLY {former}")).await?;
        }
    }
    Ok(())
}

async fn make(session: &Session, table: &str, index: &str, columns: &str) -> Result<(), StoreError> {
    tracing::info!(index, "making an index of events that were stored before it");
    patiently(session, &format!("CREATE INDEX CONCURRENTLY {index} ON {table} {columns}")).await
}

async fn is_valid(session: &Session, index: &str) -> Result<Option<bool>, StoreError> {
    let rows = session.query(IS_VALID, &[&index]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Runs `command` for as long as it takes.
async fn patiently(session: &Session, command: &str) -> Result<(), StoreError> {
    session.batch(PATIENT).await?;
    session.batch(command).await
}
