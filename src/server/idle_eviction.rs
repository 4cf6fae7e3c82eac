//! A few connections, and always one more: at the most, the one that has been idle longest is evicted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// The connections of one listener: few enough to look at each.
#[derive(Default)]
pub(super) struct IdleEviction {
    slots: Mutex<Slots>,
    left: Notify,
}

#[derive(Default)]
struct Slots {
    taken: BTreeMap<u64, Taken>,
    next: u64,
}

struct Taken {
    since: Instant,
    activity: Arc<Activity>,
    evict: CancellationToken,
}

impl IdleEviction {
    /// A slot for a connection that reports to `activity`, once fewer than `max` are taken.
    pub(super) async fn acquire(self: &Arc<Self>, max: usize, activity: Arc<Activity>) -> EvictableSlot {
        loop {
            // Armed before looking, so that who leaves in between is noticed.
            let left = self.left.notified();
            {
                let mut slots = self.lock();
                if slots.taken.len() < max.max(1) {
                    let (number, evict) = (slots.next, CancellationToken::new());
                    slots.next += 1;
                    let taken = Taken { since: Instant::now(), activity, evict: evict.clone() };
                    slots.taken.insert(number, taken);
                    return EvictableSlot { slots: Arc::clone(self), number, evict };
                }
                slots.evict_one();
            }
            left.await;
        }
    }

    /// Evicts all that have no request in flight.
    pub(super) fn evict_idle(&self) {
        let slots = self.lock();
        slots
            .taken
            .values()
            .filter(|taken| taken.activity.idle_since().is_some())
            .for_each(|taken| taken.evict.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Every change is one insertion or removal.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// The longest idle goes, half a head counting as idle; where all are busy, the oldest. One that was evicted and has
    /// not closed yet is still the one.
    fn evict_one(&self) {
        if self.taken.values().any(|taken| taken.evict.is_cancelled()) {
            return;
        }
        let rank = |taken: &&Taken| taken.activity.idle_since().map_or((1, taken.since), |since| (0, since));
        if let Some(taken) = self.taken.values().min_by_key(rank) {
            taken.evict.cancel();
        }
    }
}

/// One connection's slot; free again when dropped.
pub(super) struct EvictableSlot {
    slots: Arc<IdleEviction>,
    number: u64,
    evict: CancellationToken,
}

impl EvictableSlot {
    /// Waits until the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evict.cancelled().await;
    }
}

impl Drop for EvictableSlot {
    fn drop(&mut self) {
        self.slots.lock().taken.remove(&self.number);
        self.slots.left.notify_waiters();
    }
}
