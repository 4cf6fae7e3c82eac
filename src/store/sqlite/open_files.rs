//! Whether the path still names the files that are open. SQLite does not mind when they are removed or replaced: it goes
//! on writing to what nobody will ever read, and every 200 from then on would be a lie.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sqlite::file::{self, Role};
use crate::store::sqlite::schema;

/// The database file, its log and its index as they were when the store was opened.
///
/// A connection of its own is held as long as the store is open: while there is one, SQLite neither deletes the log and
/// the index nor makes new ones, so all three are known for good.
pub(super) struct OpenFiles {
    /// As configured; may be a symbolic link.
    path: PathBuf,
    database: Identity,
    /// The log and its index, which lie beside the file itself.
    companions: [(PathBuf, Identity); 2],
    /// The most bytes the database file was seen to have.
    largest: AtomicU64,
    /// Changes when the file is rewritten on purpose (`VACUUM`), which is the one way in which it may become shorter.
    schema: AtomicI64,
    cut_short: AtomicBool,
    anchor: Mutex<Option<Connection>>,
}

/// Which file, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What is the matter with the files.
enum Defect {
    /// Another or no database file.
    Database(Option<io::Error>),
    /// Another or no log, or index of it.
    Companion(PathBuf, Option<io::Error>),
    CutShort,
}

impl OpenFiles {
    /// Opens the existing database at `path`, migrating it, and remembers which files belong to it.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let failed = |what: &Path, error: &io::Error| StoreError::Unavailable(format!("{}: {error}", what.display()));
        let look = |path: &Path| fs::metadata(path).map_err(|error| failed(path, &error));
        let before = Identity::of(&look(&path)?);
        let mut anchor = file::connect(&path, Role::Anchor)?;
        schema::migrate(&mut anchor)?;
        let schema = version(&anchor)?;
        let file = fs::canonicalize(&path).map_err(|error| failed(&path, &error))?;
        let companion = |suffix: &str| {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            let path = PathBuf::from(name);
            let identity = Identity::of(&look(&path)?);
            Ok::<_, StoreError>((path, identity))
        };
        let files = Self {
            companions: [companion("-wal")?, companion("-shm")?],
            path,
            database: before,
            largest: AtomicU64::new(0),
            schema: AtomicI64::new(schema),
            cut_short: AtomicBool::new(false),
            anchor: Mutex::new(Some(anchor)),
        };
        // What was opened lies between two looks at one and the same file.
        files.check()?;
        Ok(files)
    }

    /// Where the database is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Another connection to these very files, never to others of the same names.
    pub(super) fn connect(&self, role: Role) -> Result<Connection, StoreError> {
        self.check()?;
        let conn = file::connect(&self.path, role)?;
        self.check()?;
        Ok(conn)
    }

    /// Whether the path still names what is open; costs three system calls.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with what is wrong and what to do about it.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.look().map(drop).map_err(|fault| self.words(&fault))
    }

    /// [`OpenFiles::check`] after a commit of `conn` and before anybody is told of it: whether the file became shorter, too.
    /// Where the log was taken away, all that it holds is copied into the database while it can still be read.
    pub(super) fn check_commit(&self, conn: &Connection) -> Result<(), StoreError> {
        let fault = match self.look() {
            Ok(length) if length >= self.largest.fetch_max(length, Ordering::Relaxed) => return Ok(()),
            Ok(length) => match version(conn) {
                Ok(now) if self.schema.swap(now, Ordering::Relaxed) != now => {
                    self.largest.store(length, Ordering::Relaxed);
                    return Ok(());
                }
                _ => {
                    self.cut_short.store(true, Ordering::Relaxed);
                    Defect::CutShort
                }
            },
            Err(fault) => fault,
        };
        if matches!(fault, Defect::Companion(_, Some(_))) {
            // Nobody else has made a new one yet, so nobody else writes.
            let _ = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        }
        Err(self.words(&fault))
    }

    /// Lets go of the files: the last thing when the store is closed.
    pub(super) fn release(&self) {
        drop(self.anchor.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The length of the database file, where all is well.
    fn look(&self) -> Result<u64, Defect> {
        let database = fs::metadata(&self.path).map_err(|error| Defect::Database(Some(error)))?;
        if Identity::of(&database) != self.database {
            return Err(Defect::Database(None));
        }
        for (path, identity) in &self.companions {
            let found = fs::metadata(path).map_err(|error| Defect::Companion(path.clone(), Some(error)))?;
            if Identity::of(&found) != *identity {
                return Err(Defect::Companion(path.clone(), None));
            }
        }
        if self.cut_short.load(Ordering::Relaxed) {
            return Err(Defect::CutShort);
        }
        Ok(database.len())
    }

    fn words(&self, fault: &Defect) -> StoreError {
        let path = self.path.display();
        let why = |error: &Option<io::Error>| match error {
            Some(error) => format!("is gone ({error})"),
            None => "was replaced by another file".to_owned(),
        };
        StoreError::Unavailable(match fault {
            Defect::Database(error) => format!(
                "{path} {} while gatepost has it open, and what is written to it would be lost: put the same file back \
                 under its name, or restart gatepost to go on with what is there then",
                why(error)
            ),
            Defect::Companion(of, error) => format!(
                "{} {} while gatepost has it open, and what is written to it would be lost: stop gatepost with SIGTERM, \
                 which saves what it holds, and start it again",
                of.display(),
                why(error)
            ),
            Defect::CutShort => format!(
                "{path} became shorter while gatepost has it open, so events in it are lost: stop gatepost, put a good \
                 copy in its place, and start it again"
            ),
        })
    }
}

/// SQLite's own number of the schema.
fn version(conn: &Connection) -> Result<i64, StoreError> {
    Ok(conn.pragma_query_value(None, "schema_version", |row| row.get(0))?)
}
