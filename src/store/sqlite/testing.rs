//! What the unit tests of this store begin with: an empty store in memory, and how SQLite goes about a statement.

use rusqlite::{Connection, Params};

use super::{file, schema};

/// An empty store in memory, whose statements are planned as the daemon's are.
pub(super) fn empty() -> Connection {
    let mut conn = Connection::open_in_memory().unwrap();
    file::plan_by_text(&conn).unwrap();
    schema::migrate(&mut conn).unwrap();
    conn
}

/// The lines of the plan of `sql`.
pub(super) fn plan(conn: &Connection, sql: &str, values: impl Params) -> Vec<String> {
    let mut explained = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = explained.query_map(values, |row| row.get(3)).unwrap();
    lines.collect::<Result<_, _>>().unwrap()
}
