//! The loop of one sink: looks for due deliveries, keeps as many under way as allowed, settles results together.
//!
//! Three things go on at once and never wait for each other: one look at the store, deliveries, one settlement.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::outcome::{Ticket, later};
use super::pace::Pace;
use super::{
    BEGIN_WITHIN, Claimed, Delivered, Dispatcher, Lifecycle, Retry, Settled, Settlement, SinkError, StoreError,
};

/// The longest time without a look: other processes queue deliveries too, and not every store can say so.
const POLL: Duration = Duration::from_secs(1);
/// Between two looks, when the last one found less than it wanted: commits that come in quick succession share a look.
const GAP: Duration = Duration::from_millis(5);
/// Before the store is tried again after a fault, and before a look that was promised something and found nothing.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two settlements, unless [`BATCH`] results wait: a commit costs the same for one as for many.
const LINGER: Duration = Duration::from_millis(5);
/// Results that are worth a commit at once.
const BATCH: usize = 128;
/// Results waiting for the store, at most, before nothing new is begun.
const UNSETTLED: usize = 1024;
/// What may be spent on handing claims back after the cut-off.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Job<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Nothing, or why and what was not settled.
type Commit = Result<(), (StoreError, Vec<Settlement>)>;

/// What a look found.
struct Look {
    claims: Vec<Claimed>,
    /// No claimed delivery may begin after this.
    begin_by: Timestamp,
    /// When to look again.
    next: Instant,
}

struct Pipeline<'a> {
    dispatcher: &'a Dispatcher,
    pace: Pace,
    /// Claimed, not begun.
    waiting: VecDeque<(Claimed, Timestamp)>,
    under_way: JoinSet<Result<Delivered, SinkError>>,
    tickets: HashMap<Id, Ticket>,
    /// Ended, not settled.
    settled: Vec<Settlement>,
    looking: Option<Job<'a, Result<Look, StoreError>>>,
    settling: Option<Job<'a, Commit>>,
    look_at: Instant,
    last_look: Instant,
    /// Whether something was queued since the last look, so that asking first would be a waste.
    told: bool,
    settle_at: Instant,
    /// When the first of what is being settled is due again.
    due_again: Option<Timestamp>,
    store_failed: bool,
    stopping: bool,
}

/// Runs until `lifecycle` stops, see [`Dispatcher::run`].
pub async fn run(dispatcher: &Dispatcher, lifecycle: &Lifecycle) {
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
            Some(ended) = pipeline.under_way.join_next_with_id() => pipeline.ended(ended),
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
            under_way: JoinSet::new(),
            tickets: HashMap::new(),
            settled: Vec::new(),
            looking: None,
            settling: None,
            look_at: now,
            last_look: now,
            told: true,
            settle_at: now,
            due_again: None,
            store_failed: false,
            stopping: false,
        }
    }

    /// Begins whatever can begin now.
    fn advance(&mut self) {
        self.hand_back();
        self.begin();
        self.look();
        self.settle();
    }

    fn is_finished(&self) -> bool {
        self.stopping
            && self.looking.is_none()
            && self.settling.is_none()
            && self.waiting.is_empty()
            && self.under_way.is_empty()
            && self.settled.is_empty()
    }

    /// Hands back what will not be begun here: when stopping, and while the circuit is open.
    fn hand_back(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let at = if self.stopping { Some(self.dispatcher.clock.now()) } else { self.dispatcher.circuit().open_until() };
        if let Some(at) = at {
            let released = self.waiting.drain(..).map(|(claimed, _)| Dispatcher::release(&Ticket::of(&claimed), at));
            self.settled.extend(released);
        }
    }

    fn begin(&mut self) {
        // While results cannot be recorded, delivering more would only deliver more twice.
        while !self.store_failed && self.under_way.len() < self.dispatcher.settings.concurrency {
            let Some((claimed, begin_by)) = self.waiting.pop_front() else { return };
            let ticket = Ticket::of(&claimed);
            let now = self.dispatcher.clock.now();
            if now > begin_by {
                self.settled.push(Dispatcher::release(&ticket, now));
                continue;
            }
            let attempt = self
                .dispatcher
                .attempt(claimed.event, crate::sink::Attempt { number: claimed.attempts.saturating_add(1), replay: 0 });
            let task = self.under_way.spawn(attempt);
            self.tickets.insert(task.id(), ticket);
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
        if self.looking.is_some() || wanted == 0 || now < self.look_at {
            return;
        }
        let time = self.dispatcher.clock.now();
        let (allowed, open_until) = {
            let mut circuit = self.dispatcher.circuit();
            (circuit.allowance(time), circuit.open_until())
        };
        if allowed == 0 {
            self.look_at = open_until.map_or(now + PAUSE, |until| instant(until, time, now)).max(now + GAP);
            return;
        }
        self.last_look = now;
        let told = std::mem::replace(&mut self.told, false);
        self.looking = Some(Box::pin(look(self.dispatcher, wanted.min(allowed), told)));
    }

    fn found(&mut self, found: Result<Look, StoreError>) {
        match found {
            Ok(Look { claims, begin_by, next }) => {
                self.store_failed = false;
                self.dispatcher.circuit().began(claims.len());
                self.pace.claimed(claims.iter().map(|claimed| claimed.event.payload.bytes().len()));
                self.waiting.extend(claims.into_iter().map(|claimed| (claimed, begin_by)));
                self.look_at = next;
                if self.told {
                    self.was_told();
                }
            }
            Err(error) => {
                self.store_fault(&error);
                self.told = true;
                self.look_at = Instant::now() + PAUSE;
            }
        }
    }

    /// Something was queued.
    fn was_told(&mut self) {
        self.told = true;
        if !self.store_failed {
            self.look_at = self.look_at.min(self.last_look + GAP);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<Delivered, SinkError>), JoinError>) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            let (id, result) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    let message = "the sink panicked".to_owned();
                    (error.id(), Err(SinkError { message, retry: Retry::Backoff }))
                }
            };
            if let Some(ticket) = self.tickets.remove(&id) {
                self.settled.push(self.dispatcher.judge(&ticket, result));
                self.pace.ended(Instant::now());
            }
            next = self.under_way.try_join_next_with_id();
        }
    }

    fn settle(&mut self) {
        let now = Instant::now();
        let soon = self.settled.len() >= BATCH && !self.store_failed;
        if self.settling.is_some() || self.settled.is_empty() || (now < self.settle_at && !soon) {
            return;
        }
        self.settle_at = now + LINGER;
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
                self.store_failed = false;
                if let Some(due) = self.due_again {
                    self.look_at = self.look_at.min(instant(due, self.dispatcher.clock.now(), Instant::now()));
                }
            }
            Err((error, settlements)) => {
                self.store_fault(&error);
                self.settled.extend(settlements);
                self.settle_at = Instant::now() + PAUSE;
            }
        }
    }

    fn store_fault(&mut self, error: &StoreError) {
        if !self.store_failed {
            tracing::error!(sink = %self.dispatcher.settings.name, %error, "deliveries wait for the store");
        }
        self.store_failed = true;
    }

    /// When something is to be begun although nothing happens.
    fn wake_at(&self) -> Instant {
        let mut wake = Instant::now() + POLL;
        if self.looking.is_none() && self.wanted() > 0 {
            wake = wake.min(self.look_at);
        }
        if self.settling.is_none() && !self.settled.is_empty() {
            wake = wake.min(self.settle_at);
        }
        wake
    }

    /// Hands back whatever is still claimed, if the store is quick.
    async fn cut_off(mut self) {
        self.under_way.abort_all();
        let now = self.dispatcher.clock.now();
        let waiting = self.waiting.iter().map(|(claimed, _)| Ticket::of(claimed));
        let released = waiting.chain(self.tickets.values().copied()).map(|ticket| Dispatcher::release(&ticket, now));
        self.settled.extend(released.collect::<Vec<_>>());
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

/// Claims up to `limit` due deliveries; asks first whether there are any, unless `told` so.
async fn look(dispatcher: &Dispatcher, limit: usize, told: bool) -> Result<Look, StoreError> {
    let (outbox, name) = (&dispatcher.outbox, &dispatcher.settings.name);
    let now = dispatcher.clock.now();
    let begin_by = later(now, BEGIN_WITHIN);
    let at = |due: Option<Timestamp>, soonest: Duration| {
        let instant_now = Instant::now();
        let due = due.map(|due| instant(due, dispatcher.clock.now(), instant_now));
        due.unwrap_or(instant_now + POLL).clamp(instant_now + soonest, instant_now + POLL)
    };
    if !told {
        let due = outbox.next_due(name).await?;
        if due.is_none_or(|due| due > now) {
            return Ok(Look { claims: Vec::new(), begin_by, next: at(due, GAP) });
        }
    }
    let claims = outbox.claim(name, limit, now, dispatcher.lease()).await?;
    let next = if claims.len() >= limit {
        Instant::now()
    } else {
        at(outbox.next_due(name).await?, if claims.is_empty() { PAUSE } else { GAP })
    };
    Ok(Look { claims, begin_by, next })
}

/// When what is settled so is to be delivered again.
const fn due_again(settlement: &Settlement) -> Option<Timestamp> {
    match settlement.outcome {
        Settled::Retry { at, .. } | Settled::Released { at } => Some(at),
        Settled::Done | Settled::Dead { .. } => None,
    }
}

/// The instant of a wall-clock time.
fn instant(at: Timestamp, now: Timestamp, instant_now: Instant) -> Instant {
    // Whole milliseconds, rounded up: a timer that ends too early looks in vain.
    let millis = u64::try_from(at.duration_since(now).as_millis() + 1).unwrap_or(0);
    instant_now + Duration::from_millis(millis).min(POLL)
}
