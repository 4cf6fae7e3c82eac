//! The database file: where it is, who may read it, and how connections to it are set up. Knows no tables.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::store::StoreError;

/// How long a connection waits for another process's transaction: well below what a request may wait.
const BUSY: Duration = Duration::from_secs(4);
/// Measured: at 8 KiB three events of 2 KiB share a page, at 4 KiB one has a page to itself.
const PAGE_BYTES: i64 = 8192;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that writes.
    Writer,
    /// Reads only.
    Reader,
    /// Copies the log into the database.
    Checkpointer,
}

/// The path that `url` (`sqlite:PATH`) names.
pub fn path(url: &str) -> Result<PathBuf, StoreError> {
    match url.strip_prefix("sqlite:") {
        Some(path) if path.starts_with("//") => Err(StoreError::Url("write sqlite:PATH, without //".into())),
        Some("" | ":memory:") | None => Err(StoreError::Url("expected sqlite:PATH, the path of a file".into())),
        Some(path) => Ok(path.into()),
    }
}

/// Makes the file and its directory when missing; nobody but the owner may read either.
pub fn create(path: &Path) -> Result<(), StoreError> {
    let failed = |what: &Path, error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", what.display()));
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| failed(parent, error))?;
    }
    // SQLite gives -wal and -shm the mode of the database.
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let metadata = options.and_then(|file| file.metadata()).map_err(|error| failed(path, error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|error| failed(path, error))?;
    }
    Ok(())
}

/// Opens a connection to the existing file. A file that has vanished is an error, never a new empty store.
pub fn connect(path: &Path, role: Role) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    let cache_kib: i64 = match role {
        Role::Writer => 8192,
        Role::Reader => 2048,
        Role::Checkpointer => 64,
    };
    // Takes effect only while the database is empty and not in WAL mode yet.
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -cache_kib)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Checkpoints run beside the commits, see checkpoint.rs.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    if role == Role::Reader {
        conn.pragma_update(None, "query_only", true)?;
    }
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_file() {
        assert_eq!(path("sqlite:data/x.db").unwrap(), Path::new("data/x.db"));
        assert_eq!(path("sqlite:/var/lib/x.db").unwrap(), Path::new("/var/lib/x.db"));
        for wrong in ["sqlite:", "sqlite::memory:", "sqlite://x.db", "x.db"] {
            assert!(matches!(path(wrong), Err(StoreError::Url(_))), "{wrong}");
        }
    }
}
