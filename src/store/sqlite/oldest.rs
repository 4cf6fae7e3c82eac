//! How long a sink has kept something waiting.

use rusqlite::Connection;

use crate::event::Name;
use crate::store::error::StoreError;
use crate::store::sql::sql;

const OLDEST: &str = sql!(
    "SELECT min(at) FROM (
         SELECT min(queued_at) AS at FROM deliveries
             WHERE {WAITING} AND sink = (SELECT id FROM sinks WHERE name = ?1)
         UNION ALL SELECT min(queued_at) FROM deliveries
             WHERE {CLAIMED} AND sink = (SELECT id FROM sinks WHERE name = ?1)
     )"
);

/// When the oldest open delivery to `sink` was queued; `None` where none is open. What is claimed is little, and looked
/// through.
pub(super) fn oldest(conn: &Connection, sink: &Name) -> Result<Option<i64>, StoreError> {
    // A time that cannot be read says nothing.
    Ok(conn.prepare_cached(OLDEST)?.query_row([sink.as_str()], |row| Ok(row.get(0).ok().flatten()))?)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::sqlite::testing::empty;

    /// Asked every two seconds, of ten million perhaps.
    #[test]
    fn what_waits_is_not_looked_through() {
        let conn = empty();
        let sink = Name::from("x");
        assert_eq!(oldest(&conn, &sink).unwrap(), None);
        conn.execute_batch(
            "INSERT INTO sinks (id, name) VALUES (1, 'x'), (2, 'y');
             INSERT INTO deliveries (id, sink, state, attempts, due_at, queued_at, lease, claimed_at)
             VALUES (1, 1, 0, 0, 50, 30, 0, NULL), (2, 1, 0, 0, 40, 40, 0, NULL), (3, 1, 0, 0, 90, 20, 1, 60),
                 (4, 2, 0, 0, 10, 10, 0, NULL), (5, 1, 1, 0, 10, 10, 0, NULL)",
        )
        .unwrap();
        assert_eq!(oldest(&conn, &sink).unwrap(), Some(20), "claimed");
        conn.execute_batch("UPDATE deliveries SET state = 1, claimed_at = NULL WHERE id = 3").unwrap();
        assert_eq!(oldest(&conn, &sink).unwrap(), Some(30));
        conn.execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO deliveries (id, sink, state, attempts, due_at, queued_at, lease)
             SELECT i, 1, 0, 0, i + 100, i + 100, 0 FROM n",
        )
        .unwrap();
        let mut sql = conn.prepare(OLDEST).unwrap();
        assert_eq!(sql.query_row(["x"], |row| row.get(0)), Ok(Some(30)));
        assert!(sql.get_status(StatementStatus::VmStep) < 200, "of 5,000 that wait one is looked at");
    }
}
