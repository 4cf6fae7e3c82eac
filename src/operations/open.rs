//! Openings: what somebody sent is shown to an operator, and written down with who saw it.

use super::error::OperationError;
use super::journal::Deed;
use super::{Operations, Operator};
use crate::store::{Archived, EventRef, Quarantined};

impl Operations<'_> {
    /// The event that `event` names with its source, with its body.
    ///
    /// # Errors
    /// [`OperationError::Missing`]; those of the store.
    pub async fn exact_event(&self, event: &EventRef) -> Result<Archived, OperationError> {
        let missing = || OperationError::Missing("there is no such event, or retention has removed it".to_owned());
        self.store.archive.get(event).await?.pop().ok_or_else(missing)
    }

    /// The same, shown to `operator`.
    ///
    /// # Errors
    /// As [`Operations::exact_event`], and [`OperationError::Refused`] where it was erased.
    pub async fn open_event(&self, event: &EventRef, operator: &Operator) -> Result<Archived, OperationError> {
        let found = self.exact_event(event).await?;
        if let Some(erasure) = &found.erased {
            let problem = format!("it was erased at {:.0} by {}: nothing is left to open", erasure.at, erasure.by);
            return Err(OperationError::Refused(problem));
        }
        self.record(operator, [Deed::to_event("event_open", event)]).await;
        Ok(found)
    }

    /// The refused request `id`, with its body.
    ///
    /// # Errors
    /// [`OperationError::Missing`]; those of the store.
    pub async fn exact_refused(&self, id: i64) -> Result<Quarantined, OperationError> {
        let missing = "there is no such refused request, or it made room for newer ones";
        let missing = || OperationError::Missing(missing.to_owned());
        self.store.quarantine.get(id).await?.ok_or_else(missing)
    }

    /// The same, shown to `operator`.
    ///
    /// # Errors
    /// As [`Operations::exact_refused`].
    pub async fn open_refused(&self, id: i64, operator: &Operator) -> Result<Quarantined, OperationError> {
        let found = self.exact_refused(id).await?;
        let deed =
            Deed { action: "quarantine_open", source: Some(&found.source), subject: id.to_string(), reason: None };
        self.record(operator, [deed]).await;
        Ok(found)
    }
}
