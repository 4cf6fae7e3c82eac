//! What becomes of a delivery after an attempt: one pure function, so that every case can be read and tested.

use std::time::Duration;

use jiff::Timestamp;

use crate::backoff;
use crate::sink::{Delivered, Retry, SinkError};
use crate::store::{Claimed, DeliveryId, Settled};

/// The longest error text kept with a delivery, in bytes.
const ERROR_BYTES: usize = 512;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Attempts before a delivery is dead.
    pub attempts: u32,
    /// Age at which a failed delivery is dead.
    pub age: Duration,
}

/// What is known of a delivery besides its event.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// Which delivery.
    pub id: DeliveryId,
    /// The claim.
    pub lease: i64,
    /// Attempts that failed before this one.
    pub attempts: u32,
    /// When it was queued or last replayed.
    pub queued_at: Timestamp,
}

impl Ticket {
    /// The ticket of `claimed`.
    #[must_use]
    pub const fn of(claimed: &Claimed) -> Self {
        Self { id: claimed.id, lease: claimed.lease, attempts: claimed.attempts, queued_at: claimed.queued_at }
    }

    /// When the delivery is too old; far away where the sum does not fit.
    #[must_use]
    pub fn deadline(&self, limits: Limits) -> Timestamp {
        later(self.queued_at, limits.age)
    }
}

/// `at + by`, or the end of time.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Done, again at a time, or dead.
///
/// A delivery that fails is dead when the answer was final, when this was its last attempt, or when it is too old; so
/// each gets at least one attempt, however long the daemon was away. The last wait is cut short at the age limit.
/// `unit` is a random number in `0.0..1.0`.
#[must_use]
pub fn outcome(
    result: Result<Delivered, SinkError>,
    ticket: &Ticket,
    limits: Limits,
    now: Timestamp,
    unit: f64,
) -> Settled {
    let Err(SinkError { message, retry }) = result else { return Settled::Done };
    let failed = ticket.attempts.saturating_add(1);
    let wait = match retry {
        Retry::Never => return Settled::Dead { error: cut(message) },
        Retry::After(wait) => wait,
        Retry::Backoff => backoff::full_jitter(failed, unit),
    };
    let deadline = ticket.deadline(limits);
    if failed >= limits.attempts {
        Settled::Dead { error: cut(format!("gave up after {failed} attempts: {message}")) }
    } else if now >= deadline {
        Settled::Dead { error: cut(format!("gave up after {:?}: {message}", limits.age)) }
    } else {
        Settled::Retry { at: later(now, wait).min(deadline), error: cut(message) }
    }
}

/// A text of at most [`ERROR_BYTES`] bytes.
#[must_use]
pub fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { attempts: 3, age: Duration::from_secs(100) };

    fn after(failed_before: u32, age: u64, retry: Retry) -> Settled {
        let ticket = Ticket { id: DeliveryId(1), lease: 1, attempts: failed_before, queued_at: Timestamp::UNIX_EPOCH };
        let error = SinkError { message: "no".into(), retry };
        outcome(Err(error), &ticket, LIMITS, later(Timestamp::UNIX_EPOCH, Duration::from_secs(age)), 0.5)
    }

    fn retry_at(millis: i64) -> Settled {
        Settled::Retry { at: Timestamp::from_millisecond(millis).unwrap(), error: "no".into() }
    }

    #[test]
    fn failures_wait_half_a_doubling_second_and_then_die() {
        assert_eq!(after(0, 10, Retry::Backoff), retry_at(10_500));
        assert_eq!(after(1, 10, Retry::Backoff), retry_at(11_000));
        assert_eq!(after(2, 10, Retry::Backoff), Settled::Dead { error: "gave up after 3 attempts: no".into() });
        assert!(matches!(after(u32::MAX, 10, Retry::Backoff), Settled::Dead { .. }));
    }

    #[test]
    fn the_other_side_may_say_how_long_but_not_beyond_the_age_limit() {
        assert_eq!(after(0, 10, Retry::After(Duration::from_secs(20))), retry_at(30_000));
        assert_eq!(after(0, 10, Retry::After(Duration::from_hours(1))), retry_at(100_000));
    }

    #[test]
    fn old_and_refused_deliveries_die() {
        assert_eq!(after(0, 100, Retry::Backoff), Settled::Dead { error: "gave up after 100s: no".into() });
        assert_eq!(after(0, 0, Retry::Never), Settled::Dead { error: "no".into() });
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        assert_eq!(cut("é".repeat(400)).len(), 512);
        assert_eq!(cut(format!("a{}", "é".repeat(400))).len(), 511);
    }
}
