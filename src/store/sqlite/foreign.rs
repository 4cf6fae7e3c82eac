//! Whether a file is a store of ours: another program's database is left alone, whatever `store.url` says.
//!
//! Ours say so in SQLite's `application_id`; those made before it was set are known by their tables. Looking changes
//! nothing, not even the file's mode.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;

/// `gate` in ASCII, in the header of every store that this program made.
pub(super) const OURS: i64 = 0x6761_7465;

/// Tables that every version has had.
const TABLES: [&str; 7] = ["audit", "counters", "deliveries", "events", "ids", "quarantine", "sinks"];

/// Refuses the database at `path` where it is not ours; nothing there, or an empty file, is fine.
///
/// # Errors
/// [`StoreError::Foreign`] with what was found, [`StoreError::Corrupt`] where it is no database at all.
pub(super) fn refuse(path: &Path) -> Result<(), StoreError> {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0) || !path.exists() {
        return Ok(());
    }
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(std::time::Duration::from_secs(4))?;
    whose(&conn).and_then(|found| match found {
        None => Ok(()),
        Some(found) => Err(StoreError::Foreign(format!(
            "{} is a database of another program ({found}): name a file of its own for gatepost; nothing was changed",
            path.display()
        ))),
    })
}

/// What tells that the database is another's.
fn whose(conn: &Connection) -> Result<Option<String>, StoreError> {
    let pragma = |name: &str| Ok::<i64, StoreError>(conn.pragma_query_value(None, name, |row| row.get(0))?);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    if application == OURS {
        return Ok(None);
    }
    if application != 0 {
        return Ok(Some(format!("its application_id is {application}")));
    }
    let mut sql = conn.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
    )?;
    let tables = sql.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let fresh = tables.is_empty() && version == 0;
    let before_the_mark = version > 0 && TABLES.iter().all(|ours| tables.iter().any(|table| table == ours));
    if fresh || before_the_mark {
        return Ok(None);
    }
    let named: Vec<&str> = tables.iter().take(5).map(String::as_str).collect();
    Ok(Some(match named.as_slice() {
        [] => format!("it has no tables, and user_version {version}"),
        named => format!("it has the tables {}", named.join(", ")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(sql: &str) -> Option<String> {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(sql).unwrap();
        whose(&conn).unwrap()
    }

    #[test]
    fn ours_are_known_by_the_mark_or_by_their_tables() {
        assert_eq!(judged(""), None);
        assert_eq!(judged(&format!("PRAGMA application_id = {OURS}; CREATE TABLE x (a)")), None);
        let made = |tables: &[&str]| format!("CREATE TABLE {} (a);", tables.join(" (a); CREATE TABLE "));
        let (all, few) = (made(&TABLES), made(&TABLES[1..]));
        assert_eq!(judged(&format!("{all} PRAGMA user_version = 1")), None);
        assert!(judged(&format!("{few} PRAGMA user_version = 1")).is_some());
        assert!(judged(&all).is_some(), "never finished by us");
    }

    #[test]
    fn others_are_named() {
        assert!(judged("PRAGMA application_id = 252006674").unwrap().contains("252006674"));
        assert!(judged("CREATE TABLE moz_places (id)").unwrap().contains("moz_places"));
        assert!(judged("PRAGMA user_version = 7").unwrap().contains('7'));
    }
}
