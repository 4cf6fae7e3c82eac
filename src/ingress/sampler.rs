//! How many requests of a source are kept in quarantine: for each reason a burst, then one now and then, so that one
//! kind, however often it is sent, leaves room and rate to all others. Knows nothing of what is kept.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Name;
use crate::request_outcome::Reason;

/// Requests that are kept in a row: enough to see what a misconfigured sender does.
const BURST: i64 = 20;
/// After that, one in so many milliseconds: a flood fills the default quarantine in hours, not in seconds, and costs
/// the store one small write a second.
const INTERVAL_MILLIS: i64 = 1000;

/// The rates of all sources. Made once; survives reloads.
#[derive(Clone, Default)]
pub(super) struct QuarantineSampler(Arc<Mutex<HashMap<Name, Arc<Rates>>>>);

/// The rates of one source.
#[derive(Default)]
pub(super) struct Rates([Bucket; Reason::ALL.len()]);

impl QuarantineSampler {
    /// The rates of `source`; whoever asks again for the same name shares them.
    #[must_use]
    pub(super) fn rates(&self, source: &Name) -> Arc<Rates> {
        let mut sources = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sources.entry(source.clone()).or_default())
    }
}

impl Rates {
    /// Whether one more request may be kept for `reason`, at `now` in milliseconds since 1970. One atomic operation.
    pub(super) fn take(&self, reason: Reason, now: i64) -> bool {
        self.0.get(reason as usize).is_some_and(|bucket| bucket.take(now))
    }
}

/// A token bucket in one number: the time at which it will be full again, in milliseconds since 1970.
#[derive(Default)]
struct Bucket(AtomicI64);

impl Bucket {
    const FILLING: i64 = BURST * INTERVAL_MILLIS;

    /// Takes a token, where there is one.
    fn take(&self, now: i64) -> bool {
        let taken = |full_at: i64| {
            // Further away than an empty bucket's: the clock was set back, and what was counted before means nothing.
            let missing = (full_at - now).max(0);
            let missing = if missing > Self::FILLING { 0 } else { missing };
            (missing + INTERVAL_MILLIS <= Self::FILLING).then_some(now + missing + INTERVAL_MILLIS)
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> i64 {
        1_767_225_600_000 + second * 1000
    }

    #[test]
    fn a_burst_then_one_a_second_and_never_more_than_a_burst() {
        let bucket = Bucket::default();
        let taken = |now: i64| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(at(0)), 20);
        assert_eq!(taken(at(0) + 999), 0);
        assert_eq!(taken(at(1)), 1);
        assert_eq!(taken(at(4)), 3);
        assert_eq!(taken(at(100_000)), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_close_the_quarantine() {
        let bucket = Bucket::default();
        assert!(bucket.take(at(0)));
        assert!(bucket.take(at(-1_000_000)));
    }

    #[test]
    fn each_reason_and_each_source_has_a_rate_of_its_own() {
        let sampler = QuarantineSampler::default();
        let a = sampler.rates(&"a".into());
        for reason in Reason::ALL {
            assert_eq!((0..100).filter(|_| a.take(reason, at(0))).count(), 20, "{reason:?}");
        }
        assert!(!sampler.rates(&"a".into()).take(Reason::IdConflict, at(0)), "asked for again, as a reload does");
        assert!(sampler.rates(&"b".into()).take(Reason::IdConflict, at(0)));
    }
}
