//! A few read connections, used on the blocking threads of the runtime so that no listing holds up a request.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::open_files::OpenFiles;

/// Idle connections kept.
const KEPT: usize = 2;

/// Opens, lends and keeps read connections.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    files: Arc<OpenFiles>,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
}

impl Readers {
    /// Reads the database `files`; connects when first used.
    pub(super) fn new(files: Arc<OpenFiles>) -> Self {
        Self(Arc::new(Pool { files, idle: Mutex::new(Some(Vec::new())) }))
    }

    /// Runs `read` on one snapshot of the store, off the runtime's threads.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let work = tokio::task::spawn_blocking(move || pool.read(read));
        work.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read broke off: {error}"))))
    }

    /// Runs `work` on a connection of its own, off the runtime's threads.
    pub(super) async fn apart<T, F>(&self, role: Role, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let pool = Arc::clone(&self.0);
        let work = tokio::task::spawn_blocking(move || work(&pool.files.connect(role)?));
        work.await.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("it broke off: {error}"))))
    }

    /// Where the database is.
    pub(super) fn path(&self) -> PathBuf {
        self.0.files.path().to_owned()
    }

    /// Closes what is idle; later reads fail.
    pub(super) fn close(&self) {
        drop(self.0.idle.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Pool {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = match self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(idle) => idle.pop(),
            None => return Err(StoreError::Unavailable("the store is closed".into())),
        };
        let conn = match idle {
            // What was removed or replaced is not what anybody asks for.
            Some(conn) => self.files.check().map(|()| conn),
            None => self.files.connect(Role::Reader),
        }?;
        conn.execute_batch("BEGIN")?;
        let value = read(&conn)?;
        conn.execute_batch("COMMIT")?;
        // After an error the connection is not kept.
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && idle.len() < KEPT
        {
            idle.push(conn);
        }
        Ok(value)
    }
}
