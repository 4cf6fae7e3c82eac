//! The loop, one step at a time, on paused time.

use tokio::sync::Semaphore;

use super::super::circuit::Pass;
use super::super::testing::{Gate, Script, claimed, context, settings};
use super::*;
use crate::metrics::Metrics;
use crate::sink::{Rate, Sink};
use crate::store::{Outbox as _, Pause, RateOverride, Settled, SinkControl};

const SECOND: Duration = Duration::from_secs(1);

/// A sink with two slots, whose store has `claims` to give, and the gate before it.
fn rig(claims: Vec<Vec<Claimed>>) -> (Pipeline, Arc<Script>, Arc<Gate>) {
    let (store, gate) = (Script::claiming(claims), Arc::new(Gate(Semaphore::new(0))));
    (Pipeline::new(context(2, &store, &gate)), store, gate)
}

/// Steps until `holds`, for an hour of paused time at most.
async fn step_until(pipeline: &mut Pipeline, holds: impl Fn(&Pipeline) -> bool) {
    let (begun, stop) = (Instant::now(), CancellationToken::new());
    while !holds(pipeline) {
        assert!(begun.elapsed() < Duration::from_hours(1), "never came");
        assert!(pipeline.step(&stop).await.is_continue());
    }
}

fn pause() -> Pause {
    Pause { at: "2026-01-02T03:04:05Z".parse().unwrap(), by: "operator".into(), reason: None }
}

fn settled(store: &Script) -> Vec<(i64, i64, &'static str)> {
    let name = |outcome: &Settled| match outcome {
        Settled::Done { .. } => "done",
        Settled::Retry { .. } => "retry",
        Settled::Dead { .. } => "dead",
        Settled::Released { .. } => "released",
    };
    store.settled.lock().unwrap().iter().map(|one| (one.id.0, one.lease, name(&one.outcome))).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_step_polls_and_the_next_begins_what_was_found() {
    let (mut pipeline, store, gate) = rig(vec![vec![claimed(1, 0), claimed(2, 0)]]);
    let stop = CancellationToken::new();
    assert!(pipeline.step(&stop).await.is_continue());
    assert_eq!((store.limits.lock().unwrap().as_slice(), pipeline.in_flight.len()), ([2].as_slice(), 0));
    assert!(pipeline.polling.is_none() && pipeline.claiming.has_waiting());
    pipeline.advance();
    assert_eq!((pipeline.in_flight.len(), pipeline.claiming.has_waiting()), (2, false));
    assert!(pipeline.polling.is_none(), "both slots are taken");
    gate.0.add_permits(2);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 0 && pipeline.settling.is_finished()).await;
    assert_eq!(settled(&store), [(1, 1, "done"), (2, 1, "done")]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_fails_nothing_begins_and_results_go_first() {
    let (mut pipeline, store, gate) = rig(vec![vec![claimed(1, 0), claimed(2, 0)], vec![claimed(3, 0)]]);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 2).await;
    store.broken.store(true, Ordering::SeqCst);
    gate.0.add_permits(9);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 0 && pipeline.store.is_failing()).await;
    let claims = store.limits.lock().unwrap().len();
    for _ in 0..20 {
        assert!(pipeline.step(&CancellationToken::new()).await.is_continue());
        assert!(pipeline.polling.is_none(), "polled with results in hand");
    }
    store.broken.store(false, Ordering::SeqCst);
    step_until(&mut pipeline, |_| !store.settled.lock().unwrap().is_empty()).await;
    assert_eq!((settled(&store).len(), store.limits.lock().unwrap().len()), (2, claims));
    step_until(&mut pipeline, |_| store.settled.lock().unwrap().len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_claimed_again_while_in_flight_is_settled_by_the_new_lease() {
    let again = Claimed { lease: 7, ..claimed(1, 0) };
    let (mut pipeline, store, gate) = rig(vec![vec![claimed(1, 0)], vec![again]]);
    step_until(&mut pipeline, |_| store.limits.lock().unwrap().len() == 2).await;
    step_until(&mut pipeline, |pipeline| pipeline.polling.is_none()).await;
    assert_eq!((pipeline.in_flight.len(), pipeline.claiming.has_waiting()), (1, false));
    gate.0.add_permits(2);
    step_until(&mut pipeline, |_| !store.settled.lock().unwrap().is_empty()).await;
    assert_eq!(settled(&store), [(1, 7, "done")]);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_is_claimed_within_a_few_milliseconds() {
    let (mut pipeline, store, _gate) = rig(Vec::new());
    step_until(&mut pipeline, |pipeline| pipeline.polling.is_none() && !store.limits.lock().unwrap().is_empty()).await;
    tokio::time::advance(SECOND / 10).await;
    store.claims.lock().unwrap().push_back(vec![claimed(1, 0)]);
    let queued = Instant::now();
    store.queued().notify_waiters();
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 1).await;
    assert!(queued.elapsed() < SECOND / 50, "{:?}", queued.elapsed());
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_finishes_what_is_in_flight_and_claims_nothing_more() {
    let (mut pipeline, store, gate) = rig(vec![vec![claimed(1, 0), claimed(2, 0), claimed(3, 0)]]);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 2).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(pipeline.step(&stop).await.is_continue());
    gate.0.add_permits(2);
    while pipeline.step(&stop).await.is_continue() {}
    assert_eq!(settled(&store), [(3, 1, "released"), (1, 1, "done"), (2, 1, "done")]);
    assert_eq!(store.limits.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn cut_off_it_releases_what_is_in_flight() {
    let (mut pipeline, store, _gate) = rig(vec![vec![claimed(1, 0), claimed(2, 0), claimed(3, 0)]]);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 2).await;
    pipeline.cut_off().await;
    let mut released = settled(&store);
    released.sort_unstable();
    assert_eq!(released, [1, 2, 3].map(|id| (id, 1, "released")));
}

#[tokio::test(start_paused = true)]
async fn a_rate_lets_no_second_have_more_and_releases_nothing() {
    let claims = (0..6).map(|batch| (1..=10).map(|id| claimed(batch * 10 + id, 0)).collect());
    let (store, gate) = (Script::claiming(claims), Arc::new(Gate(Semaphore::new(1000))));
    let mut settings = settings(16);
    settings.rate = Some(Rate { count: 10, per: SECOND });
    let metrics = Metrics::new().sink(&settings.name);
    let context = Context::new(settings, Arc::clone(&gate) as Arc<dyn Sink>, Arc::clone(&store) as _, metrics);
    let (mut pipeline, begun) = (Pipeline::new(Arc::new(context)), Instant::now());
    let mut done_by = Vec::new();
    for second in 0..5 {
        let end = begun + SECOND * second + SECOND / 2;
        step_until(&mut pipeline, |_| Instant::now() >= end).await;
        done_by.push(settled(&store).len());
    }
    assert_eq!(done_by, [10, 20, 30, 40, 50]);
    step_until(&mut pipeline, |_| settled(&store).len() == 60).await;
    assert!(settled(&store).iter().all(|(_, _, outcome)| *outcome == "done"));
    assert!(begun.elapsed() >= 5 * SECOND && begun.elapsed() < 6 * SECOND, "{:?}", begun.elapsed());
    assert!(store.limits.lock().unwrap().iter().all(|limit| *limit <= 10));
}

/// Until the store has been asked, and has nothing more.
async fn step_until_drained(pipeline: &mut Pipeline, store: &Script) {
    step_until(pipeline, |pipeline| {
        pipeline.polling.is_none()
            && !store.limits.lock().unwrap().is_empty()
            && store.claims.lock().unwrap().is_empty()
    })
    .await;
    pipeline.advance();
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_handed_over_while_there_is_room_and_begins_at_once() {
    let (mut pipeline, store, gate) = rig(Vec::new());
    assert!(store.promise().is_none(), "the store was not asked yet: older ones may wait there");
    step_until_drained(&mut pipeline, &store).await;
    let (first, second) = (store.promise().unwrap(), store.promise().unwrap());
    assert!(store.promise().is_none(), "there are two slots");
    first.keep(claimed(1, 0));
    second.keep(claimed(2, 0));
    let handed = Instant::now();
    step_until(&mut pipeline, |pipeline| pipeline.claiming.has_waiting()).await;
    pipeline.advance();
    assert_eq!((pipeline.in_flight.len(), handed.elapsed()), (2, Duration::ZERO));
    assert!(store.promise().is_none(), "both slots are taken");
    gate.0.add_permits(2);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 0 && pipeline.settling.is_finished()).await;
    assert_eq!(settled(&store), [(1, 1, "done"), (2, 1, "done")]);
    assert!(store.promise().is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_while_older_ones_wait_in_the_store() {
    let (mut pipeline, store, gate) = rig(vec![vec![claimed(1, 0), claimed(2, 0)], vec![claimed(3, 0)]]);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 2).await;
    gate.0.add_permits(2);
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 0).await;
    assert!(store.promise().is_none(), "as many were found as were asked for");
    gate.0.add_permits(1);
    step_until_drained(&mut pipeline, &store).await;
    step_until(&mut pipeline, |pipeline| pipeline.in_flight.len() == 0).await;
    pipeline.advance();
    drop(store.promise().expect("it had fewer than were asked for"));
    store.claims.lock().unwrap().push_back(vec![claimed(4, 0)]);
    store.queued().notify_waiters();
    assert!(pipeline.step(&CancellationToken::new()).await.is_continue());
    pipeline.advance();
    assert!(store.promise().is_none(), "it was told that something waits");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_while_nothing_may_begin() {
    let (mut pipeline, store, gate) = rig(Vec::new());
    step_until_drained(&mut pipeline, &store).await;
    let now = Instant::now();
    pipeline.context.obey(&SinkControl { paused: Some(pause()), rate: None });
    pipeline.advance();
    assert!(store.promise().is_none(), "paused");
    let rate = RateOverride { rate: "1000/s".into(), at: pause().at, by: "operator".into() };
    pipeline.context.obey(&SinkControl { paused: None, rate: Some(rate) });
    pipeline.advance();
    assert!(store.promise().is_none(), "by a rate the store is asked for no more than may begin soon");
    pipeline.context.obey(&SinkControl::default());
    pipeline.advance();
    let late = store.promise().expect("going on");
    while pipeline.context.circuit().open_until().is_none() {
        pipeline.context.circuit().failed(now, Pass::Free);
    }
    pipeline.advance();
    assert!(store.promise().is_none(), "the sink fails");
    late.keep(claimed(1, 0));
    step_until(&mut pipeline, |_| !store.settled.lock().unwrap().is_empty()).await;
    assert_eq!(settled(&store), [(1, 1, "released")], "what was on its way goes back");
    drop(gate);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_waits_for_what_is_on_its_way_and_gives_it_back() {
    let (mut pipeline, store, _gate) = rig(Vec::new());
    step_until_drained(&mut pipeline, &store).await;
    let (kept, dropped) = (store.promise().unwrap(), store.promise().unwrap());
    let stop = CancellationToken::new();
    stop.cancel();
    for _ in 0..3 {
        assert!(pipeline.step(&stop).await.is_continue(), "a commit is under way");
    }
    kept.keep(claimed(1, 0));
    drop(dropped);
    while pipeline.step(&stop).await.is_continue() {}
    assert_eq!(settled(&store), [(1, 1, "released")]);
}

#[tokio::test(start_paused = true)]
async fn cut_off_it_gives_back_what_was_just_handed_over() {
    let (mut pipeline, store, _gate) = rig(Vec::new());
    step_until_drained(&mut pipeline, &store).await;
    store.promise().unwrap().keep(claimed(1, 0));
    pipeline.cut_off().await;
    assert_eq!(settled(&store), [(1, 1, "released")]);
}
