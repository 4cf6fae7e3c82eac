//! An event on its way into the table.

use std::sync::Arc;

use crate::event::{Event, EventKey, Name};

/// An event to be inserted, with its key and sinks.
pub(super) struct Candidate {
    /// What uniqueness is decided by.
    pub key: EventKey,
    /// Keys under which the same body makes it no new event.
    pub twins: Vec<EventKey>,
    pub event: Event,
    /// One delivery for each is queued.
    pub sinks: Arc<[Name]>,
}

impl Candidate {
    /// Whether `other`, where it is stored, makes this one a duplicate.
    pub(super) fn is_twin_of(&self, other: &Self) -> bool {
        self.twins.contains(&other.key) && self.event.payload.bytes() == other.event.payload.bytes()
    }
}
