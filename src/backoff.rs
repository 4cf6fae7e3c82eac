//! How long to wait before the next attempt: exponential, full jitter, bounded.

use std::time::Duration;

/// The first ceiling; each further attempt doubles it.
pub(crate) const FIRST: Duration = Duration::from_secs(1);
/// No wait is longer than this.
pub(crate) const CEILING: Duration = Duration::from_hours(1);

/// The longest wait after the `failed`th attempt has failed (1 = the first): 1 s doubling to one hour.
#[must_use]
pub(crate) fn ceiling(failed: u32) -> Duration {
    FIRST.saturating_mul(1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX)).min(CEILING)
}

/// A wait drawn evenly from nothing to [`ceiling`] ("full jitter"), so that many failures never retry in step.
///
/// `unit` is a random number in `0.0..1.0`; it is a parameter so that the outcome can be tested.
#[must_use]
pub(crate) fn full_jitter(failed: u32, unit: f64) -> Duration {
    ceiling(failed).mul_f64(unit.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_from_a_second_to_an_hour_and_never_overflows() {
        let seconds: Vec<u64> = [1, 2, 3, 4, 12, 13, 33, u32::MAX].map(|n| ceiling(n).as_secs()).into();
        assert_eq!(seconds, [1, 2, 4, 8, 2048, 3600, 3600, 3600]);
    }

    #[test]
    fn jitter_stays_below_the_ceiling() {
        assert_eq!(full_jitter(3, 0.0), Duration::ZERO);
        assert_eq!(full_jitter(3, 0.5), Duration::from_secs(2));
        assert_eq!(full_jitter(3, 7.0), Duration::from_secs(4));
    }
}
