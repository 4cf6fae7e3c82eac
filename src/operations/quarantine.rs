//! Refused requests: which ones are meant, accepted after all, removed.

use super::error::OperationError;
use super::event_ref::{self, Numbered};
use super::journal::Deed;
use super::release::ReleaseOutcome;
use super::{Chosen, Operations, Operator};
use crate::event::{EventId, Name};
use crate::store::{QuarantineFilter, Quarantined};

impl Operations<'_> {
    /// The refused request that `text` names, with its body.
    ///
    /// # Errors
    /// [`OperationError::Missing`], or [`OperationError::Refused`] where it means several; those of the store.
    pub async fn refused(&self, text: &str) -> Result<Quarantined, OperationError> {
        let missing = || event_ref::missing_row::<Quarantined>(text);
        let names = [text.to_owned()];
        let id = self.named_entries(&names, &QuarantineFilter::default()).await?.pop().ok_or_else(missing)?;
        self.store.quarantine.get(id).await?.ok_or_else(missing)
    }

    /// Accepts the refused requests that `names` name as if they had been valid; nothing, unless all of them can be.
    ///
    /// # Errors
    /// As [`Operations::refused`], and where one cannot be released.
    pub async fn release(&self, names: &[String], operator: &Operator) -> Result<Vec<ReleaseOutcome>, OperationError> {
        let entries = self.named_entries(names, &QuarantineFilter::default()).await?;
        self.release_exactly(&entries, operator).await
    }

    /// The same for exactly the entries `ids`.
    ///
    /// # Errors
    /// [`OperationError::Missing`] where one is gone, and where one cannot be released.
    pub async fn release_exactly(
        &self,
        ids: &[i64],
        operator: &Operator,
    ) -> Result<Vec<ReleaseOutcome>, OperationError> {
        let outcomes = self.release_entries(ids, operator).await?;
        let deeds = outcomes.iter().map(|outcome| Deed {
            action: "quarantine_release",
            source: Some(&outcome.source),
            subject: format!("{} as {}:{}", outcome.entry, outcome.source, outcome.event_id),
            reason: None,
        });
        self.record(operator, deeds).await;
        Ok(outcomes)
    }

    /// Removes what is chosen; says how many.
    ///
    /// # Errors
    /// As [`Operations::refused`].
    pub async fn discard_refused(
        &self,
        chosen: &Chosen<QuarantineFilter>,
        operator: &Operator,
    ) -> Result<u64, OperationError> {
        let Chosen { names, filter } = chosen;
        if names.is_empty() {
            return self.discard_matching(filter, operator).await;
        }
        let entries = self.named_entries(names, filter).await?;
        let one = if let [name] = names.as_slice() { Some(name.clone()) } else { None };
        self.remove_refused(&entries, one, filter.source.as_ref(), operator).await
    }

    /// Removes all that match `filter`; says how many.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard_matching(
        &self,
        filter: &QuarantineFilter,
        operator: &Operator,
    ) -> Result<u64, OperationError> {
        let entries: Vec<i64> = self.store.quarantine.list(filter).await?.iter().map(|entry| entry.id).collect();
        self.remove_refused(&entries, None, filter.source.as_ref(), operator).await
    }

    /// The same for exactly the entries `ids`; those that are gone count for nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard_refused_exactly(&self, ids: &[i64], operator: &Operator) -> Result<u64, OperationError> {
        let one = if let [id] = ids { Some(id.to_string()) } else { None };
        self.remove_refused(ids, one, None, operator).await
    }

    async fn remove_refused(
        &self,
        entries: &[i64],
        one: Option<String>,
        source: Option<&Name>,
        operator: &Operator,
    ) -> Result<u64, OperationError> {
        let count = self.store.quarantine.remove(entries).await?;
        let subject = one.unwrap_or_else(|| format!("{count} refused requests"));
        self.record(operator, [Deed { action: "quarantine_discard", source, subject, reason: None }]).await;
        Ok(count)
    }

    /// The entries that `names` name among those that match `filter`; the newest of several that conflicted over one event
    /// id.
    async fn named_entries(&self, names: &[String], filter: &QuarantineFilter) -> Result<Vec<i64>, OperationError> {
        let page = async |filter: &_, from| self.store.quarantine.page(filter, from).await;
        let entries: Vec<Vec<Quarantined>> = event_ref::rows(names, filter, page).await?;
        Ok(entries.iter().filter_map(|of_text| of_text.first()).map(|entry| entry.id).collect())
    }
}

impl Numbered for Quarantined {
    const NOUN: &'static str = "refused request";
    const LISTED_BY: &'static str = "quarantine list";

    fn number(&self) -> i64 {
        self.id
    }

    fn event(&self) -> Option<(&Name, &EventId)> {
        self.event_id.as_ref().map(|id| (&self.source, id))
    }

    fn is_called(&self, text: &str) -> bool {
        text.parse() == Ok(self.id) || self.request_id == text
    }

    fn begins_with(&self, text: &str) -> bool {
        self.request_id.starts_with(text)
    }
}
