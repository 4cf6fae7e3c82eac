//! A delivery in the hands of a process, with its event.

use std::time::Duration;

use crate::event::Event;
use crate::store::delivery::DeliveryId;

/// A delivery claimed by this process until its lease runs out.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which delivery.
    pub id: DeliveryId,
    /// Proof of the claim; a settlement with an outdated one does nothing.
    pub lease: i64,
    /// How many attempts have failed before.
    pub attempts: u32,
    /// How often it was replayed.
    pub replay: u32,
    /// How long ago it was queued or last replayed, the time left out in which its sink was paused; `max_age` counts this.
    pub age: Duration,
    /// What to deliver, or in what way the stored event cannot be read.
    pub event: Result<Event, String>,
}

/// The first lease of a delivery.
pub(super) const FIRST_LEASE: i64 = 1;

impl Claimed {
    /// A delivery of `event` that is claimed as it is queued.
    pub(super) const fn queued(id: DeliveryId, event: Event) -> Self {
        Self { id, lease: FIRST_LEASE, attempts: 0, replay: 0, age: Duration::ZERO, event: Ok(event) }
    }
}
