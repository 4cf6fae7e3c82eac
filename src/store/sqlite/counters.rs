//! Numbers that the store keeps by name: read and set, nothing else.

use rusqlite::{Connection, params};

use crate::store::error::StoreError;

/// The counter called `name`.
pub(super) fn get(conn: &Connection, name: &str) -> Result<i64, StoreError> {
    let mut sql = conn.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    Ok(sql.query_row([name], |row| row.get(0))?)
}

/// Sets it.
pub(super) fn set(conn: &Connection, name: &str, value: i64) -> Result<(), StoreError> {
    conn.prepare_cached("UPDATE counters SET value = ?2 WHERE name = ?1")?.execute(params![name, value])?;
    Ok(())
}
