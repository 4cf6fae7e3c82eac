//! What it is to be a sink: an event is delivered once, and what became of that is told.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;

use super::cloudevent;
use crate::event::Event;

/// Somewhere that events are delivered to.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers `event` once. Returns when the other side has taken it, and whether it had it already.
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Result<Delivered, SinkError>;
}

/// Which attempt at a delivery this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Counts from 1, anew with each replay.
    pub number: u32,
    /// How often an operator had it delivered again. A sink that removes duplicates must not remove that.
    pub replay: u32,
}

impl Attempt {
    /// What a sink that removes duplicates tells deliveries of `event` apart by: the id, and with replay `n` of it `<id>#<n>`.
    ///
    /// An id that ends like that itself gets `#0` at first, so that no event is taken for the replay of another.
    #[must_use]
    pub fn dedupe_id(self, event: &Event) -> String {
        let (id, replay) = (cloudevent::id(event), self.replay);
        let looks_replayed =
            id.rsplit_once('#').is_some_and(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()));
        if replay > 0 || looks_replayed { format!("{id}#{replay}") } else { id }
    }
}

/// What became of an event that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// It is there, as far as the other side tells.
    New,
    /// The same, of an HTTP server that answered with this status.
    Answered(StatusCode),
    /// The other side had it already and dropped this one.
    Duplicate,
}

impl Delivered {
    /// The status of the answer, where that was HTTP.
    #[must_use]
    pub const fn status(self) -> Option<StatusCode> {
        match self {
            Self::Answered(status) => Some(status),
            Self::New | Self::Duplicate => None,
        }
    }
}

/// Why a delivery failed and whether another attempt makes sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What happened, in words, without credentials.
    pub message: String,
    /// The status of the answer, where there was one and it was HTTP.
    pub status: Option<StatusCode>,
    /// Whether and when to try again.
    pub retry: Retry,
}

/// Whether and when to try a delivery again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// With the usual backoff.
    Backoff,
    /// The other side said how long to wait.
    After(Duration),
    /// Never: the answer is final.
    Never,
}
