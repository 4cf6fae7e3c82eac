//! Whether the store answers, and when to claim again after it did not.

use std::time::Duration;

use tokio::time::Instant;

/// An outage that lasted longer may have outlasted leases whose deliveries were made.
const LONG_OUTAGE: Duration = Duration::from_secs(5);
/// After such an outage, before anything is claimed: other processes are to settle first what they delivered, and may be
/// waiting for a call that will fail (a store gives up after eight seconds).
const OTHERS_SETTLE_FIRST: Duration = Duration::from_secs(9);

/// What the last call to the store came to.
pub(super) struct StoreHealth {
    failing_since: Option<Instant>,
    claim_from: Instant,
}

impl StoreHealth {
    pub(super) const fn new(now: Instant) -> Self {
        Self { failing_since: None, claim_from: now }
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    /// Whether claims may be made at `now` as far as other processes are concerned.
    pub(super) fn lets_claim(&self, now: Instant) -> bool {
        now >= self.claim_from
    }

    /// A call failed that began at `began`. Says whether that is news.
    pub(super) fn failed(&mut self, began: Instant) -> bool {
        let news = self.failing_since.is_none();
        self.failing_since.get_or_insert(began);
        news
    }

    /// A call succeeded.
    pub(super) fn succeeded(&mut self, now: Instant) {
        if let Some(since) = self.failing_since.take()
            && now.duration_since(since) >= LONG_OUTAGE
        {
            self.claim_from = now + OTHERS_SETTLE_FIRST;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_outage_lets_others_settle_first() {
        let start = Instant::now();
        let mut store = StoreHealth::new(start);
        assert!(store.failed(start) && !store.failed(start + Duration::from_secs(1)) && store.is_failing());
        store.succeeded(start + Duration::from_millis(4999));
        assert!(!store.is_failing() && store.lets_claim(start + Duration::from_millis(4999)));
        assert!(store.failed(start));
        store.succeeded(start + Duration::from_secs(5));
        assert!(!store.lets_claim(start + Duration::from_millis(13_999)));
        assert!(store.lets_claim(start + Duration::from_secs(14)));
    }
}
