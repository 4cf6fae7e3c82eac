//! Settling: what has ended and is not in the store yet, and when to write it there.
//!
//! No futures here: [`super::pipeline`] makes the calls, this decides which.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::poll::RETRY_INTERVAL;
use super::store_health::StoreHealth;
use crate::store::{DeliveryId, Settled, Settlement};

/// Between two commits, unless [`BATCH`] results wait: a commit costs the same for one as for many.
const LINGER: Duration = Duration::from_millis(5);
/// Results that are worth a commit at once.
const BATCH: usize = 128;
/// Results waiting for the store, at most, before nothing more is claimed.
const MAX_UNSETTLED: usize = 1024;
/// A commit that takes longer may fail, and is waited for before the next poll.
const SLOW: Duration = Duration::from_secs(1);

/// The results of one sink on their way into the store.
pub(super) struct Settling {
    results: Vec<Settlement>,
    /// Not before this, unless there are many.
    commit_at: Instant,
    /// When the commit under way began, and how soon the first of what is in it is due again.
    commit: Option<(Instant, Option<Duration>)>,
}

impl Settling {
    pub(super) const fn new(now: Instant) -> Self {
        Self { results: Vec::new(), commit_at: now, commit: None }
    }

    pub(super) fn add(&mut self, settlement: Settlement) {
        self.results.push(settlement);
    }

    pub(super) fn extend(&mut self, settlements: impl IntoIterator<Item = Settlement>) {
        self.results.extend(settlements);
    }

    /// Whether everything is in the store.
    pub(super) fn is_finished(&self) -> bool {
        self.commit.is_none() && self.results.is_empty()
    }

    /// Whether so much waits that nothing more is to be claimed.
    pub(super) fn is_full(&self) -> bool {
        self.results.len() > MAX_UNSETTLED
    }

    /// Whether results have to be in the store before anything is claimed, here or by others: a poll that came before them
    /// might claim, once its lease is over, what is delivered already.
    pub(super) fn goes_first(&self, now: Instant, store: &StoreHealth) -> bool {
        !store.lets_claim(now)
            || (store.is_failing() && !self.is_finished())
            || self.commit.is_some_and(|(began, _)| now > began + SLOW)
    }

    /// What to commit now, if anything.
    pub(super) fn begin_commit(&mut self, now: Instant, store: &StoreHealth) -> Option<Vec<Settlement>> {
        let many = self.results.len() >= BATCH && !store.is_failing();
        if self.commit.is_some() || self.results.is_empty() || (now < self.commit_at && !many) {
            return None;
        }
        self.commit_at = now + LINGER;
        let settlements = std::mem::take(&mut self.results);
        self.commit = Some((now, settlements.iter().filter_map(due_again).min()));
        Some(settlements)
    }

    /// The commit is done. Returns how soon the first of what was in it is due again.
    pub(super) fn committed(&mut self) -> Option<Duration> {
        self.commit.take().and_then(|(_, due_again)| due_again)
    }

    /// The commit of `settlements` failed; it is tried again. Returns when it began.
    pub(super) fn commit_failed(&mut self, now: Instant, settlements: Vec<Settlement>) -> Instant {
        self.results.extend(settlements);
        self.commit_at = now + RETRY_INTERVAL;
        self.commit.take().map_or(now, |(began, _)| began)
    }

    /// When the next commit is due, unless one is under way or there is nothing to write.
    pub(super) fn commit_due_at(&self) -> Option<Instant> {
        (self.commit.is_none() && !self.results.is_empty()).then_some(self.commit_at)
    }

    /// Gives results whose delivery was claimed a second time since the new lease, by which they count. Returns which.
    pub(super) fn renew(&mut self, renewed: &HashMap<DeliveryId, i64>) -> Vec<DeliveryId> {
        let mut known = Vec::new();
        for result in &mut self.results {
            if let Some(lease) = renewed.get(&result.id) {
                result.lease = *lease;
                known.push(result.id);
            }
        }
        known
    }

    /// All that is not in the store and not on its way there.
    pub(super) fn into_rest(self) -> Vec<Settlement> {
        self.results
    }
}

/// How soon what is settled so is to be delivered again.
const fn due_again(settlement: &Settlement) -> Option<Duration> {
    match settlement.outcome {
        Settled::Retry { after, .. } | Settled::Released { after } => Some(after),
        Settled::Done { .. } | Settled::Dead { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::lease;
    use super::*;

    fn done(id: i64) -> Settlement {
        lease(id, 0, Duration::ZERO).settle(Settled::Done { duplicate: false })
    }

    #[test]
    fn results_that_come_in_quick_succession_share_a_commit() {
        let now = Instant::now();
        let (mut settling, store) = (Settling::new(now), StoreHealth::new(now));
        assert!(settling.begin_commit(now, &store).is_none(), "there is nothing");
        settling.add(done(1));
        assert_eq!(settling.begin_commit(now, &store).unwrap().len(), 1);
        settling.add(done(2));
        assert!(
            settling.begin_commit(now + SLOW, &store).is_none() && settling.commit_due_at().is_none(),
            "one at once"
        );
        assert_eq!(settling.committed(), None);
        assert!(settling.begin_commit(now, &store).is_none());
        settling.add(done(3));
        assert_eq!(settling.commit_due_at(), Some(now + LINGER));
        assert_eq!(settling.begin_commit(now + LINGER, &store).unwrap().len(), 2);
        settling.committed();
        settling.extend((0..128).map(done));
        assert_eq!(settling.begin_commit(now + LINGER, &store).unwrap().len(), BATCH, "many do not wait");
        settling.committed();
        assert!(settling.is_finished());
    }

    #[test]
    fn what_is_due_again_is_said_with_its_commit() {
        let now = Instant::now();
        let (mut settling, store) = (Settling::new(now), StoreHealth::new(now));
        let retry = |seconds| Settled::Retry { after: Duration::from_secs(seconds), error: String::new() };
        settling.extend([3, 2].map(|seconds| lease(1, 0, Duration::ZERO).settle(retry(seconds))));
        settling.add(done(2));
        settling.begin_commit(now, &store);
        assert_eq!(settling.committed(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_commit_that_failed_is_tried_again_and_goes_before_claims() {
        let now = Instant::now();
        let (mut settling, mut store) = (Settling::new(now), StoreHealth::new(now));
        settling.extend((0..200).map(done));
        let batch = settling.begin_commit(now, &store).unwrap();
        assert!(!settling.goes_first(now + SLOW, &store));
        let later = now + SLOW + LINGER;
        assert!(settling.goes_first(later, &store), "it is slow");
        assert_eq!(settling.commit_failed(later, batch), now);
        store.failed(now);
        assert!(settling.goes_first(later, &store));
        assert!(settling.begin_commit(later, &store).is_none(), "many wait, too, while the store fails");
        assert_eq!(settling.begin_commit(later + RETRY_INTERVAL, &store).unwrap().len(), 200);
        settling.committed();
        assert!(!settling.goes_first(later, &store));
    }

    #[test]
    fn a_result_counts_by_the_lease_of_a_second_claim() {
        let now = Instant::now();
        let mut settling = Settling::new(now);
        settling.extend([done(1), done(2)]);
        let renewed = HashMap::from([(DeliveryId(2), 77), (DeliveryId(3), 78)]);
        assert_eq!(settling.renew(&renewed), [DeliveryId(2)]);
        assert_eq!(settling.into_rest().iter().map(|result| result.lease).collect::<Vec<_>>(), [1, 77]);
    }

    #[test]
    fn too_many_unsettled_results_stop_claims() {
        let mut settling = Settling::new(Instant::now());
        settling.extend((0..1024).map(done));
        assert!(!settling.is_full());
        settling.add(done(1024));
        assert!(settling.is_full());
    }
}
