//! What becomes of a delivery after an attempt: one pure function, so that every case can be read and tested.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff;
use crate::sink::{Attempt, Delivered, Retry, SinkError};
use crate::store::{Claimed, DeliveryId, Settled, Settlement};

/// The longest error text kept with a delivery, in bytes.
const ERROR_BYTES: usize = 512;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Attempts before a delivery is dead.
    pub attempts: u32,
    /// Age at which a failed delivery is dead.
    pub age: Duration,
}

/// What is known of a delivery besides its event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    /// Which delivery.
    pub id: DeliveryId,
    /// The claim.
    pub lease: i64,
    /// Attempts that failed before this one.
    pub attempts: u32,
    /// How often it was replayed.
    pub replay: u32,
    /// How old it was when it was claimed.
    age: Duration,
    /// When the store was asked for it: the lease began after this.
    pub asked: Instant,
}

impl Ticket {
    /// The ticket of `claimed`, for which the store was asked at `asked`.
    #[must_use]
    pub(super) const fn of(claimed: &Claimed, asked: Instant) -> Self {
        Self {
            id: claimed.id,
            lease: claimed.lease,
            attempts: claimed.attempts,
            replay: claimed.replay,
            age: claimed.age,
            asked,
        }
    }

    /// The attempt that it is about to get.
    #[must_use]
    pub(super) const fn attempt(&self) -> Attempt {
        Attempt { number: self.attempts.saturating_add(1), replay: self.replay }
    }

    /// How old the delivery is at `now`.
    #[must_use]
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age.saturating_add(now.saturating_duration_since(self.asked))
    }

    /// That `outcome` became of it.
    #[must_use]
    pub(super) const fn settle(&self, outcome: Settled) -> Settlement {
        Settlement { id: self.id, lease: self.lease, outcome }
    }

    /// That it is handed back as if it had never been taken, and may be taken again after `after`.
    #[must_use]
    pub(super) const fn release(&self, after: Duration) -> Settlement {
        self.settle(Settled::Released { after })
    }
}

/// Done, again later, or dead, for a delivery that is `age` old after its attempt.
///
/// A delivery that fails is dead when the answer was final, when this was its last attempt, or when it is too old; so
/// each gets at least one attempt, however long the daemon was away. The last wait is cut short at the age limit.
/// `unit` is a random number in `0.0..1.0`.
#[must_use]
pub(super) fn outcome(
    result: Result<Delivered, SinkError>,
    ticket: &Ticket,
    age: Duration,
    limits: Limits,
    unit: f64,
) -> Settled {
    let SinkError { message, retry } = match result {
        Ok(delivered) => return Settled::Done { duplicate: delivered == Delivered::Duplicate },
        Err(error) => error,
    };
    let failed = ticket.attempts.saturating_add(1);
    let wait = match retry {
        Retry::Never => return Settled::Dead { error: cut(message) },
        Retry::After(wait) => wait,
        Retry::Backoff => backoff::full_jitter(failed, unit),
    };
    if failed >= limits.attempts {
        Settled::Dead { error: cut(format!("gave up after {failed} attempts: {message}")) }
    } else if age >= limits.age {
        Settled::Dead { error: cut(format!("gave up after {:?}: {message}", limits.age)) }
    } else {
        Settled::Retry { after: wait.min(limits.age.saturating_sub(age)), error: cut(message) }
    }
}

/// A text of at most [`ERROR_BYTES`] bytes.
#[must_use]
pub(super) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { attempts: 3, age: Duration::from_secs(100) };

    fn ticket(attempts: u32, age: u64) -> Ticket {
        Ticket {
            id: DeliveryId(1),
            lease: 1,
            attempts,
            replay: 0,
            age: Duration::from_secs(age),
            asked: Instant::now(),
        }
    }

    fn after(failed_before: u32, age: u64, retry: Retry) -> Settled {
        let ticket = ticket(failed_before, age);
        let error = SinkError { message: "no".into(), retry };
        outcome(Err(error), &ticket, ticket.age(ticket.asked), LIMITS, 0.5)
    }

    fn again_after(millis: u64) -> Settled {
        Settled::Retry { after: Duration::from_millis(millis), error: "no".into() }
    }

    #[test]
    fn failures_wait_half_a_doubling_second_and_then_die() {
        assert_eq!(after(0, 10, Retry::Backoff), again_after(500));
        assert_eq!(after(1, 10, Retry::Backoff), again_after(1000));
        assert_eq!(after(2, 10, Retry::Backoff), Settled::Dead { error: "gave up after 3 attempts: no".into() });
        assert!(matches!(after(u32::MAX, 10, Retry::Backoff), Settled::Dead { .. }));
    }

    #[test]
    fn the_other_side_may_say_how_long_but_not_beyond_the_age_limit() {
        assert_eq!(after(0, 10, Retry::After(Duration::from_secs(20))), again_after(20_000));
        assert_eq!(after(0, 10, Retry::After(Duration::from_hours(1))), again_after(90_000));
    }

    #[test]
    fn old_and_refused_deliveries_die() {
        assert_eq!(after(0, 100, Retry::Backoff), Settled::Dead { error: "gave up after 100s: no".into() });
        assert_eq!(after(0, 0, Retry::Never), Settled::Dead { error: "no".into() });
    }

    #[test]
    fn what_the_sink_had_already_is_done_and_told_so() {
        let ticket = ticket(0, 0);
        for (delivered, duplicate) in [(Delivered::New, false), (Delivered::Duplicate, true)] {
            let done = outcome(Ok(delivered), &ticket, Duration::ZERO, LIMITS, 0.5);
            assert_eq!(done, Settled::Done { duplicate });
        }
    }

    #[test]
    fn a_delivery_grows_older_while_it_is_under_way() {
        let ticket = ticket(0, 10);
        assert_eq!(ticket.age(ticket.asked + Duration::from_secs(5)), Duration::from_secs(15));
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        assert_eq!(cut("é".repeat(400)).len(), 512);
        assert_eq!(cut(format!("a{}", "é".repeat(400))).len(), 511);
    }
}
