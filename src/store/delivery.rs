//! A delivery, one event to one sink, as every part of a store names it.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::Name;

/// The longest that anything is put off: above the longest backoff, `Retry-After` and lease. What is due later than that
/// was written by a clock gone wrong, and counts as due.
pub const LONGEST_WAIT: Duration = Duration::from_hours(2);

/// A delivery: one event to one sink.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DeliveryId(pub i64);

/// The state of a delivery; of an event, the worst of its deliveries'.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some delivery is still to be made.
    Pending,
    /// All deliveries are made.
    Delivered,
    /// Some delivery ran out of attempts and none is pending.
    Dead,
    /// Of an event: there are none to make.
    Stored,
}

impl State {
    /// Every state of an event.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Stored];

    /// What it is called.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Stored => "stored",
        }
    }

    /// The one that is called `word`.
    ///
    /// # Errors
    /// What would have been one.
    pub fn parse(word: &str) -> Result<Self, &'static str> {
        let known = Self::ALL.into_iter().find(|state| state.word() == word);
        known.ok_or("expected pending, delivered, dead or stored")
    }

    /// The state of an event with these deliveries.
    pub(super) fn of_event(deliveries: &[DeliveryStatus]) -> Self {
        let any = |state| deliveries.iter().any(|delivery| delivery.state == state);
        if any(Self::Pending) {
            Self::Pending
        } else if any(Self::Dead) {
            Self::Dead
        } else if deliveries.is_empty() {
            Self::Stored
        } else {
            Self::Delivered
        }
    }
}

/// Where one delivery of an event stands.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeliveryStatus {
    /// To which sink.
    pub sink: Name,
    /// Pending, delivered or dead.
    pub state: State,
    /// Attempts made.
    pub attempts: u32,
    /// How often it was replayed.
    pub replays: u32,
    /// Whether the sink said, when it took it, that it had it already.
    pub duplicate: bool,
    /// When the next attempt is due, while pending, by this machine's wall clock.
    pub next_attempt_at: Option<Timestamp>,
    /// What the last attempt failed with.
    pub last_error: Option<String>,
}
