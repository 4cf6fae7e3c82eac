//! What is on its way from one store into another, whatever either of them is.

use crate::event::{Event, Name};
use crate::store::delivery::State;
use crate::store::sink_controls::Pause;

/// Rows copied in one transaction.
pub(super) const STEP: i64 = 256;
/// Bytes of bodies copied in one transaction: no more rows once they have so many.
pub(super) const STEP_BYTES: usize = 8 * 1024 * 1024;

/// An event with its deliveries.
pub(super) struct MovedEvent {
    pub event: Event,
    pub deliveries: Vec<MovedDelivery>,
    /// What is left of it, where it was erased.
    pub erased: Option<String>,
}

/// A delivery on its way.
pub(super) struct MovedDelivery {
    pub sink: Name,
    pub state: State,
    pub attempts: i32,
    pub replays: i32,
    /// Whether the sink had it already.
    pub duplicate: bool,
    /// When it is due, or when it died, in microseconds from now: each store has its own time.
    pub due_in: i64,
    /// When it was queued, likewise: negative.
    pub queued_in: i64,
    /// What the last attempt failed with.
    pub error: Option<String>,
}

/// A pause of a sink on its way.
pub(super) struct MovedPause {
    /// Its number in the store it comes from.
    pub id: i64,
    pub sink: Name,
    /// When it began, in microseconds from now: negative.
    pub began_in: i64,
    /// When it ended, likewise, where it did.
    pub ended_in: Option<i64>,
    pub pause: Pause,
}

/// An audit record on its way.
pub(super) struct MovedAudit {
    /// Its position in the queue it comes from.
    pub id: i64,
    pub record: String,
}
