//! A copy of all that a SQLite store holds at one moment, made beside whoever uses it.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sqlite::file;
use crate::store::sqlite::stats::{beside, size};

/// What a copy beside the database leaves free on its volume, in bytes: the daemon goes on writing meanwhile.
const SPARE: u64 = 64 << 20;

/// Writes all that the store holds at one moment into the new file `to`, which only its owner may read; on the disk when
/// it returns. Without what was deleted.
///
/// # Errors
/// [`StoreError::Unsupported`] where there is a file already; where it cannot be written, none is left.
pub(super) fn backup(conn: &Connection, to: &Path) -> Result<(), StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("{}: {error}", to.display()));
    let text = to.to_str().ok_or_else(|| failed(&"the path is not UTF-8"))?;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            StoreError::Unsupported(format!("{} is there already: name a file that is not", to.display()))
        } else {
            failed(&error)
        }
    })?;
    let written = conn.execute("VACUUM INTO ?1", [text]).map_err(StoreError::from).and_then(|_| {
        File::open(to)
            .and_then(|file| file.sync_all())
            .and_then(|()| file::sync(file::holding(to)))
            .map_err(|e| failed(&e))
    });
    if written.is_err() {
        // What is half a copy must not be taken for one.
        let _ = fs::remove_file(to);
    }
    written
}

/// The same as an open file without a name, which is gone once it is closed. `database` is where the store is; at one time
/// there is one such copy of it.
///
/// # Errors
/// [`StoreError::Unavailable`] where the volume of the database has no room for it.
pub(super) fn copy(conn: &Connection, database: &Path) -> Result<File, StoreError> {
    let size = size(database);
    let needed = size.bytes + SPARE;
    if let Some(free) = size.free_bytes.filter(|free| *free < needed) {
        let place = database.display();
        return Err(StoreError::Unavailable(format!(
            "a copy needs {needed} bytes free beside {place}: there are {free}"
        )));
    }
    let to = beside(database, "-copy");
    // Of a process that was killed at it.
    let _ = fs::remove_file(&to);
    backup(conn, &to)?;
    let copy = File::open(&to).map_err(|error| StoreError::Unavailable(format!("{}: {error}", to.display())));
    let _ = fs::remove_file(&to);
    copy
}
