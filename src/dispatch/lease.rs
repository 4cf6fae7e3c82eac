//! A delivery that this process has claimed, without its event.

use std::time::Duration;

use tokio::time::Instant;

use crate::sink::Attempt;
use crate::store::{Claimed, DeliveryId, Settled, Settlement};

/// What is known of a claimed delivery besides its event.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeliveryLease {
    pub id: DeliveryId,
    /// What the store knows the claim by; one that was claimed again since has another.
    pub token: i64,
    /// Attempts that failed before.
    pub failures: u32,
    replay: u32,
    age_when_claimed: Duration,
    /// When the store was asked for it: the lease began after this.
    pub asked: Instant,
}

impl DeliveryLease {
    /// The lease of `claimed`, for which the store was asked at `asked`.
    #[must_use]
    pub(super) const fn of(claimed: &Claimed, asked: Instant) -> Self {
        Self {
            id: claimed.id,
            token: claimed.lease,
            failures: claimed.attempts,
            replay: claimed.replay,
            age_when_claimed: claimed.age,
            asked,
        }
    }

    /// The attempt that is next.
    #[must_use]
    pub(super) const fn attempt(&self) -> Attempt {
        Attempt { number: self.failures.saturating_add(1), replay: self.replay }
    }

    /// How old the delivery is at `now`.
    #[must_use]
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age_when_claimed.saturating_add(now.saturating_duration_since(self.asked))
    }

    /// Settles it with `outcome`.
    #[must_use]
    pub(super) const fn settle(&self, outcome: Settled) -> Settlement {
        Settlement { id: self.id, lease: self.token, outcome }
    }

    /// Releases it as if it had never been claimed, to be claimed again after `after`.
    #[must_use]
    pub(super) const fn release(&self, after: Duration) -> Settlement {
        self.settle(Settled::Released { after })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::lease;
    use super::*;

    #[test]
    fn a_delivery_grows_older_while_it_is_in_flight() {
        let lease = lease(1, 0, Duration::from_secs(10));
        assert_eq!(lease.age(lease.asked + Duration::from_secs(5)), Duration::from_secs(15));
    }
}
