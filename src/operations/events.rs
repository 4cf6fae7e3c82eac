//! Accepted events: which ones are meant, and their deliveries queued again.

use super::error::OperationError;
use super::journal::Deed;
use super::{Chosen, Operations, Operator, event_ref, pages};
use crate::event::Name;
use crate::store::{Archived, EventFilter, EventRef, StoreError};

/// Events queued again between two words about how far that is.
const PART: usize = 1000;

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventsReplayed {
    /// Events that were meant.
    pub events: usize,
    /// Deliveries that were queued.
    pub deliveries: u64,
    /// Sinks that are not configured any more, for which nothing was queued because no other was named.
    pub left: Vec<Name>,
}

impl Operations<'_> {
    /// The one event that `text` names, of `source` where that is given, with its body.
    ///
    /// # Errors
    /// [`OperationError::Missing`], or [`OperationError::Refused`] where it means several; those of the store.
    pub async fn event(&self, text: &str, source: Option<&Name>) -> Result<Archived, OperationError> {
        event_ref::find(self.store.archive.as_ref(), text, source).await
    }

    /// Queues the deliveries of the chosen events again, to the configured sinks called `to` or to those they had. An event
    /// that was erased is delivered nowhere.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured, as [`Operations::event`], and those of the store.
    pub async fn replay_events(
        &self,
        chosen: &Chosen<EventFilter>,
        to: &[String],
        operator: &Operator,
    ) -> Result<EventsReplayed, OperationError> {
        // What is wrong with the sinks is said before millions of events are read.
        self.configured_sinks(to)?;
        let events = self.chosen_events(chosen).await?;
        self.replay(&events, chosen.filter.source.as_ref(), to, operator).await
    }

    /// The same for exactly `events`; those that are gone count for nothing.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured, and those of the store.
    pub async fn replay_exactly(
        &self,
        events: &[EventRef],
        to: &[String],
        operator: &Operator,
    ) -> Result<EventsReplayed, OperationError> {
        self.replay(events, None, to, operator).await
    }

    /// Of `source`, where they are all of one.
    async fn replay(
        &self,
        events: &[EventRef],
        source: Option<&Name>,
        to: &[String],
        operator: &Operator,
    ) -> Result<EventsReplayed, OperationError> {
        let to = self.configured_sinks(to)?;
        let gone = self.gone_sinks().await?;
        let to_sinks = (!to.is_empty()).then_some(to.as_slice());
        let (mut deliveries, mut done, all) = (0, 0, events.len() as u64);
        for part in events.chunks(PART) {
            deliveries += self.store.archive.replay(part, to_sinks, &gone).await?;
            done += part.len() as u64;
            (self.progress)(done, all);
        }
        let deed = match events {
            [event @ EventRef { source: Some(_), .. }] => Deed::to_event("event_replay", event),
            events => {
                let subject = format!("{} events", events.len());
                Deed { action: "event_replay", source, subject, reason: None }
            }
        };
        self.record(operator, [deed]).await;
        let left = if deliveries == 0 && to.is_empty() { gone } else { Vec::new() };
        Ok(EventsReplayed { events: events.len(), deliveries, left })
    }

    /// The events that are chosen.
    ///
    /// # Errors
    /// As [`Operations::event`].
    pub async fn chosen_events(&self, chosen: &Chosen<EventFilter>) -> Result<Vec<EventRef>, OperationError> {
        let (archive, filter) = (self.store.archive.as_ref(), &chosen.filter);
        let mut events = Vec::new();
        if chosen.names.is_empty() {
            let page = async |filter: &_, from| archive.page(filter, from).await;
            pages::each(filter, page, |found| {
                events.extend(found.iter().map(reference));
                Ok::<_, StoreError>(true)
            })
            .await?;
        }
        for name in &chosen.names {
            let found = event_ref::find(archive, name, filter.source.as_ref()).await?;
            if matches(&found, filter) {
                events.push(reference(&found));
            }
        }
        Ok(events)
    }
}

fn matches(archived: &Archived, filter: &EventFilter) -> bool {
    let event = &archived.event;
    filter.source.as_ref().is_none_or(|source| *source == event.source)
        && filter.kind.as_ref().is_none_or(|kind| *kind == event.kind)
        && filter.header.as_ref().is_none_or(|header| event.headers.hold(header))
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && filter.state.is_none_or(|state| state == archived.state)
}

fn reference(archived: &Archived) -> EventRef {
    EventRef { source: Some(archived.event.source.clone()), id: archived.event.id.clone() }
}
