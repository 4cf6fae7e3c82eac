//! The loop of one sink: looks for due deliveries, keeps as many under way as allowed, settles results together.
//!
//! Three things go on at once and never wait for each other: one look at the store, deliveries, one settlement. Only
//! where the store is in trouble do results go first: a look that came before them might claim, once its lease is over,
//! what is delivered already.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::look::{GAP, Kind, LONG, Look, OTHERS_FIRST, PAUSE, POLL, after, look};
use super::outcome::{Ticket, cut};
use super::pace::Pace;
use super::under_way::{Ended, UnderWay};
use super::{BEGIN_WITHIN, Claimed, Dispatcher, Event, Lifecycle, Settled, Settlement, StoreError};

/// Between two settlements, unless [`BATCH`] results wait: a commit costs the same for one as for many.
const LINGER: Duration = Duration::from_millis(5);
/// Results that are worth a commit at once.
const BATCH: usize = 128;
/// Results waiting for the store, at most, before nothing new is begun.
const UNSETTLED: usize = 1024;
/// A settlement that takes longer may fail, and is waited for before the next look.
const SLOW: Duration = Duration::from_secs(1);
/// Deliveries looked at in one go for those that grew too old.
const EXPIRING: usize = 256;
/// What may be spent on handing claims back after the cut-off.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Job<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Nothing, or why and what was not settled.
type Commit = Result<(), (StoreError, Vec<Settlement>)>;

struct Pipeline<'a> {
    dispatcher: &'a Dispatcher,
    pace: Pace,
    /// Claimed, not begun.
    waiting: VecDeque<(Ticket, Event)>,
    under_way: UnderWay,
    /// Ended, not settled.
    settled: Vec<Settlement>,
    looking: Option<Job<'a, Result<Look, StoreError>>>,
    settling: Option<Job<'a, Commit>>,
    look_at: Instant,
    last_look: Instant,
    /// Whether something was queued since the last look, so that asking first would be a waste.
    told: bool,
    settle_at: Instant,
    settling_since: Instant,
    /// How soon the first of what is being settled is due again.
    due_again: Option<Duration>,
    /// What the gauge says.
    circuit: &'static str,
    /// Since when the store has failed.
    fault: Option<Instant>,
    /// Nothing is claimed before: others settle first.
    claim_from: Instant,
    stopping: bool,
}

/// Runs until `lifecycle` stops, see [`Dispatcher::run`].
pub(super) async fn run(dispatcher: &Dispatcher, lifecycle: &Lifecycle) {
    let mut pipeline = Pipeline::new(dispatcher);
    let queued = dispatcher.outbox.queued();
    // Armed before each look, so that what is queued meanwhile is not missed.
    let mut notified = pin!(queued.notified());
    notified.as_mut().enable();
    loop {
        pipeline.advance();
        if pipeline.is_finished() {
            return;
        }
        let wake = pipeline.wake_at();
        tokio::select! {
            biased;
            () = lifecycle.cut_off().cancelled() => break,
            () = lifecycle.stop_accepting().cancelled(), if !pipeline.stopping => pipeline.stopping = true,
            found = ready(&mut pipeline.looking) => pipeline.found(found),
            result = ready(&mut pipeline.settling) => pipeline.committed(result),
            ended = pipeline.under_way.next() => pipeline.ended(ended),
            () = &mut notified => {
                notified.set(queued.notified());
                notified.as_mut().enable();
                pipeline.was_told();
            }
            () = sleep_until(wake) => {}
        }
    }
    pipeline.cut_off().await;
}

/// The result of `future`, which is then gone; never, where there is none.
async fn ready<T>(future: &mut Option<Job<'_, T>>) -> T {
    let result = match future {
        Some(future) => future.await,
        None => pending().await,
    };
    *future = None;
    result
}

impl<'a> Pipeline<'a> {
    fn new(dispatcher: &'a Dispatcher) -> Self {
        let now = Instant::now();
        Self {
            dispatcher,
            pace: Pace::new(now),
            waiting: VecDeque::new(),
            under_way: UnderWay::default(),
            settled: Vec::new(),
            looking: None,
            settling: None,
            look_at: now,
            last_look: now,
            told: true,
            settle_at: now,
            settling_since: now,
            circuit: "",
            due_again: None,
            fault: None,
            claim_from: now,
            stopping: false,
        }
    }

    /// Begins whatever can begin now.
    fn advance(&mut self) {
        self.hand_back();
        self.begin();
        self.look();
        self.settle();
        self.show_circuit();
    }

    fn show_circuit(&mut self) {
        let now = self.dispatcher.circuit().name();
        if now != self.circuit {
            self.circuit = now;
            self.dispatcher.metrics.set_circuit(now);
        }
    }

    fn is_finished(&self) -> bool {
        self.stopping
            && self.looking.is_none()
            && self.settling.is_none()
            && self.waiting.is_empty()
            && self.under_way.len() == 0
            && self.settled.is_empty()
    }

    /// Hands back what will not be begun here: when stopping, while the circuit is open, and what has waited too long.
    fn hand_back(&mut self) {
        let now = Instant::now();
        let open_for = self.dispatcher.circuit().open_until().map(|until| until.saturating_duration_since(now));
        let all = if self.stopping { Some(Duration::ZERO) } else { open_for };
        while let Some((ticket, _)) = self.waiting.front() {
            let Some(after) = all.or_else(|| (now > ticket.asked + BEGIN_WITHIN).then_some(Duration::ZERO)) else {
                return;
            };
            self.settled.push(ticket.release(after));
            self.waiting.pop_front();
        }
    }

    fn begin(&mut self) {
        let (dispatcher, now) = (self.dispatcher, Instant::now());
        // While results cannot be recorded, delivering more would only deliver more twice.
        while self.fault.is_none()
            && self.under_way.len() < dispatcher.settings.concurrency
            && let Some((ticket, event)) = self.waiting.pop_front()
        {
            let Some(pass) = dispatcher.circuit().begin(now, self.under_way.probes()) else {
                self.waiting.push_front((ticket, event));
                return;
            };
            self.under_way.begin(ticket, pass, dispatcher.attempt(event, ticket.attempt()));
        }
    }

    /// How many more to claim now: free slots and what may wait ahead of them, or none until that is worth a look.
    fn wanted(&self) -> usize {
        if self.stopping || self.settled.len() > UNSETTLED {
            return 0;
        }
        let ahead = self.pace.ahead();
        let room = self.dispatcher.settings.concurrency + ahead;
        let wanted = room.saturating_sub(self.under_way.len() + self.waiting.len());
        if wanted > ahead / 2 { wanted } else { 0 }
    }

    fn look(&mut self) {
        let (now, wanted) = (Instant::now(), self.wanted());
        let too_old = self.dispatcher.too_old.load(Ordering::Acquire);
        if self.looking.is_some() || wanted == 0 || (now < self.look_at && !too_old) || self.results_first(now) {
            return;
        }
        let (allowed, open_until) = {
            let mut circuit = self.dispatcher.circuit();
            (circuit.allowance(now, self.under_way.probes()).saturating_sub(self.waiting.len()), circuit.open_until())
        };
        let (kind, limit) = match open_until {
            Some(_) if too_old => (Kind::Expiring, EXPIRING),
            Some(until) => {
                self.look_at = until.max(now + GAP);
                return;
            }
            None if allowed == 0 => {
                self.look_at = now + PAUSE;
                return;
            }
            None if self.fault.is_some() => (Kind::AfterFault, 0),
            None => (if self.told { Kind::Told } else { Kind::Asking }, wanted.min(allowed)),
        };
        self.dispatcher.too_old.store(false, Ordering::Release);
        self.last_look = now;
        self.told &= kind != Kind::Told;
        self.looking = Some(Box::pin(look(self.dispatcher, limit, kind)));
    }

    /// Whether results have to be settled before anything is claimed, here or by others.
    fn results_first(&self, now: Instant) -> bool {
        let settling = self.settling.is_some();
        now < self.claim_from
            || (self.fault.is_some() && (settling || !self.settled.is_empty()))
            || (settling && now > self.settling_since + SLOW)
    }

    fn found(&mut self, found: Result<Look, StoreError>) {
        match found {
            Ok(Look { claims, asked, next, kind }) => {
                self.recovered();
                self.look_at = next;
                if kind == Kind::Expiring && claims.len() >= EXPIRING {
                    self.dispatcher.too_old.store(true, Ordering::Release);
                }
                let claims = self.without_mine(claims);
                let lengths = claims.iter().filter_map(|claimed| claimed.event.as_ref().ok());
                self.pace.claimed(lengths.map(|event| event.payload.bytes().len()));
                for claimed in claims {
                    self.take(claimed, asked, kind);
                }
                if self.told {
                    self.was_told();
                }
            }
            Err(error) => {
                self.store_fault(self.last_look, &error);
                self.told = true;
                self.look_at = Instant::now() + PAUSE;
            }
        }
    }

    /// Leaves out of `claims` what is in hand here already, because a lease ran out (a machine that slept, a store that
    /// stalled): the result is to count, not to come a second time, so it goes by the new lease.
    fn without_mine(&mut self, mut claims: Vec<Claimed>) -> Vec<Claimed> {
        let again: HashMap<_, _> = claims.iter().map(|claimed| (claimed.id, claimed.lease)).collect();
        let mut mine = HashSet::new();
        let under_way = self.under_way.tickets().map(|ticket| (ticket.id, &mut ticket.lease));
        let settled = self.settled.iter_mut().map(|settlement| (settlement.id, &mut settlement.lease));
        for (id, lease) in under_way.chain(settled) {
            if let Some(new) = again.get(&id) {
                *lease = *new;
                mine.insert(id);
            }
        }
        self.waiting.retain(|(ticket, _)| !again.contains_key(&ticket.id));
        claims.retain(|claimed| !mine.contains(&claimed.id));
        claims
    }

    /// Takes a claim in hand: most wait to be begun, some are over.
    fn take(&mut self, claimed: Claimed, asked: Instant, kind: Kind) {
        let (ticket, max_age) = (Ticket::of(&claimed, asked), self.dispatcher.settings.max_age);
        let error = match claimed.event {
            Err(error) => format!("the stored event cannot be read: {error}"),
            Ok(_) if kind == Kind::Expiring && ticket.age(asked) >= max_age => {
                format!("gave up after {max_age:?} and {} attempts: the sink is down", ticket.attempts)
            }
            Ok(event) => return self.waiting.push_back((ticket, event)),
        };
        let outcome = Settled::Dead { error: cut(error) };
        self.dispatcher.count(&ticket, &outcome);
        self.settled.push(ticket.settle(outcome));
    }

    /// Something was queued.
    fn was_told(&mut self) {
        self.told = true;
        if self.fault.is_none() {
            self.look_at = self.look_at.min(self.last_look + GAP);
        }
    }

    fn ended(&mut self, ended: Ended) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            self.settled.push(self.dispatcher.judge(ended));
            self.pace.ended(Instant::now());
            next = self.under_way.try_next();
        }
    }

    fn settle(&mut self) {
        let now = Instant::now();
        let soon = self.settled.len() >= BATCH && self.fault.is_none();
        if self.settling.is_some() || self.settled.is_empty() || (now < self.settle_at && !soon) {
            return;
        }
        (self.settle_at, self.settling_since) = (now + LINGER, now);
        let settlements = std::mem::take(&mut self.settled);
        self.due_again = settlements.iter().filter_map(due_again).min();
        let outbox = &self.dispatcher.outbox;
        self.settling =
            Some(Box::pin(
                async move { outbox.settle(settlements.clone()).await.map_err(|error| (error, settlements)) },
            ));
    }

    fn committed(&mut self, result: Commit) {
        match result {
            Ok(()) => {
                self.recovered();
                if let Some(due) = self.due_again {
                    self.look_at = self.look_at.min(after(due));
                }
            }
            Err((error, settlements)) => {
                self.store_fault(self.settling_since, &error);
                self.settled.extend(settlements);
                self.settle_at = Instant::now() + PAUSE;
            }
        }
    }

    /// A call succeeded.
    fn recovered(&mut self) {
        if let Some(since) = self.fault.take()
            && since.elapsed() >= LONG
        {
            self.claim_from = Instant::now() + OTHERS_FIRST;
        }
    }

    /// A call failed that began at `began`.
    fn store_fault(&mut self, began: Instant, error: &StoreError) {
        if self.fault.is_none() {
            tracing::error!(sink = %self.dispatcher.settings.name, %error, "deliveries wait for the store");
            self.fault = Some(began);
        }
    }

    /// When something is to be begun although nothing happens.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let mut wake = now + POLL;
        if self.looking.is_none() && self.wanted() > 0 && !self.results_first(now) {
            wake = wake.min(self.look_at);
        }
        if self.settling.is_none() && !self.settled.is_empty() {
            wake = wake.min(self.settle_at);
        }
        if let Some((ticket, _)) = self.waiting.front() {
            wake = wake.min(ticket.asked + BEGIN_WITHIN + GAP);
        }
        wake
    }

    /// Hands back whatever is still claimed, if the store is quick.
    async fn cut_off(mut self) {
        self.under_way.abort();
        let waiting = self.waiting.iter().map(|(ticket, _)| *ticket);
        let tickets = waiting.chain(self.under_way.tickets().map(|ticket| *ticket));
        self.settled.extend(tickets.map(|ticket| ticket.release(Duration::ZERO)));
        let last_words = async {
            if let Some(settling) = self.settling.take()
                && let Err((_, settlements)) = settling.await
            {
                self.settled.extend(settlements);
            }
            if self.settled.is_empty() { Ok(()) } else { self.dispatcher.outbox.settle(self.settled).await }
        };
        if !matches!(timeout(LAST_WORDS, last_words).await, Ok(Ok(()))) {
            tracing::warn!(sink = %self.dispatcher.settings.name, "deliveries cut off: they will be repeated");
        }
    }
}

/// How soon what is settled so is to be delivered again.
const fn due_again(settlement: &Settlement) -> Option<Duration> {
    match settlement.outcome {
        Settled::Retry { after, .. } | Settled::Released { after } => Some(after),
        Settled::Done { .. } | Settled::Dead { .. } => None,
    }
}
