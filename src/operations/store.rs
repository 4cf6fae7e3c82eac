//! The store as a whole: what it holds, and copies of it.

use std::fs::File;
use std::path::Path;

use super::error::OperationError;
use super::journal::Deed;
use super::{Operations, Operator};
use crate::store::Stats;

impl Operations<'_> {
    /// What the store holds. It reads what it counts: about a second for a million events.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn store_stats(&self) -> Result<Stats, OperationError> {
        Ok(self.store.maintenance.stats().await?)
    }

    /// Copies all that the store holds at one moment into the new file `to`.
    ///
    /// # Errors
    /// Those of the store: a file that is there already, a server that has its own way.
    pub async fn back_up(&self, to: &Path, operator: &Operator) -> Result<(), OperationError> {
        self.store.maintenance.backup(to).await?;
        self.record(operator, [backup(to.display().to_string())]).await;
        Ok(())
    }

    /// The same as an open file, for whoever is to be sent it.
    ///
    /// # Errors
    /// Those of the store: another copy that is being made, a server that has its own way.
    pub async fn copy_store(&self, operator: &Operator) -> Result<File, OperationError> {
        let copy = self.store.maintenance.copy().await?;
        self.record(operator, [backup("sent as a file".to_owned())]).await;
        Ok(copy)
    }
}

/// Every body is in a copy.
const fn backup(subject: String) -> Deed<'static> {
    Deed { action: "store_backup", source: None, subject, reason: None }
}
