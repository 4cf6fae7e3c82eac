//! What pauses mean for deliveries: whether any may be claimed, and which time counts towards no age.

use rusqlite::Connection;

use crate::event::Name;
use crate::store::error::StoreError;

/// Whether nothing of `sink` is to be claimed.
pub(super) fn is_paused(conn: &Connection, sink: &Name) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM pauses WHERE sink = ?1 AND ended IS NULL";
    Ok(conn.prepare_cached(sql)?.exists([sink.as_str()])?)
}

/// The pauses of `sink` that count, each from and to.
pub(super) fn of(conn: &Connection, sink: &Name) -> Result<Vec<(i64, Option<i64>)>, StoreError> {
    let mut sql = conn.prepare_cached("SELECT began, ended FROM pauses WHERE sink = ?1")?;
    let rows = sql.query_map([sink.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
