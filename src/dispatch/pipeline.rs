//! The loop of one sink: polls for due deliveries, keeps as many in flight as allowed, settles results together.
//!
//! Three things go on at once and never wait for each other: one poll, deliveries, one commit. Only where the store is in
//! trouble do results go first (`settling.rs`).

use std::collections::{HashMap, HashSet};
use std::future::{Future, pending};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::attempt::{conclude, deliver, record, subject};
use super::claiming::{Claiming, Conditions, EXPIRED_BATCH};
use super::context::Context;
use super::in_flight::{Finished, InFlight};
use super::lease::DeliveryLease;
use super::poll::{MAX_INTERVAL, Polled, Trigger, after, poll};
use super::settling::Settling;
use super::store_health::StoreHealth;
use crate::lifecycle::Lifecycle;
use crate::store::{Claimed, DeliveryId, Handover, Settled, Settlement, StoreError};

/// What may be spent on releasing claims after the cut-off.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Nothing, or why and what was not settled.
type Commit = Result<(), (StoreError, Vec<Settlement>)>;

/// Runs until `lifecycle` stops, see [`super::Dispatcher::run`].
pub(super) async fn run(context: Arc<Context>, lifecycle: &Lifecycle) {
    let mut pipeline = Pipeline::new(context);
    loop {
        tokio::select! {
            biased;
            () = lifecycle.cut_off().cancelled() => return pipeline.cut_off().await,
            progress = pipeline.step(lifecycle.stop_accepting()) => if progress.is_break() {
                return;
            }
        }
    }
}

struct Pipeline {
    context: Arc<Context>,
    claiming: Claiming,
    settling: Settling,
    in_flight: InFlight,
    store: StoreHealth,
    polling: Option<Job<Result<Polled, StoreError>>>,
    committing: Option<Job<Commit>>,
    /// By which the store hands over what is new.
    handover: Arc<Handover>,
    queued: Arc<Notify>,
    notified: Pin<Box<OwnedNotified>>,
    /// What the gauge says.
    shown_circuit: &'static str,
    stopping: bool,
}

impl Pipeline {
    fn new(context: Arc<Context>) -> Self {
        let (now, queued) = (Instant::now(), context.outbox.queued());
        let mut notified = Box::pin(Arc::clone(&queued).notified_owned());
        notified.as_mut().enable();
        let handover = Handover::new(context.lease());
        context.outbox.hand_over(&context.settings.name, &handover);
        Self {
            claiming: Claiming::new(&context.settings, now),
            settling: Settling::new(now),
            in_flight: InFlight::default(),
            store: StoreHealth::new(now),
            polling: None,
            committing: None,
            handover,
            queued,
            notified,
            shown_circuit: "",
            stopping: false,
            context,
        }
    }

    /// Begins whatever can begin, then waits for one thing to happen. Breaks when it was told to `stop` and all is done.
    async fn step(&mut self, stop: &CancellationToken) -> ControlFlow<()> {
        self.advance();
        if self.is_finished() {
            return ControlFlow::Break(());
        }
        let wake = self.wake_at();
        tokio::select! {
            biased;
            () = stop.cancelled(), if !self.stopping => {
                self.stopping = true;
                self.claiming.stop();
            }
            polled = ready(&mut self.polling) => self.polled(polled),
            result = ready(&mut self.committing) => self.committed(result),
            finished = self.in_flight.next() => self.finished(finished),
            () = &mut self.notified => self.notified(),
            () = self.handover.arrived() => self.handed(),
            () = sleep_until(wake) => {}
        }
        ControlFlow::Continue(())
    }

    fn advance(&mut self) {
        self.claiming.set_rate(self.context.rate());
        self.release();
        self.begin_attempts();
        self.begin_poll();
        self.begin_commit();
        self.offer();
        self.show_circuit();
    }

    fn is_finished(&self) -> bool {
        self.claiming.is_finished()
            && self.handover.outstanding() == 0
            && self.settling.is_finished()
            && self.polling.is_none()
            && self.in_flight.len() == 0
    }

    fn release(&mut self) {
        let now = Instant::now();
        let open_until = self.context.circuit().open_until();
        let open_for = open_until.map(|until| until.saturating_duration_since(now));
        let paused_for = self.context.is_paused().then_some(Duration::ZERO);
        self.settling.extend(self.claiming.release(now, paused_for.or(open_for)));
    }

    fn begin_attempts(&mut self) {
        let now = Instant::now();
        // While results cannot be recorded, delivering more would only deliver more twice.
        while !self.store.is_failing()
            && self.in_flight.len() < self.context.settings.concurrency
            && self.claiming.has_waiting()
            && self.claiming.begin_at(now).is_none()
        {
            let Some(pass) = self.context.circuit().begin(now, self.in_flight.probes()) else { return };
            let Some((lease, event)) = self.claiming.next(now) else { return };
            let subject = subject(&self.context, &event);
            self.in_flight.begin(lease, pass, subject, deliver(&self.context, event, lease.attempt()));
        }
    }

    fn may_poll(&self, now: Instant) -> bool {
        self.polling.is_none() && !self.settling.is_full() && !self.settling.goes_first(now, &self.store)
    }

    fn conditions(&self, now: Instant) -> Conditions {
        Conditions {
            now,
            in_flight: self.in_flight.len(),
            probes: self.in_flight.probes(),
            promised: self.handover.outstanding(),
            expired: self.context.expired.load(Ordering::Acquire),
            store_failing: self.store.is_failing(),
            paused: self.context.is_paused(),
        }
    }

    /// Tells the store how many new deliveries it may hand over.
    fn offer(&self) {
        let now = Instant::now();
        let results_go_first = self.settling.is_full() || self.settling.goes_first(now, &self.store);
        let room = || self.claiming.room(&self.conditions(now), &self.context.circuit());
        self.handover.offer(if results_go_first { 0 } else { room() });
    }

    fn begin_poll(&mut self) {
        let now = Instant::now();
        if !self.may_poll(now) {
            return;
        }
        let conditions = self.conditions(now);
        let Some((trigger, limit)) = self.claiming.plan(&conditions, &mut self.context.circuit()) else { return };
        self.context.expired.store(false, Ordering::Release);
        let context = Arc::clone(&self.context);
        self.polling = Some(Box::pin(async move { poll(&context, limit, trigger).await }));
    }

    fn begin_commit(&mut self) {
        let Some(settlements) = self.settling.begin_commit(Instant::now(), &self.store) else { return };
        let outbox = Arc::clone(&self.context.outbox);
        self.committing =
            Some(Box::pin(
                async move { outbox.settle(settlements.clone()).await.map_err(|error| (error, settlements)) },
            ));
    }

    fn show_circuit(&mut self) {
        let now = self.context.circuit().name();
        if now != self.shown_circuit {
            self.shown_circuit = now;
            self.context.metrics.set_circuit(now);
        }
    }

    fn polled(&mut self, polled: Result<Polled, StoreError>) {
        match polled {
            Ok(mut polled) => {
                self.store.succeeded(Instant::now());
                if polled.trigger == Trigger::Expired && polled.claims.len() >= EXPIRED_BATCH {
                    self.context.expired.store(true, Ordering::Release);
                }
                self.renew(&mut polled.claims);
                let over = self.claiming.take(polled);
                self.settle_over(over);
            }
            Err(error) => {
                self.store_failed(self.claiming.last_poll(), &error);
                self.claiming.poll_failed(Instant::now());
            }
        }
    }

    fn handed(&mut self) {
        let over = self.claiming.take_handed(self.handover.take());
        self.settle_over(over);
    }

    /// Settles what is over before it began.
    fn settle_over(&mut self, over: Vec<(DeliveryLease, Settled)>) {
        for (lease, outcome) in over {
            record(&self.context, &lease, &outcome, None);
            self.settling.add(lease.settle(outcome));
        }
    }

    /// Leaves out of `claims` what is in hand here already, because a lease ran out (a machine that slept, a store that
    /// stalled): the result is to count, not to come a second time, so it goes by the new lease.
    fn renew(&mut self, claims: &mut Vec<Claimed>) {
        let renewed: HashMap<DeliveryId, i64> = claims.iter().map(|claimed| (claimed.id, claimed.lease)).collect();
        let mut known: HashSet<DeliveryId> = self.settling.renew(&renewed).into_iter().collect();
        for lease in self.in_flight.leases() {
            if let Some(token) = renewed.get(&lease.id) {
                lease.token = *token;
                known.insert(lease.id);
            }
        }
        self.claiming.drop_renewed(&renewed);
        claims.retain(|claimed| !known.contains(&claimed.id));
    }

    fn committed(&mut self, result: Commit) {
        match result {
            Ok(()) => {
                self.store.succeeded(Instant::now());
                if let Some(due_again) = self.settling.committed() {
                    self.claiming.poll_by(after(due_again));
                }
            }
            Err((error, settlements)) => {
                let began = self.settling.commit_failed(Instant::now(), settlements);
                self.store_failed(began, &error);
            }
        }
    }

    /// A call failed that began at `began`.
    fn store_failed(&mut self, began: Instant, error: &StoreError) {
        if self.store.failed(began) {
            tracing::error!(sink = %self.context.settings.name, %error, "deliveries wait for the store");
        }
    }

    fn finished(&mut self, finished: Finished) {
        let mut next = Some(finished);
        while let Some(finished) = next {
            self.settling.add(conclude(&self.context, finished));
            self.claiming.attempt_ended(Instant::now());
            next = self.in_flight.try_next();
        }
    }

    /// Something was queued. Armed again before the poll, so that what is queued meanwhile is not missed.
    fn notified(&mut self) {
        self.notified.set(Arc::clone(&self.queued).notified_owned());
        self.notified.as_mut().enable();
        self.claiming.notify(self.store.is_failing());
    }

    /// When something is to be begun although nothing happens.
    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let in_hand = self.in_flight.len() + self.handover.outstanding();
        let poll_at = self.claiming.poll_at(in_hand).filter(|_| self.may_poll(now));
        let wakes = [poll_at, self.settling.commit_due_at(), self.claiming.release_at(), self.claiming.begin_at(now)];
        wakes.into_iter().flatten().fold(now + MAX_INTERVAL, Instant::min)
    }

    /// Releases whatever is still claimed, if the store is quick.
    async fn cut_off(mut self) {
        self.in_flight.abort();
        self.claiming.stop();
        self.handover.offer(0);
        self.handed();
        self.settling.extend(self.claiming.release(Instant::now(), None));
        self.settling.extend(self.in_flight.leases().map(|lease| lease.release(Duration::ZERO)));
        let released = async {
            if let Some(committing) = self.committing.take()
                && let Err((_, settlements)) = committing.await
            {
                self.settling.extend(settlements);
            }
            let rest = self.settling.into_rest();
            if rest.is_empty() { Ok(()) } else { self.context.outbox.settle(rest).await }
        };
        if !matches!(timeout(RELEASE_TIMEOUT, released).await, Ok(Ok(()))) {
            tracing::warn!(sink = %self.context.settings.name, "deliveries cut off: they will be repeated");
        }
    }
}

/// The result of `job`, which is then gone; never, where there is none.
async fn ready<T>(job: &mut Option<Job<T>>) -> T {
    let result = match job {
        Some(job) => job.await,
        None => pending().await,
    };
    *job = None;
    result
}

#[cfg(test)]
mod tests;
