//! Whose TLS handshake is next: a bounded number at once, a share of it for each client, and the clients take turns.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// One client's part of all turns, as a divisor (contract 7).
const SHARE: usize = 8;
/// How long a handshake may take while others wait for its turn: several round trips to the other side of the world.
const PATIENCE: Duration = Duration::from_secs(2);

/// The turns of one listener.
pub(super) struct Turns {
    state: Mutex<State>,
    max: usize,
}

/// Whom a turn counts for; `None` for a trusted proxy, who stands for many clients and is held to no share.
pub(super) type Holder = Option<IpAddr>;

#[derive(Default)]
struct State {
    under_way: usize,
    /// Those under way that were not told to give up, in the order in which they began.
    oldest: BTreeMap<u64, Turning>,
    holders: HashMap<Holder, Held>,
    /// Who waits and has room in its share, each once; the first is next.
    ring: VecDeque<Holder>,
    next: u64,
}

struct Turning {
    holder: Holder,
    since: Instant,
    revoked: CancellationToken,
}

#[derive(Default)]
struct Held {
    under_way: usize,
    oldest: BTreeSet<u64>,
    waiting: BTreeMap<u64, oneshot::Sender<Turn>>,
    in_ring: bool,
}

impl Turns {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), max })
    }

    /// A turn for a handshake of `holder`. Who waits, waits behind its own and takes turns with the others. While somebody
    /// waits, the handshake that stands in the way and has taken longest is told to give up after two seconds.
    pub(super) async fn take(self: &Arc<Self>, holder: Holder) -> Turn {
        let mut waiting = Waiting::join(self, holder);
        let mut soonest = Instant::now();
        loop {
            let relief = self.lock().relief(holder, self.max).unwrap_or_else(|| Instant::now() + PATIENCE);
            tokio::select! {
                biased;
                turn = &mut waiting.turn => match turn {
                    Ok(turn) => return turn,
                    // Nobody drops a sender unused; were it so, waiting again would be right.
                    Err(_) => waiting = Waiting::join(self, holder),
                },
                () = sleep_until(relief.max(soonest)) => {
                    self.lock().relieve(holder, self.max);
                    // One for one who waits: not the next before that one had time to go.
                    soonest = Instant::now() + PATIENCE;
                }
            }
        }
    }

    /// Gives the free turns to those who are next. Outside the lock: a turn that nobody takes passes on by itself.
    fn pass_on(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut given = Vec::new();
        while state.under_way < self.max {
            let Some((holder, sender)) = state.next_in_line(self.max) else { break };
            let revoked = CancellationToken::new();
            let number = state.begin(holder, revoked.clone(), self.max);
            given.push((sender, Turn { turns: Arc::clone(self), number, holder, revoked }));
        }
        drop(state);
        for (sender, turn) in given {
            drop(sender.send(turn));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counting cannot panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_in_line(&mut self, max: usize) -> Option<(Holder, oneshot::Sender<Turn>)> {
        while let Some(holder) = self.ring.pop_front() {
            let Some(held) = self.holders.get_mut(&holder) else { continue };
            held.in_ring = false;
            if held.under_way < share(holder, max)
                && let Some((_, sender)) = held.waiting.pop_first()
            {
                return Some((holder, sender));
            }
            self.forget_if_gone(holder);
        }
        None
    }

    fn begin(&mut self, holder: Holder, revoked: CancellationToken, max: usize) -> u64 {
        let number = self.number();
        self.under_way += 1;
        self.oldest.insert(number, Turning { holder, since: Instant::now(), revoked });
        let held = self.holders.entry(holder).or_default();
        held.under_way += 1;
        held.oldest.insert(number);
        self.line_up(holder, max);
        number
    }

    fn end(&mut self, holder: Holder, number: u64, max: usize) {
        self.under_way -= 1;
        self.oldest.remove(&number);
        if let Some(held) = self.holders.get_mut(&holder) {
            held.under_way -= 1;
            held.oldest.remove(&number);
        }
        self.line_up(holder, max);
        self.forget_if_gone(holder);
    }

    /// Into the ring, behind the others, where somebody waits and there is room in the share.
    fn line_up(&mut self, holder: Holder, max: usize) {
        if let Some(held) = self.holders.get_mut(&holder)
            && !held.in_ring
            && !held.waiting.is_empty()
            && held.under_way < share(holder, max)
        {
            held.in_ring = true;
            self.ring.push_back(holder);
        }
    }

    fn forget_if_gone(&mut self, holder: Holder) {
        if self.holders.get(&holder).is_some_and(|held| held.under_way == 0 && held.waiting.is_empty() && !held.in_ring)
        {
            self.holders.remove(&holder);
        }
    }

    /// The handshake that stands in the way of `holder`: the oldest of its own where its share is used up, of all where
    /// there are no more turns.
    fn obstacle(&self, holder: Holder, max: usize) -> Option<(u64, &Turning)> {
        let own = self.holders.get(&holder).filter(|held| held.under_way >= share(holder, max));
        let number = match own {
            Some(held) => held.oldest.first(),
            None if self.under_way >= max => self.oldest.keys().next(),
            None => None,
        }?;
        self.oldest.get(number).map(|turning| (*number, turning))
    }

    /// When that one has had its time.
    fn relief(&self, holder: Holder, max: usize) -> Option<Instant> {
        self.obstacle(holder, max).map(|(_, turning)| turning.since + PATIENCE)
    }

    /// Tells it to give up, if it has. Its turn is over when it has noticed.
    fn relieve(&mut self, holder: Holder, max: usize) {
        let now = Instant::now();
        let due = self.obstacle(holder, max).filter(|(_, turning)| turning.since + PATIENCE <= now);
        let Some(number) = due.map(|(number, _)| number) else { return };
        if let Some(turning) = self.oldest.remove(&number) {
            turning.revoked.cancel();
            if let Some(held) = self.holders.get_mut(&turning.holder) {
                held.oldest.remove(&number);
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// How many turns `holder` may have at once.
fn share(holder: Holder, max: usize) -> usize {
    if holder.is_some() { (max / SHARE).max(1) } else { max }
}

/// Somebody in line; leaves it when dropped.
struct Waiting {
    turns: Arc<Turns>,
    holder: Holder,
    number: u64,
    turn: oneshot::Receiver<Turn>,
}

impl Waiting {
    fn join(turns: &Arc<Turns>, holder: Holder) -> Self {
        let (sender, turn) = oneshot::channel();
        let mut state = turns.lock();
        let number = state.number();
        state.holders.entry(holder).or_default().waiting.insert(number, sender);
        state.line_up(holder, turns.max);
        turns.pass_on(state);
        Self { turns: Arc::clone(turns), holder, number, turn }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        if let Some(held) = state.holders.get_mut(&self.holder) {
            held.waiting.remove(&self.number);
        }
        state.forget_if_gone(self.holder);
    }
}

/// A handshake's turn; over when dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    number: u64,
    holder: Holder,
    revoked: CancellationToken,
}

impl Turn {
    /// Waits until the handshake has taken too long, and others wait for its turn.
    pub(super) async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.end(self.holder, self.number, self.turns.max);
        self.turns.pass_on(state);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::poll;

    use super::*;

    const A: Holder = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const B: Holder = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    type Taking = Pin<Box<dyn Future<Output = Turn>>>;

    /// In line already.
    async fn taking(turns: &Arc<Turns>, holder: Holder) -> Taking {
        let turns = Arc::clone(turns);
        let mut taking: Taking = Box::pin(async move { turns.take(holder).await });
        assert!(poll!(&mut taking).is_pending(), "there was a turn");
        taking
    }

    async fn several(turns: &Arc<Turns>, holder: Holder, number: usize) -> Vec<Turn> {
        let mut taken = Vec::new();
        for _ in 0..number {
            taken.push(turns.take(holder).await);
        }
        taken
    }

    fn ip(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_an_eighth_and_the_others_do_not_wait_behind_it() {
        let turns = Turns::new(16);
        let mut held = several(&turns, A, 2).await;
        let mut third = taking(&turns, A).await;
        drop(several(&turns, B, 2).await);
        assert!(poll!(&mut third).is_pending());
        held.pop();
        drop(third.await);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_take_turns_whatever_the_length_of_their_lines() {
        let turns = Turns::new(16);
        let mut held = Vec::new();
        for number in 10..18 {
            held.extend(several(&turns, Some(ip(number)), 2).await);
        }
        let mut crowd = Vec::new();
        for _ in 0..100 {
            crowd.push(taking(&turns, A).await);
        }
        let mut single = taking(&turns, B).await;
        held.truncate(14);
        let first = poll!(&mut crowd[0]);
        assert!(first.is_ready() && poll!(&mut crowd[1]).is_pending() && poll!(&mut single).is_ready());
        // Its turn is over: the crowd is next again.
        assert!(poll!(&mut crowd[1]).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_trusted_proxy_has_no_share() {
        let turns = Turns::new(16);
        let held = several(&turns, None, 16).await;
        let waiting = taking(&turns, B).await;
        drop(held);
        drop(waiting.await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_in_line_or_with_a_turn_leaves_nothing_behind() {
        let turns = Turns::new(8);
        let first = turns.take(A).await;
        let (second, third) = (taking(&turns, A).await, taking(&turns, A).await);
        drop(second);
        // The third is given the turn and never looks.
        drop(first);
        drop(third);
        drop(turns.take(A).await);
        let state = turns.lock();
        assert!(state.holders.is_empty() && state.under_way == 0 && state.oldest.is_empty() && state.ring.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_that_stands_in_the_way_is_told_to_give_up_after_its_time() {
        let turns = Turns::new(8);
        let begun = Instant::now();
        let mut held = Vec::new();
        for number in 10..18 {
            held.push(turns.take(Some(ip(number))).await);
        }
        tokio::time::sleep(PATIENCE * 10).await;
        assert!(held.iter().all(|turn| !turn.revoked.is_cancelled()), "nobody waits");
        let mut waiting = Box::pin(turns.take(A));
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
        let turns = Turns::new(16);
        let others = turns.take(B).await;
        let held = several(&turns, A, 2).await;
        let mut waiting = Box::pin(turns.take(A));
        assert!(poll!(&mut waiting).is_pending());
        tokio::time::sleep(PATIENCE / 2).await;
        assert!(poll!(&mut waiting).is_pending());
        assert!(!held[0].revoked.is_cancelled(), "it still has time");
        tokio::time::sleep(PATIENCE).await;
        assert!(poll!(&mut waiting).is_pending());
        assert!(held[0].revoked.is_cancelled() && !others.revoked.is_cancelled());
    }
}
