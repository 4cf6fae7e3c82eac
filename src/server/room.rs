//! Room for a few connections: when it is full, whoever has been idle longest makes way for the next.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;

/// The connections of one listener. There are few, so that looking at each of them is nothing.
#[derive(Default)]
pub(super) struct Room {
    seats: Mutex<Seats>,
    left: Notify,
}

#[derive(Default)]
struct Seats {
    taken: BTreeMap<u64, Taken>,
    next: u64,
}

struct Taken {
    since: Instant,
    activity: Arc<Activity>,
    leave: CancellationToken,
}

impl Room {
    /// A seat for a connection that reports to `activity`, once fewer than `max` are taken.
    pub(super) async fn enter(self: &Arc<Self>, max: usize, activity: Arc<Activity>) -> Seat {
        loop {
            // Armed before looking, so that who leaves in between is noticed.
            let left = self.left.notified();
            {
                let mut seats = self.lock();
                if seats.taken.len() < max.max(1) {
                    let (number, leave) = (seats.next, CancellationToken::new());
                    seats.next += 1;
                    let taken = Taken { since: Instant::now(), activity, leave: leave.clone() };
                    seats.taken.insert(number, taken);
                    return Seat { room: Arc::clone(self), number, leave };
                }
                seats.dismiss_one();
            }
            left.await;
        }
    }

    /// Asks everybody to leave who has no request in flight.
    pub(super) fn dismiss_idle(&self) {
        let seats = self.lock();
        seats
            .taken
            .values()
            .filter(|taken| taken.activity.idle_since().is_some())
            .for_each(|taken| taken.leave.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Every change is one insertion or removal.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// The longest idle goes, half a head counting as idle; where all are busy, the oldest. One that was asked already
    /// and has not left yet is still the one.
    fn dismiss_one(&self) {
        if self.taken.values().any(|taken| taken.leave.is_cancelled()) {
            return;
        }
        let rank = |taken: &&Taken| taken.activity.idle_since().map_or((1, taken.since), |since| (0, since));
        if let Some(taken) = self.taken.values().min_by_key(rank) {
            taken.leave.cancel();
        }
    }
}

/// One connection's place; free again when dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    number: u64,
    leave: CancellationToken,
}

impl Seat {
    /// Waits until the connection is to leave.
    pub(super) async fn dismissed(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().taken.remove(&self.number);
        self.room.left.notify_waiters();
    }
}
