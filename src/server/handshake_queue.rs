//! The queue for TLS handshakes: a bounded number at once, a share of it for each client, round robin between clients.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// One client's share of the slots, as a divisor (contract 7).
const SHARE: usize = 8;
/// How long a handshake may take while others wait for its slot: several round trips to the other side of the world.
const PATIENCE: Duration = Duration::from_secs(2);

/// The slots of one listener, and who waits for one.
pub(super) struct HandshakeQueue {
    state: Mutex<State>,
    max: usize,
}

/// Whom a handshake counts for; `None` for a trusted proxy, which stands for many clients and has no share.
pub(super) type Holder = Option<IpAddr>;

#[derive(Default)]
struct State {
    running: usize,
    /// Those of them that were not told to give up, oldest first.
    oldest: BTreeMap<u64, Running>,
    holders: HashMap<Holder, HolderState>,
    /// Who waits and has room in its share, each once; the first is next.
    round_robin: VecDeque<Holder>,
    last_number: u64,
}

struct Running {
    holder: Holder,
    since: Instant,
    revoked: CancellationToken,
}

#[derive(Default)]
struct HolderState {
    running: usize,
    oldest: BTreeSet<u64>,
    waiting: BTreeMap<u64, oneshot::Sender<HandshakeSlot>>,
    in_round_robin: bool,
}

impl HandshakeQueue {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), max })
    }

    /// A slot for a handshake of `holder`: first in, first out for one client, round robin between clients. While somebody
    /// waits, the oldest handshake that keeps it waiting is told to give up once it has taken two seconds.
    pub(super) async fn acquire(self: &Arc<Self>, holder: Holder) -> HandshakeSlot {
        let mut waiting = Waiting::join(self, holder);
        let mut soonest = Instant::now();
        loop {
            let due = self.lock().revocation_due(holder, self.max).unwrap_or_else(|| Instant::now() + PATIENCE);
            tokio::select! {
                biased;
                slot = &mut waiting.slot => match slot {
                    Ok(slot) => return slot,
                    // Nobody drops a sender unused; were it so, waiting again would be right.
                    Err(_) => waiting = Waiting::join(self, holder),
                },
                () = sleep_until(due.max(soonest)) => {
                    self.lock().revoke_overdue(holder, self.max);
                    // One for one who waits: not the next before that one had time to end.
                    soonest = Instant::now() + PATIENCE;
                }
            }
        }
    }

    /// Gives free slots to those who are next. Sent outside the lock: a slot that nobody receives is dropped, which passes
    /// it on.
    fn hand_out(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut given = Vec::new();
        while state.running < self.max {
            let Some((holder, sender)) = state.next_in_line(self.max) else { break };
            let revoked = CancellationToken::new();
            let number = state.begin(holder, revoked.clone(), self.max);
            given.push((sender, HandshakeSlot { queue: Arc::clone(self), number, holder, revoked }));
        }
        drop(state);
        for (sender, slot) in given {
            drop(sender.send(slot));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counting cannot panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_in_line(&mut self, max: usize) -> Option<(Holder, oneshot::Sender<HandshakeSlot>)> {
        while let Some(holder) = self.round_robin.pop_front() {
            let Some(held) = self.holders.get_mut(&holder) else { continue };
            held.in_round_robin = false;
            if held.running < share(holder, max)
                && let Some((_, sender)) = held.waiting.pop_first()
            {
                return Some((holder, sender));
            }
            self.forget_if_gone(holder);
        }
        None
    }

    fn begin(&mut self, holder: Holder, revoked: CancellationToken, max: usize) -> u64 {
        let number = self.next_number();
        self.running += 1;
        self.oldest.insert(number, Running { holder, since: Instant::now(), revoked });
        let held = self.holders.entry(holder).or_default();
        held.running += 1;
        held.oldest.insert(number);
        self.line_up(holder, max);
        number
    }

    fn end(&mut self, holder: Holder, number: u64, max: usize) {
        self.running -= 1;
        self.oldest.remove(&number);
        if let Some(held) = self.holders.get_mut(&holder) {
            held.running -= 1;
            held.oldest.remove(&number);
        }
        self.line_up(holder, max);
        self.forget_if_gone(holder);
    }

    /// Behind the others, where somebody waits and there is room in the share.
    fn line_up(&mut self, holder: Holder, max: usize) {
        if let Some(held) = self.holders.get_mut(&holder)
            && !held.in_round_robin
            && !held.waiting.is_empty()
            && held.running < share(holder, max)
        {
            held.in_round_robin = true;
            self.round_robin.push_back(holder);
        }
    }

    fn forget_if_gone(&mut self, holder: Holder) {
        if self
            .holders
            .get(&holder)
            .is_some_and(|held| held.running == 0 && held.waiting.is_empty() && !held.in_round_robin)
        {
            self.holders.remove(&holder);
        }
    }

    /// The handshake that keeps `holder` waiting: the oldest of its own where its share is used up, of all where no slot is
    /// free.
    fn blocking(&self, holder: Holder, max: usize) -> Option<(u64, &Running)> {
        let own = self.holders.get(&holder).filter(|held| held.running >= share(holder, max));
        let number = match own {
            Some(held) => held.oldest.first(),
            None if self.running >= max => self.oldest.keys().next(),
            None => None,
        }?;
        self.oldest.get(number).map(|running| (*number, running))
    }

    /// When that one has had its time.
    fn revocation_due(&self, holder: Holder, max: usize) -> Option<Instant> {
        self.blocking(holder, max).map(|(_, running)| running.since + PATIENCE)
    }

    /// Tells it to give up, if it has. It keeps its slot until it has noticed.
    fn revoke_overdue(&mut self, holder: Holder, max: usize) {
        let now = Instant::now();
        let due = self.blocking(holder, max).filter(|(_, running)| running.since + PATIENCE <= now);
        let Some(number) = due.map(|(number, _)| number) else { return };
        if let Some(running) = self.oldest.remove(&number) {
            running.revoked.cancel();
            if let Some(held) = self.holders.get_mut(&running.holder) {
                held.oldest.remove(&number);
            }
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

/// How many slots `holder` may have at once.
fn share(holder: Holder, max: usize) -> usize {
    if holder.is_some() { (max / SHARE).max(1) } else { max }
}

/// A place in the queue; left when dropped.
struct Waiting {
    queue: Arc<HandshakeQueue>,
    holder: Holder,
    number: u64,
    slot: oneshot::Receiver<HandshakeSlot>,
}

impl Waiting {
    fn join(queue: &Arc<HandshakeQueue>, holder: Holder) -> Self {
        let (sender, slot) = oneshot::channel();
        let mut state = queue.lock();
        let number = state.next_number();
        state.holders.entry(holder).or_default().waiting.insert(number, sender);
        state.line_up(holder, queue.max);
        queue.hand_out(state);
        Self { queue: Arc::clone(queue), holder, number, slot }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        if let Some(held) = state.holders.get_mut(&self.holder) {
            held.waiting.remove(&self.number);
        }
        state.forget_if_gone(self.holder);
    }
}

/// The right to handshake; given back when dropped.
pub(super) struct HandshakeSlot {
    queue: Arc<HandshakeQueue>,
    number: u64,
    holder: Holder,
    revoked: CancellationToken,
}

impl HandshakeSlot {
    /// Waits until the handshake has taken too long while others wait for its slot.
    pub(super) async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.end(self.holder, self.number, self.queue.max);
        self.queue.hand_out(state);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::poll;

    use super::*;

    const A: Holder = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Holder = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    type Taking = Pin<Box<dyn Future<Output = HandshakeSlot>>>;

    /// In line already.
    async fn taking(queue: &Arc<HandshakeQueue>, holder: Holder) -> Taking {
        let queue = Arc::clone(queue);
        let mut taking: Taking = Box::pin(async move { queue.acquire(holder).await });
        assert!(poll!(&mut taking).is_pending(), "there was a slot");
        taking
    }

    async fn several(queue: &Arc<HandshakeQueue>, holder: Holder, number: usize) -> Vec<HandshakeSlot> {
        let mut taken = Vec::new();
        for _ in 0..number {
            taken.push(queue.acquire(holder).await);
        }
        taken
    }

    fn ip(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_an_eighth_and_the_others_do_not_wait_behind_it() {
        let queue = HandshakeQueue::new(16);
        let mut held = several(&queue, A, 2).await;
        let mut third = taking(&queue, A).await;
        drop(several(&queue, B, 2).await);
        assert!(poll!(&mut third).is_pending());
        held.pop();
        drop(third.await);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_alternate_whatever_the_length_of_their_lines() {
        let queue = HandshakeQueue::new(16);
        let mut held = Vec::new();
        for number in 10..18 {
            held.extend(several(&queue, Some(ip(number)), 2).await);
        }
        let mut crowd = Vec::new();
        for _ in 0..100 {
            crowd.push(taking(&queue, A).await);
        }
        let mut single = taking(&queue, B).await;
        held.truncate(14);
        let first = poll!(&mut crowd[0]);
        assert!(first.is_ready() && poll!(&mut crowd[1]).is_pending() && poll!(&mut single).is_ready());
        // The single one is done: the crowd is next again.
        assert!(poll!(&mut crowd[1]).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trusted_proxy_has_no_share() {
        let queue = HandshakeQueue::new(16);
        let held = several(&queue, None, 16).await;
        let waiting = taking(&queue, B).await;
        drop(held);
        drop(waiting.await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_in_line_or_with_a_slot_leaves_nothing_behind() {
        let queue = HandshakeQueue::new(8);
        let first = queue.acquire(A).await;
        let (second, third) = (taking(&queue, A).await, taking(&queue, A).await);
        drop(second);
        // The third is given the slot and never looks.
        drop(first);
        drop(third);
        drop(queue.acquire(A).await);
        let state = queue.lock();
        assert!(
            state.holders.is_empty() && state.running == 0 && state.oldest.is_empty() && state.round_robin.is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stands_in_the_way_is_told_to_give_up_after_its_time() {
        let queue = HandshakeQueue::new(8);
        let begun = Instant::now();
        let mut held = Vec::new();
        for number in 10..18 {
            held.push(queue.acquire(Some(ip(number))).await);
        }
        tokio::time::sleep(PATIENCE * 10).await;
        assert!(held.iter().all(|slot| !slot.revoked.is_cancelled()), "nobody waits");
        let mut waiting = Box::pin(queue.acquire(A));
        assert!(poll!(&mut waiting).is_pending());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(poll!(&mut waiting).is_pending());
        assert!(held[0].revoked.is_cancelled() && !held[1].revoked.is_cancelled(), "the oldest, for one who waits");
        held.remove(0);
        drop(waiting.await);
        assert!(begun.elapsed() < PATIENCE * 11);
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_full_share_it_is_the_own_oldest() {
        let queue = HandshakeQueue::new(16);
        let others = queue.acquire(B).await;
        let held = several(&queue, A, 2).await;
        let mut waiting = Box::pin(queue.acquire(A));
        assert!(poll!(&mut waiting).is_pending());
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(poll!(&mut waiting).is_pending());
        assert!(!held[0].revoked.is_cancelled(), "it still has time");
        tokio::time::sleep(PATIENCE).await;
        assert!(poll!(&mut waiting).is_pending());
        assert!(held[0].revoked.is_cancelled() && !others.revoked.is_cancelled());
    }
}
