//! Handing over: a new delivery goes from its commit straight to the dispatcher that has room for it, so that nobody has to find it
//! and read it back.
//!
//! In the table it is claimed as any other, for as long as any other: what a process that ends had in hand passes on with its
//! lease. Whatever finds no room waits in the table.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::event::{Event, Name, Payload};
use crate::store::claimed::Claimed;

/// The largest body that is handed over, in bytes: what waits in memory for a sink stays small, and a larger one costs little more
/// for being read back.
const LARGEST: usize = 16 << 10;

/// What one dispatcher has room for, and what has come for it.
#[derive(Debug)]
pub struct Handover {
    lease: Duration,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many more may be promised.
    room: usize,
    /// How many are on their way.
    promised: usize,
    handed: Vec<Handed>,
}

/// A delivery that was handed over.
#[derive(Debug)]
pub struct Handed {
    /// The delivery, claimed by whom it is handed to.
    pub claimed: Claimed,
    /// The lease began after this.
    pub asked: Instant,
}

impl Handover {
    /// For a dispatcher whose leases last for `lease`; without room at first.
    #[must_use]
    pub fn new(lease: Duration) -> Arc<Self> {
        Arc::new(Self { lease, state: Mutex::default(), arrived: Notify::new() })
    }

    /// From now on there is room for `room`, of which those take up a part that are on their way or were not taken yet.
    pub fn offer(&self, room: usize) {
        let mut state = self.lock();
        state.room = room.saturating_sub(state.outstanding());
    }

    /// How many are on their way, or there and not taken yet.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.lock().outstanding()
    }

    /// Takes what has come.
    #[must_use]
    pub fn take(&self) -> Vec<Handed> {
        std::mem::take(&mut self.lock().handed)
    }

    /// Resolves when something has come, or will not come, since the last time.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes up a place, where there is one, for a lease that begins after `asked`.
    #[must_use]
    pub fn promise(self: &Arc<Self>, asked: Instant) -> Option<Promise> {
        let mut state = self.lock();
        state.room = state.room.checked_sub(1)?;
        state.promised += 1;
        Some(Promise { to: Arc::clone(self), asked })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in there panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn outstanding(&self) -> usize {
        self.promised + self.handed.len()
    }
}

/// A place that is kept for a delivery; free again when this is dropped.
#[derive(Debug)]
pub struct Promise {
    to: Arc<Handover>,
    asked: Instant,
}

impl Promise {
    /// How long what is handed over is to be claimed for.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.to.lease
    }

    /// Hands `claimed` over, which is in the store by now.
    pub fn keep(self, claimed: Claimed) {
        self.to.lock().handed.push(Handed { claimed, asked: self.asked });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.to.lock().promised -= 1;
        self.to.arrived.notify_one();
    }
}

/// The dispatchers of this process that deliveries may be handed to.
#[derive(Clone, Debug, Default)]
pub(super) struct Handovers(Arc<Mutex<HashMap<Name, Weak<Handover>>>>);

impl Handovers {
    /// From now on new deliveries of `sink` go to `handover`, as long as there is one.
    pub(super) fn set(&self, sink: &Name, handover: &Arc<Handover>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| known.strong_count() > 0);
        all.insert(sink.clone(), Arc::downgrade(handover));
    }

    /// Where new deliveries of `sink` go.
    pub(super) fn get(&self, sink: &Name) -> Option<Arc<Handover>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(sink)?.upgrade()
    }
}

/// Whether `event` is small enough to be handed over.
pub(super) fn is_small(event: &Event) -> bool {
    event.payload.bytes().len() <= LARGEST
}

/// `event` as it is handed over: with a body of its own, that of `copy`, which counts no longer towards what is being received.
pub(super) fn apart(event: &Event, copy: &mut Option<Payload>) -> Event {
    let body = || Bytes::copy_from_slice(event.payload.bytes()).into();
    Event { payload: copy.get_or_insert_with(body).clone(), ..event.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::delivery::DeliveryId;

    fn claimed(id: i64) -> Claimed {
        let event = Err("not read".to_owned());
        Claimed { id: DeliveryId(id), lease: 1, attempts: 0, replay: 0, age: Duration::ZERO, event }
    }

    fn ids(handed: Vec<Handed>) -> Vec<i64> {
        handed.into_iter().map(|handed| handed.claimed.id.0).collect()
    }

    #[tokio::test]
    async fn no_more_is_promised_than_there_is_room_for_and_what_is_on_its_way_takes_up_room() {
        let (handover, now) = (Handover::new(Duration::from_secs(30)), Instant::now());
        assert!(handover.promise(now).is_none(), "nothing was offered");
        handover.offer(2);
        let (first, second) = (handover.promise(now).unwrap(), handover.promise(now).unwrap());
        assert!(handover.promise(now).is_none());
        first.keep(claimed(1));
        handover.arrived().await;
        handover.offer(3);
        assert_eq!(handover.outstanding(), 2);
        let third = handover.promise(now).unwrap();
        assert!(handover.promise(now).is_none(), "one has come and two are on their way");
        assert_eq!(ids(handover.take()), [1]);
        third.keep(claimed(3));
        second.keep(claimed(2));
        assert_eq!(ids(handover.take()), [3, 2]);
        assert_eq!(handover.outstanding(), 0);
        handover.offer(0);
        assert!(handover.promise(now).is_none());
    }

    #[tokio::test]
    async fn a_promise_that_is_not_kept_is_told_and_takes_up_nothing() {
        let (handover, now) = (Handover::new(Duration::from_secs(30)), Instant::now());
        handover.offer(1);
        drop(handover.promise(now).unwrap());
        handover.arrived().await;
        assert_eq!((handover.outstanding(), handover.take().len()), (0, 0));
    }

    #[test]
    fn a_dispatcher_that_is_gone_gets_nothing_and_its_successor_does() {
        let (handovers, sink) = (Handovers::default(), Name::from("orders"));
        assert!(handovers.get(&sink).is_none());
        let first = Handover::new(Duration::ZERO);
        handovers.set(&sink, &first);
        assert!(handovers.get(&sink).is_some());
        drop(first);
        assert!(handovers.get(&sink).is_none());
        let second = Handover::new(Duration::ZERO);
        handovers.set(&sink, &second);
        assert!(Arc::ptr_eq(&handovers.get(&sink).unwrap(), &second));
    }
}
