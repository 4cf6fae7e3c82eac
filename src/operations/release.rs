//! Release: accepts refused requests on an operator's word, and says what became of each.

use bytes::Bytes;

use super::error::OperationError;
use super::{Operations, Operator};
use crate::event::{Digest, EventId, Name};
use crate::ingress::{self, Released, SourceSettings};
use crate::request_outcome::Reason;
use crate::settings::suggestion;
use crate::store::{Insertion, Quarantined};

/// What became of one entry.
#[derive(Clone, Debug)]
pub struct ReleaseOutcome {
    /// Its number.
    pub entry: i64,
    /// The source it was sent to.
    pub source: Name,
    /// The event it is now.
    pub event_id: EventId,
    /// The type of that.
    pub kind: String,
    /// To how many sinks that goes.
    pub sinks: usize,
    /// Whether it was added, or had been accepted before.
    pub added: bool,
    /// Who released it.
    pub operator: String,
    /// Why it goes by another id than one might think.
    pub note: Option<String>,
}

impl Operations<'_> {
    /// Releases `ids` one after the other. Nothing is released unless all of them can be.
    pub(super) async fn release_entries(
        &self,
        ids: &[i64],
        operator: &Operator,
    ) -> Result<Vec<ReleaseOutcome>, OperationError> {
        let mut entries: Vec<Quarantined> = Vec::new();
        for &id in ids {
            if entries.iter().any(|entry| entry.id == id) {
                continue;
            }
            let gone =
                || OperationError::Missing(format!("the refused request {id} has just gone; nothing was released"));
            let entry = self.store.quarantine.get(id).await?.ok_or_else(gone)?;
            if ingress::asks_handshake(self.source_of(&entry)?, &entry.body) {
                let problem = format!("request {id} is a handshake, which is answered and never stored: discard it");
                return Err(OperationError::Refused(format!("nothing was released: {problem}")));
            }
            // Bodies are read again when their turn comes.
            entries.push(Quarantined { body: Bytes::new(), ..entry });
        }
        let mut outcomes = Vec::new();
        for listed in entries {
            if let Some(entry) = self.store.quarantine.get(listed.id).await? {
                outcomes.push(self.release_one(&entry, operator).await?);
            }
        }
        Ok(outcomes)
    }

    /// The source that an entry was sent to.
    fn source_of(&self, entry: &Quarantined) -> Result<&SourceSettings, OperationError> {
        self.source(entry.source.as_str())
            .map_err(|error| OperationError::Refused(format!("nothing was released: request {}: {error}", entry.id)))
    }

    /// The configured source called `name`.
    ///
    /// # Errors
    /// [`OperationError::Refused`] with what was perhaps meant.
    pub fn source(&self, name: &str) -> Result<&SourceSettings, OperationError> {
        self.sources.iter().find(|source| source.name.as_str() == name).ok_or_else(|| {
            let known = || self.sources.iter().map(|source| source.name.as_str());
            let (meant, all) = (suggestion(name, known()), known().collect::<Vec<_>>().join(", "));
            OperationError::Refused(if all.is_empty() {
                format!("no source is called {name:?}: the configuration has none (is --config missing?)")
            } else {
                format!("no source is called {name:?}{meant}; there are: {all}")
            })
        })
    }

    /// First the event, then the entry: whoever is interrupted in between releases it again and adds nothing.
    async fn release_one(&self, entry: &Quarantined, operator: &Operator) -> Result<ReleaseOutcome, OperationError> {
        let source = self.source_of(entry)?;
        let Released { mut event, twins, sinks, not_understood } =
            ingress::release(entry, source, self.sinks, operator.as_str(), self.clock.now());
        let own = event.id.clone();
        let mut insertion = self.store.inbox.insert_beside(event.clone(), &twins, sinks.clone()).await?;
        let conflicts = insertion == Insertion::Conflict;
        if conflicts {
            event.id = EventId::of_digest(&Digest::of(&entry.body));
            insertion = self.store.inbox.insert_beside(event.clone(), &twins, sinks.clone()).await?;
        }
        if insertion == Insertion::Conflict {
            let problem = format!("request {}: its id {own} and its digest both belong to other bodies", entry.id);
            return Err(OperationError::Failed(problem));
        }
        self.store.quarantine.remove(&[entry.id]).await?;
        let taken = if conflicts {
            Some(&own)
        } else {
            entry.event_id.as_ref().filter(|_| entry.reason == Reason::IdConflict.as_str())
        };
        let note = match (taken, not_understood) {
            (Some(taken), _) => Some(format!("{taken} belongs to another body, so it goes by its digest")),
            (None, Some(reason)) => Some(format!("its body is not understood ({reason}), so it goes by its digest")),
            (None, None) => None,
        };
        Ok(ReleaseOutcome {
            entry: entry.id,
            source: event.source,
            event_id: event.id,
            kind: event.kind,
            sinks: sinks.len(),
            added: insertion == Insertion::Accepted,
            operator: operator.as_str().to_owned(),
            note,
        })
    }
}
