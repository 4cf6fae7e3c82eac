//! Sources by their names: which of them there are.

use super::Operations;
use super::error::OperationError;
use crate::event::Name;
use crate::ingress::SourceSettings;
use crate::settings::suggestion;
use crate::store::{EventFilter, QuarantineFilter};

/// That no source is called `name`, in words that name those of `sources`.
#[must_use]
pub fn no_source(name: &str, sources: &[SourceSettings]) -> String {
    let known = || sources.iter().map(|source| source.name.as_str());
    let all = known().collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return format!("no source is called {name:?}: the configuration has none (is --config missing?)");
    }
    format!("no source is called {name:?}{}; there are: {all}", suggestion(name, known()))
}

impl Operations<'_> {
    /// Sees to it that `name`, where there is one, is a source that is configured, or that the store still has something of.
    ///
    /// # Errors
    /// [`OperationError::Refused`] otherwise; those of the store.
    pub async fn known_source(&self, name: Option<&Name>) -> Result<(), OperationError> {
        let Some(name) = name.filter(|name| self.sources.iter().all(|source| source.name != **name)) else {
            return Ok(());
        };
        let of_it = Some(name.clone());
        let events = EventFilter { source: of_it.clone(), limit: Some(1), ..EventFilter::default() };
        let refused = QuarantineFilter { source: of_it, limit: Some(1), ..QuarantineFilter::default() };
        let none = self.store.archive.list(&events).await?.is_empty()
            && self.store.quarantine.list(&refused).await?.is_empty();
        if none { Err(OperationError::Refused(no_source(name.as_str(), self.sources))) } else { Ok(()) }
    }
}
