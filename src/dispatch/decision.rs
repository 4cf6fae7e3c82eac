//! What becomes of a delivery after an attempt: one pure function, so that every case can be read and tested.

use std::time::Duration;

use super::lease::DeliveryLease;
use crate::backoff;
use crate::sink::{Delivered, Retry, SinkError};
use crate::store::Settled;

/// The longest error text kept with a delivery, in bytes.
const ERROR_BYTES: usize = 512;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryLimits {
    pub attempts: u32,
    /// A delivery that is older is not tried again; one that was never tried is.
    pub age: Duration,
}

/// Done, again later, or dead, for a delivery that is `age` old after its attempt.
///
/// A delivery that fails is dead when the answer was final, when this was its last attempt, or when it is too old; so
/// each gets at least one attempt, however long the daemon was away. The last wait is cut short at the age limit.
/// `unit` is a random number in `0.0..1.0`.
#[must_use]
pub(super) fn decide(
    result: Result<Delivered, SinkError>,
    lease: &DeliveryLease,
    age: Duration,
    limits: RetryLimits,
    unit: f64,
) -> Settled {
    let SinkError { message, retry, .. } = match result {
        Ok(delivered) => return Settled::Done { duplicate: delivered == Delivered::Duplicate },
        Err(error) => error,
    };
    let failed = lease.failures.saturating_add(1);
    let wait = match retry {
        Retry::Never => return Settled::Dead { error: truncate(message) },
        Retry::After(wait) => wait,
        Retry::Backoff => backoff::full_jitter(failed, unit),
    };
    if failed >= limits.attempts {
        Settled::Dead { error: truncate(format!("gave up after {failed} attempts: {message}")) }
    } else if age >= limits.age {
        Settled::Dead { error: truncate(format!("gave up after {:?}: {message}", limits.age)) }
    } else {
        Settled::Retry { after: wait.min(limits.age.saturating_sub(age)), error: truncate(message) }
    }
}

/// At most [`ERROR_BYTES`] bytes of `text`.
#[must_use]
pub(super) fn truncate(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::super::testing::lease;
    use super::*;

    const LIMITS: RetryLimits = RetryLimits { attempts: 3, age: Duration::from_secs(100) };

    fn after(failed_before: u32, age: u64, retry: Retry) -> Settled {
        let age = Duration::from_secs(age);
        let error = SinkError { message: "no".into(), status: None, retry };
        decide(Err(error), &lease(1, failed_before, age), age, LIMITS, 0.5)
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
        let lease = lease(1, 0, Duration::ZERO);
        for (delivered, duplicate) in
            [(Delivered::New, false), (Delivered::Answered(StatusCode::OK), false), (Delivered::Duplicate, true)]
        {
            let done = decide(Ok(delivered), &lease, Duration::ZERO, LIMITS, 0.5);
            assert_eq!(done, Settled::Done { duplicate });
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        assert_eq!(truncate("é".repeat(400)).len(), 512);
        assert_eq!(truncate(format!("a{}", "é".repeat(400))).len(), 511);
    }
}
