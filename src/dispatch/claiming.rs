//! Claiming: when to poll the store, how much to ask it for, what it may hand over, and what is claimed and not begun yet.
//!
//! No futures here: [`super::pipeline`] makes the calls, this decides which.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::circuit::Circuit;
use super::decision::truncate;
use super::lease::DeliveryLease;
use super::poll::{MIN_INTERVAL, Polled, RETRY_INTERVAL, Trigger};
use super::prefetch::Prefetch;
use super::rate::RateLimit;
use crate::event::Event;
use crate::sink::{Rate, Settings};
use crate::store::{Claimed, DeliveryId, Handed, Settled, Settlement};

/// From before it was claimed, a delivery begins within this or is released, so that its lease outlasts the attempt and the
/// settlement.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// Deliveries claimed in one go for those that outlived `max_age`.
pub(super) const EXPIRED_BATCH: usize = 256;

/// What a poll depends on besides what is claimed.
pub(super) struct Conditions {
    pub now: Instant,
    pub in_flight: usize,
    /// How many of those are probes.
    pub probes: usize,
    /// How many new deliveries are on their way here from their commits.
    pub promised: usize,
    /// Whether something has outlived `max_age` behind the open circuit.
    pub expired: bool,
    pub store_failing: bool,
    /// Whether operators have paused the sink.
    pub paused: bool,
}

/// What is claimed for one sink, and when to claim more.
pub(super) struct Claiming {
    concurrency: usize,
    max_age: Duration,
    prefetch: Prefetch,
    rate: RateLimit,
    /// Claimed, not begun; oldest first.
    waiting: VecDeque<(DeliveryLease, Event)>,
    next_poll: Instant,
    last_poll: Instant,
    /// Whether something was queued since the last poll, so that asking first would be a waste.
    notified: bool,
    /// What the poll under way asked for.
    asked_for: usize,
    /// Whether the last one found less than that: what waits in the store has been queued since, if there is any.
    drained: bool,
    stopping: bool,
}

impl Claiming {
    /// The first poll is due at `now`.
    pub(super) const fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            concurrency: settings.concurrency,
            max_age: settings.max_age,
            prefetch: Prefetch::new(now),
            rate: RateLimit::new(settings.rate),
            waiting: VecDeque::new(),
            next_poll: now,
            last_poll: now,
            notified: true,
            asked_for: 0,
            drained: false,
            stopping: false,
        }
    }

    /// From now on `rate` counts.
    pub(super) fn set_rate(&mut self, rate: Option<Rate>) {
        if self.rate.set(rate) {
            self.poll_by(self.last_poll + MIN_INTERVAL);
        }
    }

    /// From now on nothing is claimed.
    pub(super) const fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether it stopped and nothing is left.
    pub(super) fn is_finished(&self) -> bool {
        self.stopping && self.waiting.is_empty()
    }

    /// The poll to begin now: why, and for how many at most.
    pub(super) fn plan(&mut self, at: &Conditions, circuit: &mut Circuit) -> Option<(Trigger, usize)> {
        let wanted = self.wanted(at.in_flight + at.promised);
        if wanted == 0 || (at.now < self.next_poll && !at.expired) {
            return None;
        }
        let allowed = circuit.allowance(at.now, at.probes).saturating_sub(self.waiting.len());
        let (trigger, limit) = match circuit.open_until() {
            Some(_) if at.expired => (Trigger::Expired, EXPIRED_BATCH),
            Some(until) => {
                self.next_poll = until.max(at.now + MIN_INTERVAL);
                return None;
            }
            None if allowed == 0 => {
                self.next_poll = at.now + RETRY_INTERVAL;
                return None;
            }
            None if at.store_failing => (Trigger::StoreFailed, 0),
            None if at.paused => {
                self.next_poll = at.now + RETRY_INTERVAL;
                return None;
            }
            None => match self.rate.room(at.now, self.waiting.len()) {
                Ok(room) => {
                    (if self.notified { Trigger::Notified } else { Trigger::Timer }, wanted.min(allowed).min(room))
                }
                Err(again) => {
                    self.next_poll = again.max(at.now + MIN_INTERVAL);
                    return None;
                }
            },
        };
        self.last_poll = at.now;
        self.asked_for = limit;
        self.notified &= trigger != Trigger::Notified;
        Some((trigger, limit))
    }

    /// How many new deliveries to take from their commits: none while older ones wait in the store, or while there is a reason
    /// not to begin any.
    pub(super) fn room(&self, at: &Conditions, circuit: &Circuit) -> usize {
        let behind = self.notified || !self.drained;
        let held_up = at.store_failing || at.paused || self.rate.is_limited() || !circuit.is_closed();
        if self.stopping || behind || held_up {
            return 0;
        }
        let spoken_for = at.in_flight + self.waiting.len() + self.asked_for;
        (self.concurrency + self.prefetch.ahead()).saturating_sub(spoken_for)
    }

    /// How many more to claim: free slots and what may wait ahead of them, or none until that is worth a poll.
    fn wanted(&self, in_flight: usize) -> usize {
        if self.stopping {
            return 0;
        }
        let ahead = self.prefetch.ahead();
        let wanted = (self.concurrency + ahead).saturating_sub(in_flight + self.waiting.len());
        if wanted > ahead / 2 { wanted } else { 0 }
    }

    /// When the next poll is due, unless enough is claimed.
    pub(super) fn poll_at(&self, in_flight: usize) -> Option<Instant> {
        (self.wanted(in_flight) > 0).then_some(self.next_poll)
    }

    /// When the poll under way, or the last one, began.
    pub(super) const fn last_poll(&self) -> Instant {
        self.last_poll
    }

    /// Something was queued.
    pub(super) fn notify(&mut self, store_failing: bool) {
        self.notified = true;
        if !store_failing {
            self.poll_by(self.last_poll + MIN_INTERVAL);
        }
    }

    /// Polls at `at` the latest.
    pub(super) fn poll_by(&mut self, at: Instant) {
        self.next_poll = self.next_poll.min(at);
    }

    /// A poll failed: what it was to find may be there.
    pub(super) fn poll_failed(&mut self, now: Instant) {
        self.notified = true;
        self.asked_for = 0;
        self.next_poll = now + RETRY_INTERVAL;
    }

    /// Takes what a poll found. Most waits to be begun; returned is what is over before that.
    pub(super) fn take(&mut self, polled: Polled) -> Vec<(DeliveryLease, Settled)> {
        let Polled { claims, asked, next, trigger } = polled;
        self.next_poll = next;
        self.drained = claims.len() < std::mem::take(&mut self.asked_for);
        let events = claims.iter().filter_map(|claimed| claimed.event.as_ref().ok());
        self.prefetch.claimed(events.map(|event| event.payload.bytes().len()));
        let oldest = if trigger == Trigger::Expired { self.max_age } else { Duration::MAX };
        let over = claims.into_iter().filter_map(|claimed| self.hold(claimed, asked, oldest)).collect();
        if self.notified {
            self.notify(false);
        }
        over
    }

    /// Takes what was handed over; as [`Claiming::take`].
    pub(super) fn take_handed(&mut self, handed: Vec<Handed>) -> Vec<(DeliveryLease, Settled)> {
        handed.into_iter().filter_map(|Handed { claimed, asked }| self.hold(claimed, asked, Duration::MAX)).collect()
    }

    /// Lets `claimed` wait to be begun; returns it where it is over: it cannot be read, or has reached the age `oldest`.
    fn hold(&mut self, claimed: Claimed, asked: Instant, oldest: Duration) -> Option<(DeliveryLease, Settled)> {
        let lease = DeliveryLease::of(&claimed, asked);
        let error = match claimed.event {
            Err(error) => format!("the stored event cannot be read: {error}"),
            Ok(_) if lease.age(asked) >= oldest => {
                format!("gave up after {oldest:?} and {} attempts: the sink is down", lease.failures)
            }
            Ok(event) => {
                self.waiting.push_back((lease, event));
                return None;
            }
        };
        Some((lease, Settled::Dead { error: truncate(error) }))
    }

    /// Whether something waits to be begun.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next may begin by the sink's rate, where something waits and that is not now.
    pub(super) fn begin_at(&self, now: Instant) -> Option<Instant> {
        self.rate.wait_until(now).filter(|_| self.has_waiting())
    }

    /// The next, which begins now.
    pub(super) fn next(&mut self, now: Instant) -> Option<(DeliveryLease, Event)> {
        let next = self.waiting.pop_front()?;
        self.rate.begin(now);
        Some(next)
    }

    /// An attempt ended at `now`.
    pub(super) fn attempt_ended(&mut self, now: Instant) {
        self.prefetch.ended(now);
    }

    /// Drops what waits and was claimed a second time since, as `renewed`: it comes with that claim.
    pub(super) fn drop_renewed(&mut self, renewed: &HashMap<DeliveryId, i64>) {
        self.waiting.retain(|(lease, _)| !renewed.contains_key(&lease.id));
    }

    /// Releases what will not be begun here: all that waits when stopping, or while nothing may begin (for as long as
    /// `closed_for`: the circuit is open, the sink paused), else what has waited too long.
    pub(super) fn release(&mut self, now: Instant, closed_for: Option<Duration>) -> Vec<Settlement> {
        let all = if self.stopping { Some(Duration::ZERO) } else { closed_for };
        let mut released = Vec::new();
        while let Some((lease, _)) = self.waiting.front() {
            let too_late = now > lease.asked + BEGIN_WITHIN;
            let Some(after) = all.or_else(|| too_late.then_some(Duration::ZERO)) else { break };
            released.push(lease.release(after));
            self.waiting.pop_front();
        }
        released
    }

    /// When [`Claiming::release`] has something to release although nothing happens.
    pub(super) fn release_at(&self) -> Option<Instant> {
        self.waiting.front().map(|(lease, _)| lease.asked + BEGIN_WITHIN + MIN_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::super::poll::MAX_INTERVAL;
    use super::super::testing::{claimed, settings, unreadable};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Claims for a sink with four slots.
    fn claiming(now: Instant) -> Claiming {
        Claiming::new(&settings(4), now)
    }

    fn at(now: Instant, in_flight: usize) -> Conditions {
        Conditions { now, in_flight, probes: 0, promised: 0, expired: false, store_failing: false, paused: false }
    }

    fn open(now: Instant) -> Circuit {
        let mut circuit = Circuit::default();
        while circuit.open_until().is_none() {
            circuit.failed(now, super::super::circuit::Pass::Free);
        }
        circuit
    }

    fn found(count: i64, asked: Instant, trigger: Trigger) -> Polled {
        Polled { claims: (1..=count).map(|id| claimed(id, 0)).collect(), asked, next: asked + MAX_INTERVAL, trigger }
    }

    #[test]
    fn it_asks_for_the_free_slots_first_without_asking_whether_anything_is_due() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        let mut claiming = claiming(now);
        assert_eq!(claiming.plan(&at(now, 1), &mut circuit), Some((Trigger::Notified, 3)));
        assert_eq!(claiming.take(found(3, now, Trigger::Notified)).len(), 0);
        assert_eq!(claiming.plan(&at(now + SECOND, 1), &mut circuit), None, "all slots are spoken for");
        assert!(claiming.next(now).is_some());
        assert_eq!(claiming.plan(&at(now, 1), &mut circuit), None, "not due yet");
        assert_eq!(claiming.plan(&at(now + MAX_INTERVAL, 1), &mut circuit), Some((Trigger::Timer, 1)));
    }

    #[test]
    fn what_is_queued_during_a_poll_makes_another_one_soon() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        let mut claiming = claiming(now);
        claiming.plan(&at(now, 0), &mut circuit);
        claiming.notify(false);
        claiming.take(found(0, now, Trigger::Notified));
        assert_eq!(claiming.poll_at(0), Some(now + MIN_INTERVAL));
        assert_eq!(claiming.plan(&at(now + MIN_INTERVAL, 0), &mut circuit), Some((Trigger::Notified, 4)));
    }

    #[test]
    fn an_open_circuit_puts_polls_off_until_it_ends_but_for_what_expired() {
        let now = Instant::now();
        let (mut claiming, mut circuit) = (claiming(now), open(now));
        let until = circuit.open_until().unwrap();
        assert_eq!(claiming.plan(&at(now, 0), &mut circuit), None);
        assert_eq!(claiming.poll_at(0), Some(until));
        let expired = Conditions { expired: true, ..at(now, 0) };
        assert_eq!(claiming.plan(&expired, &mut circuit), Some((Trigger::Expired, EXPIRED_BATCH)));
        let probing = Conditions { probes: 7, ..at(until, 0) };
        assert_eq!(claiming.plan(&probing, &mut circuit), Some((Trigger::Notified, 1)));
    }

    #[test]
    fn a_rate_bounds_what_is_claimed_and_when_it_begins() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        let mut settings = settings(4);
        settings.rate = Some(Rate { count: 2, per: SECOND });
        let mut claiming = Claiming::new(&settings, now);
        assert_eq!(claiming.plan(&at(now, 0), &mut circuit), Some((Trigger::Notified, 2)));
        claiming.take(found(2, now, Trigger::Notified));
        assert!(claiming.begin_at(now).is_none() && claiming.next(now).is_some());
        assert!(claiming.begin_at(now).is_none() && claiming.next(now).is_some());
        assert_eq!(claiming.begin_at(now), None, "nothing waits");
        claiming.notify(false);
        assert_eq!(claiming.plan(&at(now + MAX_INTERVAL / 4, 0), &mut circuit), None);
        let again = claiming.poll_at(0).unwrap();
        assert_eq!(again, now + SECOND / 2);
        assert_eq!(claiming.plan(&at(again, 0), &mut circuit), Some((Trigger::Notified, 2)));
        claiming.take(found(2, again, Trigger::Notified));
        assert_eq!(claiming.begin_at(again), Some(now + SECOND));
        assert_eq!(claiming.begin_at(now + SECOND), None);
    }

    #[test]
    fn a_store_that_fails_is_only_asked_whether_it_is_there() {
        let (now, mut circuit) = (Instant::now(), Circuit::default());
        let mut claiming = claiming(now);
        claiming.plan(&at(now, 0), &mut circuit);
        claiming.poll_failed(now);
        claiming.notify(true);
        let then = now + RETRY_INTERVAL;
        let failing = |now| Conditions { store_failing: true, ..at(now, 0) };
        assert_eq!(claiming.plan(&failing(then - MIN_INTERVAL), &mut circuit), None);
        assert_eq!(claiming.plan(&failing(then), &mut circuit), Some((Trigger::StoreFailed, 0)));
        assert_eq!(claiming.plan(&at(then, 0), &mut circuit), Some((Trigger::Notified, 4)));
    }

    #[test]
    fn what_cannot_be_read_or_has_expired_is_over_before_it_begins() {
        let now = Instant::now();
        let mut claiming = claiming(now);
        let (old, young) = (claimed(1, 72 * 3600), claimed(2, 0));
        let polled = |trigger, claims| Polled { claims, asked: now, next: now, trigger };
        let over = claiming.take(polled(Trigger::Expired, vec![old.clone(), young, unreadable(3, "no")]));
        let errors: Vec<_> = over.into_iter().map(|(lease, outcome)| (lease.id.0, outcome)).collect();
        let dead = |error: &str| Settled::Dead { error: error.to_owned() };
        assert_eq!(
            errors,
            [
                (1, dead("gave up after 259200s and 0 attempts: the sink is down")),
                (3, dead("the stored event cannot be read: no"))
            ]
        );
        assert!(claiming.take(polled(Trigger::Timer, vec![old])).is_empty(), "each gets at least one attempt");
        assert_eq!([claiming.next(now), claiming.next(now)].map(|next| next.unwrap().0.id.0), [2, 1]);
    }

    #[test]
    fn what_waited_too_long_and_all_that_waits_at_the_end_is_released() {
        let now = Instant::now();
        let mut claiming = claiming(now);
        claiming.take(found(2, now, Trigger::Timer));
        claiming.take(found(1, now + SECOND, Trigger::Timer));
        assert!(claiming.release(now + BEGIN_WITHIN, None).is_empty());
        let wake = claiming.release_at().unwrap();
        assert_eq!(claiming.release(wake, None).len(), 2);
        let released = claiming.release(wake, Some(SECOND));
        assert!(matches!(released.as_slice(), [Settlement { outcome: Settled::Released { after: SECOND }, .. }]));
        claiming.take(found(1, wake, Trigger::Timer));
        claiming.stop();
        assert!(!claiming.is_finished());
        assert_eq!(claiming.release(wake, None).len(), 1);
        assert!(claiming.is_finished());
        assert_eq!((claiming.plan(&at(wake + SECOND, 0), &mut Circuit::default()), claiming.poll_at(0)), (None, None));
    }
}
