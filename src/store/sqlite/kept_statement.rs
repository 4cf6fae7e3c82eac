//! A statement that a transaction runs many times, looked up once.

use rusqlite::{CachedStatement, Connection};

use crate::store::error::StoreError;

/// A statement that a transaction runs for each of its events: looking it up every time takes as long as a row.
#[derive(Default)]
pub(super) struct Kept<'c>(Option<CachedStatement<'c>>);

impl<'c> Kept<'c> {
    /// The statement `sql`, always the same one.
    pub(super) fn get(&mut self, conn: &'c Connection, sql: &str) -> Result<&mut CachedStatement<'c>, StoreError> {
        let statement = match self.0.take() {
            Some(statement) => statement,
            None => conn.prepare_cached(sql)?,
        };
        Ok(self.0.insert(statement))
    }
}
