//! The database file: where it is, who may read it, and how connections to it are set up. Knows no tables.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::error::StoreError;

/// How long a connection waits for another process's transaction: well below what a request may wait.
const BUSY: Duration = Duration::from_secs(4);
/// What the log's file keeps when the log begins anew. It is rarely longer than a fifth of this; after a time in which
/// it could not be copied (a long read, a backup) it would otherwise keep its largest size for good.
const LOG_BYTES: i64 = 64 * 1024 * 1024;
/// Measured: at 8 KiB three events of 2 KiB share a page, at 4 KiB one has a page to itself.
const PAGE_BYTES: i64 = 8192;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The one that writes.
    Writer,
    /// Reads only.
    Reader,
    /// Copies the log into the database.
    Checkpointer,
    /// Only stays open.
    Anchor,
}

/// The path that `url` (`sqlite:PATH`) names.
pub(super) fn path(url: &str) -> Result<PathBuf, StoreError> {
    match url.strip_prefix("sqlite:") {
        Some(path) if path.starts_with("//") => Err(StoreError::Url("write sqlite:PATH, without //".into())),
        Some("" | ":memory:") | None => Err(StoreError::Url("expected sqlite:PATH, the path of a file".into())),
        Some(path) => Ok(path.into()),
    }
}

/// Makes the file and its directories when missing; nobody but the owner may read what is made, or the file. Returns
/// whether it was missing. What is made is there after a power cut: `sync` is called for each directory that changed.
pub(super) fn create(path: &Path, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> Result<bool, StoreError> {
    let failed = |what: &Path, error: io::Error| StoreError::Unavailable(format!("{}: {error}", what.display()));
    let directory = holding(path);
    let missing: Vec<&Path> =
        directory.ancestors().filter(|up| !up.as_os_str().is_empty()).take_while(|up| !up.exists()).collect();
    for made in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(made) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && made.is_dir() => {}
            outcome => outcome.map_err(|error| failed(made, error))?,
        }
        sync(holding(made)).map_err(|error| failed(holding(made), error))?;
    }
    // SQLite gives -wal and -shm the mode of the database. An existing file is not opened: closing it again would end
    // the locks that this process may have on it.
    let made = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => return Err(failed(path, error)),
    };
    if made {
        sync(directory).map_err(|error| failed(directory, error))?;
    }
    let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|error| failed(path, error))?;
    }
    Ok(made)
}

/// The directory that `path` stands in.
pub(super) fn holding(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Has the disk know what a directory holds.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    match fs::File::open(directory)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

/// Opens a connection to the existing file. A file that has vanished is an error, never a new empty store.
pub(super) fn connect(path: &Path, role: Role) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    plan_by_text(&conn)?;
    let cache_kib: i64 = match role {
        Role::Writer => 8192,
        Role::Reader => 2048,
        Role::Checkpointer | Role::Anchor => 64,
    };
    // Takes effect only while the database is empty and not in WAL mode yet.
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Checkpoints run beside the commits, see checkpoint.rs.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    conn.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))?;
    if role == Role::Reader {
        conn.pragma_update(None, "query_only", true)?;
    }
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Has each statement planned once, by its text: otherwise one that has a bound LIMIT is parsed and planned anew whenever it is
/// bound, which takes longer than running it.
pub(super) fn plan_by_text(conn: &Connection) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directory_that_changed_is_synced() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a/b/gatepost.db");
        let mut synced = Vec::new();
        let mut note = |directory: &Path| {
            synced.push(directory.strip_prefix(root.path()).unwrap().to_owned());
            sync(directory)
        };
        assert!(create(&file, &mut note).unwrap());
        assert!(!create(&file, &mut note).unwrap());
        assert_eq!(synced, [Path::new(""), Path::new("a"), Path::new("a/b")]);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&root.path().join("a")), mode(&file)), (0o700, 0o600));
        let mut full = |_: &Path| Err(io::Error::other("no"));
        assert!(create(&root.path().join("c/gatepost.db"), &mut full).is_err(), "nothing is promised that may go");
    }

    #[test]
    fn statements_are_not_planned_again_for_other_values() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("gatepost.db");
        create(&path, &mut |_| Ok(())).unwrap();
        let conn = connect(&path, Role::Writer).unwrap();
        let mut sql = conn.prepare("SELECT name FROM sqlite_schema WHERE name > ?1 ORDER BY name LIMIT ?2").unwrap();
        for limit in 1..4 {
            assert!(!sql.exists(rusqlite::params!["", limit]).unwrap());
        }
        assert_eq!(sql.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn a_url_names_a_file() {
        assert_eq!(path("sqlite:data/x.db").unwrap(), Path::new("data/x.db"));
        assert_eq!(path("sqlite:/var/lib/x.db").unwrap(), Path::new("/var/lib/x.db"));
        for wrong in ["sqlite:", "sqlite::memory:", "sqlite://x.db", "x.db"] {
            assert!(matches!(path(wrong), Err(StoreError::Url(_))), "{wrong}");
        }
    }
}
