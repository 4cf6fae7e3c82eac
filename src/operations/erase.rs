//! Erasing: what a sender said in an event goes for good, wherever the store has it; the id stays and counts once.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error::OperationError;
use super::journal::Deed;
use super::{Chosen, Operations, Operator};
use crate::event::{Event, Name};
use crate::store::{Erasure, EventFilter, EventRef};

/// Events that one call erases at most; whoever means more narrows it down.
pub const MOST_ERASED: usize = 100_000;
/// What a request may take from its body's last byte to its audit record, in seconds.
const RECORDED_WITHIN: i64 = 60;
/// Events erased before the audit queue is looked through again.
const STEP: usize = 200;

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
        for step in events.chunks(STEP) {
            self.erase_some(step, &erasure, operator, &mut erased).await?;
        }
        erased.overwritten = self.store.maintenance.overwrite().await?;
        Ok(erased)
    }

    async fn erase_some(
        &self,
        events: &[EventRef],
        erasure: &Erasure,
        operator: &Operator,
        erased: &mut Erased,
    ) -> Result<(), OperationError> {
        // Before the bodies go, by which the records are known.
        let mut said = Vec::new();
        for event in events {
            said.extend(self.store.archive.get(event).await?.iter().filter_map(|found| Said::of(&found.event)));
        }
        if !said.is_empty() && self.store.audit_queue.count().await? > 0 {
            let blank = move |record: &str| blanked(record, &said);
            erased.audit += self.store.audit_queue.rewrite(Arc::new(blank)).await?;
        }
        let (mut deeds, mut outcome) = (Vec::new(), Ok(()));
        for event in events {
            match self.store.archive.erase(event, erasure).await {
                Ok(Some(gone)) => {
                    erased.events += 1;
                    erased.deliveries += gone.deliveries;
                    erased.quarantined += gone.quarantined;
                    deeds.push(Deed::to_event("event_erase", event));
                }
                Ok(None) => {}
                // What was done is written down first.
                Err(error) => {
                    outcome = Err(error.into());
                    break;
                }
            }
        }
        self.record(operator, deeds).await;
        outcome
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
}

/// What an audit record repeats of an event's body.
struct Said {
    source: Name,
    received_at: Timestamp,
    bot_id: Option<String>,
    intent: Option<String>,
}

impl Said {
    /// `None` where an audit record says nothing of it.
    fn of(event: &Event) -> Option<Self> {
        let body: Value = serde_json::from_slice(event.payload.bytes()).ok()?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let (bot_id, intent) = (text("botId"), text("intent"));
        let said = Self { source: event.source.clone(), received_at: event.received_at, bot_id, intent };
        (said.bot_id.is_some() || said.intent.is_some()).then_some(said)
    }

    /// Records do not name their event: what came from its source when it did, and says what its body says, is taken for
    /// its own.
    fn stands_in(&self, source: &str, at: Timestamp, bot_id: Option<&str>, intent: Option<&str>) -> bool {
        let after = at.duration_since(self.received_at);
        let soon = !after.is_negative() && after.as_secs() < RECORDED_WITHIN;
        let same = |said: &Option<String>, found: Option<&str>| said.is_some() && said.as_deref() == found;
        self.source.as_str() == source && soon && (same(&self.bot_id, bot_id) || same(&self.intent, intent))
    }
}

/// The audit record `record` without `bot_id` and `intent`, where these are what one of the events `said`.
fn blanked(record: &str, said: &[Said]) -> Option<String> {
    let mut record: Map<String, Value> = serde_json::from_str(record).ok()?;
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let (source, at) = (text("source")?, text("timestamp")?.parse().ok()?);
    if !said.iter().any(|said| said.stands_in(source, at, text("bot_id"), text("intent"))) {
        return None;
    }
    for name in ["bot_id", "intent"] {
        record.insert(name.to_owned(), Value::Null);
    }
    serde_json::to_string(&record).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        let received_at = "2026-01-02T03:04:05Z".parse().unwrap();
        Said { source: "a".into(), received_at, bot_id: Some("bot".into()), intent: Some("book".into()) }
    }

    #[test]
    fn only_records_of_what_was_said_are_blanked_and_keep_the_rest() {
        let record = |source: &str, at: &str, bot: &str| {
            format!(
                r#"{{"event":"webhook_validation","timestamp":"{at}","source":"{source}","bot_id":"{bot}","intent":null}}"#
            )
        };
        let own = blanked(&record("a", "2026-01-02T03:04:05.9Z", "bot"), &[said()]).unwrap();
        let left: Value = serde_json::from_str(&own).unwrap();
        assert_eq!(
            (&left["bot_id"], &left["source"], &left["event"]),
            (&Value::Null, &"a".into(), &"webhook_validation".into())
        );
        for other in [
            record("b", "2026-01-02T03:04:05.9Z", "bot"),
            record("a", "2026-01-02T03:04:04.9Z", "bot"),
            record("a", "2026-01-02T03:05:06Z", "bot"),
            record("a", "2026-01-02T03:04:05.9Z", "another"),
            "not json".to_owned(),
        ] {
            assert_eq!(blanked(&other, &[said()]), None, "{other}");
        }
    }
}
