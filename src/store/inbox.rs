//! The receiving side of a store: events are taken once.

use std::sync::Arc;

use async_trait::async_trait;

use crate::event::{Event, EventKey, Name};
use crate::store::error::StoreError;

/// The receiving side.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Stores `event` with one delivery for each of `sinks`, once per (source, id). Resolves after the commit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the commit failed: nothing was accepted.
    async fn insert(&self, event: Event, sinks: Arc<[Name]>) -> Result<Insertion, StoreError> {
        self.insert_beside(event, &[], sinks).await
    }

    /// The same, and a duplicate too where the body of `event` is stored already under one of the keys `twins`.
    async fn insert_beside(&self, event: Event, twins: &[EventKey], to: Arc<[Name]>) -> Result<Insertion, StoreError>;
}

/// What became of an inserted event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insertion {
    /// It is new and durable.
    Accepted,
    /// The same id with the same body was there before; nothing was written.
    Duplicate,
    /// The same id with another body was there before; nothing was written.
    Conflict,
}
