//! Erasing: what a sender said in an event goes for good, wherever the store has it; the id stays and counts once.

use std::sync::Arc;

use serde_json::Value;

use super::error::OperationError;
use super::journal::Deed;
use super::{Chosen, Operations, Operator};
use crate::event::Event;
use crate::store::{Erasure, EventFilter, EventRef};

/// Events that one call erases at most; whoever means more narrows it down.
pub const MOST_ERASED: usize = 100_000;
/// What a request may take from its body's last byte to its audit record, in seconds.
const RECORDED_WITHIN: i64 = 60;

/// What was erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Erased {
    /// Events; those that had been erased before do not count.
    pub events: u64,
    /// Deliveries that were pending or dead.
    pub deliveries: u64,
    /// Refused requests.
    pub quarantined: u64,
    /// Audit records that wait for the SIEM, whose `bot_id` and `intent` went.
    pub audit: u64,
    /// Whether nothing of it is left in the store's own files either; where that is for others to do (PostgreSQL), or
    /// somebody still reads, it is not.
    pub overwritten: bool,
}

impl Operations<'_> {
    /// Erases `events`, each of which names its source: bodies, kept headers and all that says whom they came from. What
    /// stays is source, id, type, when it was received, and the digest that tells a repetition from another body.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for too many at once; those of the store. What was erased by then stays erased.
    pub async fn erase_events(&self, events: &[EventRef], operator: &Operator) -> Result<Erased, OperationError> {
        if events.len() > MOST_ERASED {
            let problem = format!("{} events: at most {MOST_ERASED} at once, narrow it down", events.len());
            return Err(OperationError::Refused(problem));
        }
        let erasure = Erasure { at: self.clock.now(), by: operator.as_str().to_owned() };
        let mut erased = Erased::default();
        for event in events {
            let Some(found) = self.store.archive.get(event).await?.pop() else { continue };
            // Before the body goes, by which they are known.
            erased.audit += self.redact_audit(&found.event).await?;
            if let Some(gone) = self.store.archive.erase(event, &erasure).await? {
                erased.events += 1;
                erased.deliveries += gone.deliveries;
                erased.quarantined += gone.quarantined;
                let subject = format!("{}:{}", found.event.source, found.event.id);
                let deed = Deed { action: "event_erase", source: Some(&found.event.source), subject, reason: None };
                self.record(operator, [deed]).await;
            }
        }
        erased.overwritten = self.store.maintenance.overwrite().await?;
        Ok(erased)
    }

    /// How many events are chosen; at most one more than [`MOST_ERASED`].
    ///
    /// # Errors
    /// As [`Operations::event`].
    pub async fn to_erase(&self, chosen: &Chosen<EventFilter>) -> Result<Vec<EventRef>, OperationError> {
        let limit = Some(MOST_ERASED as u64 + 1);
        let filter = EventFilter { limit, ..chosen.filter.clone() };
        self.chosen_events(&Chosen { names: chosen.names.clone(), filter }).await
    }

    /// Takes `bot_id` and `intent` out of the waiting audit records of `event`. They do not name it: what came from its
    /// source when it did, and says what its body says, is taken for its own.
    async fn redact_audit(&self, event: &Event) -> Result<u64, OperationError> {
        let Ok(body) = serde_json::from_slice::<Value>(event.payload.bytes()) else { return Ok(0) };
        let said = ["botId", "intent"].map(|name| body.get(name).and_then(Value::as_str).map(str::to_owned));
        if said.iter().all(Option::is_none) {
            return Ok(0);
        }
        let (source, received_at) = (event.source.to_string(), event.received_at);
        let redact = move |record: &str| {
            let mut record: serde_json::Map<String, Value> = serde_json::from_str(record).ok()?;
            let text = |name: &str| record.get(name).and_then(Value::as_str);
            let at: jiff::Timestamp = text("timestamp")?.parse().ok()?;
            let soon = (0..=RECORDED_WITHIN).contains(&at.duration_since(received_at).as_secs());
            let names = ["bot_id", "intent"].into_iter().zip(&said);
            let same = names.clone().any(|(name, said)| said.is_some() && text(name) == said.as_deref());
            if text("source") != Some(&source) || !soon || !same {
                return None;
            }
            for (name, _) in names {
                record.insert(name.to_owned(), Value::Null);
            }
            serde_json::to_string(&record).ok()
        };
        Ok(self.store.audit_queue.rewrite(Arc::new(redact)).await?)
    }
}
