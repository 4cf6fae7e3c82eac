//! Whatever a store and a sink went through: once both are well, everything is delivered, and nothing that is known to
//! be delivered is delivered again. All on paused time, through the loop that ships.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use gatepost::metrics::Metrics;
use gatepost::sink::Retry;
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

use crate::dispatch::in_memory::{Scripted, fails, run, stop, stored};
use crate::support::dispatch_memory::{Memory, event, eventually};
use crate::support::sink_upstream::settings;

fn done(store: &Memory) -> usize {
    store.count("orders", |row| row.done)
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_beside_a_slow_store_is_tried_again_when_both_are_well() {
    let (store, metrics) = stored(61);
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let sink = Scripted::new(move |_, _| if answers.load(Ordering::SeqCst) { Ok(()) } else { fails(Retry::Backoff) });
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink, &store, &metrics);
    sleep(Duration::from_secs(5)).await;
    *store.latency.lock().unwrap() = (3400, 3900);
    sleep(Duration::from_mins(1)).await;
    *store.latency.lock().unwrap() = (0, 0);
    up.store(true, Ordering::SeqCst);
    // Their own waits are longer than the circuit's by now.
    sleep(Duration::from_mins(3)).await;
    assert_eq!(done(&store), 61);
    stop(lifecycle).await;
}

#[tokio::test(start_paused = true)]
async fn results_that_outlast_their_lease_in_a_stall_are_settled_and_not_repeated() {
    for replicas in [1, 2].repeat(10) {
        let (store, metrics) = stored(200);
        let sink = Scripted::gated(40);
        let running: Vec<_> = (0..replicas)
            .map(|_| run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics))
            .collect();
        eventually("some", || done(&store) == 40).await;
        let begun = sink.begun.load(Ordering::SeqCst);
        store.broken.store(true, Ordering::SeqCst);
        *store.latency.lock().unwrap() = (0, 8000);
        sink.gate.as_ref().unwrap().add_permits(10_000);
        sleep(Duration::from_millis(fastrand::u64(60_000..70_000))).await;
        assert_eq!(sink.begun.load(Ordering::SeqCst), begun, "went on without a store");
        store.broken.store(false, Ordering::SeqCst);
        *store.latency.lock().unwrap() = (0, 0);
        eventually("the rest", || done(&store) == 200).await;
        for lifecycle in running {
            stop(lifecycle).await;
        }
        assert_eq!((sink.count(), sink.by_event().len()), (200, 200), "{replicas} replicas");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_not_begun_again_after_its_lease() {
    let (store, metrics) = stored(3);
    let sink = Scripted::gated(0);
    let mut settings = settings("http", "http://127.0.0.1:1/");
    settings.timeout = Duration::from_mins(10);
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    eventually("begun", || sink.begun.load(Ordering::SeqCst) == 3).await;
    // As after a machine slept: time went on for the store, not for what is under way.
    store.end_leases();
    store.queue("orders", [event("another", b"{}")]);
    eventually("the other", || sink.begun.load(Ordering::SeqCst) == 4).await;
    sleep(Duration::from_secs(5)).await;
    sink.gate.as_ref().unwrap().add_permits(100);
    eventually("all", || done(&store) == 4).await;
    stop(lifecycle).await;
    assert!(sink.by_event().values().all(|times| *times == 1), "{:?}", sink.by_event());
}

/// What a sink does for a while.
const WELL: u8 = 0;
const REFUSES: u8 = 1;

#[derive(Clone, Debug)]
struct Phase {
    millis: u64,
    latency: (u64, u64),
    broken: bool,
    sink: u8,
    queued: usize,
}

fn phase() -> impl Strategy<Value = Phase> {
    let latency = prop_oneof![Just((0, 0)), Just((0, 50)), Just((3400, 3900)), Just((0, 9000))];
    (
        1..30_000_u64,
        latency,
        prop::bool::weighted(0.3),
        prop_oneof![Just(WELL), Just(REFUSES), Just(REFUSES)],
        0..40_usize,
    )
        .prop_map(|(millis, latency, broken, sink, queued)| Phase { millis, latency, broken, sink, queued })
}

async fn live_through(phases: Vec<Phase>, replicas: usize) -> (usize, usize, Duration) {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    let does = Arc::new(AtomicU8::new(WELL));
    let script = Arc::clone(&does);
    let sink = Scripted::new(move |_, _| match script.load(Ordering::SeqCst) {
        WELL => Ok(()),
        _ => fails(Retry::Backoff),
    });
    let mut settings = settings("http", "http://127.0.0.1:1/");
    (settings.max_attempts, settings.max_age) = (1000, Duration::from_hours(1000));
    let running: Vec<_> = (0..replicas).map(|_| run(&settings, sink.clone(), &store, &metrics)).collect();
    let mut all = 1;
    store.queue("orders", [event("first", b"{}")]);
    for phase in phases {
        does.store(phase.sink, Ordering::SeqCst);
        store.broken.store(phase.broken, Ordering::SeqCst);
        *store.latency.lock().unwrap() = phase.latency;
        store.queue("orders", (0..phase.queued).map(|n| event(&format!("e{}", all + n), b"{}")));
        all += phase.queued;
        sleep(Duration::from_millis(phase.millis)).await;
    }
    does.store(WELL, Ordering::SeqCst);
    store.broken.store(false, Ordering::SeqCst);
    *store.latency.lock().unwrap() = (0, 0);
    let well = Instant::now();
    while done(&store) < all && well.elapsed() < Duration::from_hours(2) {
        sleep(Duration::from_millis(100)).await;
    }
    let took = well.elapsed();
    for lifecycle in running {
        stop(lifecycle).await;
    }
    (all, done(&store), took)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn after_anything_all_is_delivered(phases in prop::collection::vec(phase(), 1..12), replicas in 1..3_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (all, done, took) = runtime.block_on(live_through(phases, replicas));
        prop_assert_eq!(done, all, "after {:?}", took);
    }
}
