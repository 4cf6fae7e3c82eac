//! Dispatch over a store in memory: retries, ends, circuit, replicas, faults, shutdown, volume.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gatepost::dispatch::Dispatcher;
use gatepost::event::Event;
use gatepost::lifecycle::Lifecycle;
use gatepost::metrics::Metrics;
use gatepost::sink::{self, Attempt, Delivered, Retry, Settings, Sink, SinkError};
use gatepost::store::{Pause, RateOverride, SinkControl};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::support::dispatch_memory::{Memory, event, eventually};
use crate::support::sink_upstream::{Reply, Upstream, settings, settings_with};

type Answer = dyn Fn(&Event, u32) -> Result<(), SinkError> + Send + Sync;

/// A sink that does what it is told and remembers what it was given.
pub(super) struct Scripted {
    answer: Box<Answer>,
    pub attempts: Mutex<Vec<(String, u32)>>,
    /// Deliveries wait for one of these, where there is a gate.
    pub gate: Option<Semaphore>,
    pub begun: AtomicUsize,
}

#[async_trait]
impl Sink for Scripted {
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Result<Delivered, SinkError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.attempts.lock().unwrap().push((event.id.to_string(), attempt.number));
        (self.answer)(event, attempt.number).map(|()| Delivered::New)
    }
}

impl Scripted {
    pub(super) fn new(answer: impl Fn(&Event, u32) -> Result<(), SinkError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), attempts: Mutex::default(), gate: None, begun: AtomicUsize::new(0) })
    }

    pub(super) fn gated(permits: usize) -> Arc<Self> {
        Self::gated_by(permits, |_, _| Ok(()))
    }

    fn gated_by(
        permits: usize,
        answer: impl Fn(&Event, u32) -> Result<(), SinkError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let gate = Some(Semaphore::new(permits));
        Arc::new(Self { answer: Box::new(answer), attempts: Mutex::default(), gate, begun: AtomicUsize::new(0) })
    }

    pub(super) fn count(&self) -> usize {
        self.attempts.lock().unwrap().len()
    }

    /// How often each event was attempted.
    pub(super) fn by_event(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for (id, _) in self.attempts.lock().unwrap().iter() {
            *counts.entry(id.clone()).or_default() += 1;
        }
        counts
    }
}

pub(super) fn fails(retry: Retry) -> Result<(), SinkError> {
    Err(SinkError { message: "no".into(), status: None, retry })
}

/// A store with `count` events queued.
pub(super) fn stored(count: usize) -> (Arc<Memory>, Metrics) {
    let store = Arc::new(Memory::default());
    store.queue("orders", (0..count).map(|n| event(&format!("e{n}"), b"{}")));
    (store, Metrics::new())
}

fn sample(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.render();
    let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_due_is_delivered_and_settled_together() {
    let (store, metrics) = stored(40);
    let sink = Scripted::new(|_, _| Ok(()));
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("delivery", || store.count("orders", |row| row.done) == 40).await;
    sleep(Duration::from_secs(3)).await;
    stop(lifecycle).await;
    assert!(store.settles.load(Ordering::SeqCst) <= 3, "{} commits", store.settles.load(Ordering::SeqCst));
    assert_eq!(sample(&metrics, r#"gatepost_deliveries_total{sink="orders",outcome="delivered"}"#), 40);
    assert_eq!(sample(&metrics, r#"gatepost_delivery_backlog{sink="orders"}"#), 0);
    assert_eq!(circuit(&metrics), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn failures_wait_at_most_one_then_two_then_four_seconds_and_end_as_a_dead_letter() {
    let (store, metrics) = stored(1);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let sink = Scripted::new(move |_, _| {
        noted.lock().unwrap().push(Instant::now());
        fails(Retry::Backoff)
    });
    let mut settings = settings("http", "http://127.0.0.1:1/");
    settings.max_attempts = 5;
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    eventually("the end", || store.row(1).dead.is_some()).await;
    sleep(Duration::from_hours(1)).await;
    stop(lifecycle).await;
    assert_eq!(store.row(1).dead.as_deref(), Some("gave up after 5 attempts: no"));
    assert_eq!(*sink.attempts.lock().unwrap(), (1..=5).map(|n| ("e0".to_owned(), n)).collect::<Vec<_>>());
    for (pair, seconds) in times.lock().unwrap().windows(2).zip([1, 2, 4, 8]) {
        let (waited, most) = (pair[1] - pair[0], Duration::from_secs(seconds) + Duration::from_millis(50));
        assert!(waited <= most, "{waited:?} for {seconds}");
    }
    assert_eq!(sample(&metrics, r#"gatepost_deliveries_total{sink="orders",outcome="retried"}"#), 4);
    assert_eq!(sample(&metrics, r#"gatepost_deliveries_total{sink="orders",outcome="dead"}"#), 1);
    assert_eq!(sample(&metrics, r#"gatepost_dead_letters{sink="orders"}"#), 1);
}

#[tokio::test(start_paused = true)]
async fn retry_after_wins_over_the_backoff() {
    let (store, metrics) = stored(1);
    let sink =
        Scripted::new(|_, attempt| if attempt == 1 { fails(Retry::After(Duration::from_secs(90))) } else { Ok(()) });
    let (lifecycle, begun) = (run(&settings("http", "http://127.0.0.1:1/"), sink, &store, &metrics), Instant::now());
    sleep(Duration::from_secs(89)).await;
    assert!(!store.row(1).done);
    eventually("delivery", || store.row(1).done).await;
    let waited = begun.elapsed();
    assert!((90..92).contains(&waited.as_secs()), "{waited:?}");
    stop(lifecycle).await;
}

#[tokio::test(start_paused = true)]
async fn refused_and_too_old_deliveries_are_dead_letters() {
    let (store, metrics) = stored(2);
    let sink = Scripted::new(|event, _| fails(if event.id.as_str() == "e0" { Retry::Never } else { Retry::Backoff }));
    let mut settings = settings("http", "http://127.0.0.1:1/");
    settings.max_age = Duration::from_secs(30);
    let (lifecycle, begun) = (run(&settings, sink.clone(), &store, &metrics), Instant::now());
    eventually("the refused one", || store.row(1).dead.is_some()).await;
    assert_eq!(store.row(1).dead.as_deref(), Some("no"));
    eventually("the other", || store.row(2).dead.is_some()).await;
    assert_eq!(store.row(2).dead.as_deref(), Some("gave up after 30s: no"));
    assert!((30..32).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    stop(lifecycle).await;
}

fn pause() -> SinkControl {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    SinkControl { paused: Some(Pause { at, by: "ann".into(), reason: None }), rate: None }
}

#[tokio::test(start_paused = true)]
async fn a_paused_sink_gets_nothing_more_and_what_it_has_is_finished_and_does_not_die_of_age() {
    let (store, metrics) = stored(10);
    let sink = Scripted::gated_by(0, |_, _| fails(Retry::Backoff));
    let mut settings = settings_with("http", "http://127.0.0.1:1/", "concurrency = 2\n");
    (settings.max_age, settings.timeout) = (Duration::from_secs(30), Duration::from_hours(1));
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    eventually("two under way", || sink.begun.load(Ordering::SeqCst) == 2).await;
    assert_eq!(sample(&metrics, r#"gatepost_sink_paused{sink="orders"}"#), 0);
    *store.control.lock().unwrap() = pause();
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(sample(&metrics, r#"gatepost_sink_paused{sink="orders"}"#), 1);
    sleep(Duration::from_mins(1)).await;
    sink.gate.as_ref().unwrap().add_permits(100);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(sink.count(), 2, "what was under way ended, and nothing began");
    assert_eq!(store.count("orders", |row| row.dead.is_none() && !row.done), 10, "nothing died");
    assert_eq!(store.count("orders", |row| row.leased), 0, "nothing is held");
    let polls = store.claims.load(Ordering::SeqCst);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(store.claims.load(Ordering::SeqCst), polls, "the store is not asked for claims");
    *store.control.lock().unwrap() = SinkControl::default();
    let before = sink.count();
    sleep(Duration::from_millis(2500)).await;
    assert!(sink.count() > before, "the end of the pause is noticed");
    assert_eq!(sample(&metrics, r#"gatepost_sink_paused{sink="orders"}"#), 0);
    stop(lifecycle).await;
}

#[tokio::test(start_paused = true)]
async fn a_rate_that_operators_give_counts_until_it_is_taken_back() {
    let (store, metrics) = stored(1000);
    let sink = Scripted::new(|_, _| Ok(()));
    let rate = RateOverride { rate: "5/s".into(), at: "2026-01-02T03:04:05Z".parse().unwrap(), by: "ann".into() };
    *store.control.lock().unwrap() = SinkControl { paused: None, rate: Some(rate) };
    let settings = settings_with("http", "http://127.0.0.1:1/", "rate = \"1/m\"\n");
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    sleep(Duration::from_secs(2)).await;
    let before = sink.count();
    sleep(Duration::from_secs(20)).await;
    assert!((95..=105).contains(&(sink.count() - before)), "{} in 20 s", sink.count() - before);
    *store.control.lock().unwrap() = SinkControl::default();
    sleep(Duration::from_secs(2)).await;
    let before = sink.count();
    sleep(Duration::from_mins(3)).await;
    assert!(sink.count() - before <= 3, "{} in three minutes", sink.count() - before);
    stop(lifecycle).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_is_not_hammered_and_its_recovery_is_noticed() {
    let (store, metrics) = stored(2000);
    let up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&up);
    let sink = Scripted::new(move |_, _| if answers.load(Ordering::SeqCst) { Ok(()) } else { fails(Retry::Backoff) });
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    sleep(Duration::from_mins(1)).await;
    assert!((20..150).contains(&sink.count()), "{} attempts in a minute", sink.count());
    assert_eq!(circuit(&metrics)[0], 0);
    up.store(true, Ordering::SeqCst);
    let before = sink.count();
    sleep(Duration::from_secs(11)).await;
    assert!(sink.count() > before, "the recovery is not noticed");
    eventually("all", || store.count("orders", |row| row.done) == 2000).await;
    assert_eq!(circuit(&metrics), [1, 0, 0]);
    stop(lifecycle).await;
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_event_is_a_dead_letter_and_holds_up_no_other() {
    let (store, metrics) = stored(30);
    store.damage(3, "an event id that is none");
    let sink = Scripted::new(|_, _| Ok(()));
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("the others", || store.count("orders", |row| row.done) == 29).await;
    eventually("its end", || store.row(3).dead.is_some()).await;
    stop(lifecycle).await;
    let error = "the stored event cannot be read: an event id that is none";
    assert_eq!((store.row(3).dead.as_deref(), sink.count()), (Some(error), 29));
    assert_eq!(sample(&metrics, r#"gatepost_deliveries_total{sink="orders",outcome="dead"}"#), 1);
}

/// The series of the circuit: closed, open, probing.
fn circuit(metrics: &Metrics) -> [u64; 3] {
    ["closed", "open", "probing"]
        .map(|state| sample(metrics, &format!("gatepost_sink_circuit{{sink=\"orders\",state=\"{state}\"}}")))
}

/// Runs a dispatcher.
pub(super) fn run(settings: &Settings, sink: Arc<dyn Sink>, store: &Arc<Memory>, metrics: &Metrics) -> Lifecycle {
    let lifecycle = Lifecycle::default();
    let outbox = Arc::clone(store);
    let dispatcher = Dispatcher::new(settings.clone(), sink, outbox, metrics.sink(&settings.name));
    lifecycle.spawn(dispatcher.run(lifecycle.clone()));
    lifecycle
}

pub(super) async fn stop(lifecycle: Lifecycle) {
    lifecycle.stop_accepting().cancel();
    lifecycle.tasks_done().await;
}

#[tokio::test]
async fn a_running_dispatcher_is_woken_by_the_store() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    let sink = Scripted::new(|_, _| Ok(()));
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    for n in 0..200 {
        store.queue("orders", [event(&format!("e{n}"), b"{}")]);
        eventually("delivery", || store.count("orders", |row| row.done) == n + 1).await;
    }
    stop(lifecycle).await;
    assert_eq!(sink.count(), 200);
    let handed = store.handed.load(Ordering::SeqCst);
    assert!(
        handed > 100,
        "{handed} handed over: all but the first few can be, where each is done before the next comes"
    );
}

#[tokio::test]
async fn a_dead_sink_does_not_touch_a_healthy_one() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    let dead = Upstream::start(|_, _| Reply::Stall);
    let healthy = Upstream::start(|_, _| Reply::status(200));
    let mut running = Vec::new();
    for (name, upstream) in [("dead", &dead), ("healthy", &healthy)] {
        let mut settings = settings("http", &upstream.url());
        settings.name = name.into();
        store.queue(name, (0..2000).map(|n| event(&format!("e{n}"), b"{}")));
        running.push(run(&settings, sink::build(&settings).ok().unwrap(), &store, &metrics));
    }
    eventually("all to the healthy one", || store.count("healthy", |row| row.done) == 2000).await;
    assert_eq!(healthy.count(), 2000);
    assert_eq!(store.count("dead", |row| row.done), 0);
    for lifecycle in running {
        lifecycle.cut_off().cancel();
        lifecycle.tasks_done().await;
    }
    assert_eq!(store.count("dead", |row| row.leased), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_are_drained_in_batches_with_few_held_at_once() {
    const ALL: usize = 100_000;
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", (0..ALL).map(|n| event(&format!("e{n}"), b"{}")));
    let sink = Scripted::new(|_, _| Ok(()));
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("all delivered", || sink.count() == ALL).await;
    stop(lifecycle).await;
    assert_eq!(store.count("orders", |row| row.done), ALL);
    assert!(sink.by_event().values().all(|count| *count == 1));
    assert!(store.most_leased() <= 2048, "{} held at once", store.most_leased());
    assert!(store.claims.load(Ordering::SeqCst) < ALL / 20, "{} claims", store.claims.load(Ordering::SeqCst));
    assert!(store.settles.load(Ordering::SeqCst) < ALL / 4, "{} settles", store.settles.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_deliver_everything_once() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    let sink = Scripted::new(|_, _| Ok(()));
    let replicas = [(); 3].map(|()| run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics));
    for batch in 0..100 {
        let events = (0..50).map(|n| event(&format!("e{batch}-{n}"), b"{}"));
        store.queue("orders", events);
        tokio::task::yield_now().await;
    }
    eventually("all delivered", || store.count("orders", |row| row.done) == 5000).await;
    for lifecycle in replicas {
        stop(lifecycle).await;
    }
    assert_eq!(sink.count(), 5000);
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_hands_the_rest_back() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", (0..100).map(|n| event(&format!("e{n}"), b"{}")));
    let sink = Scripted::gated(0);
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("full", || sink.begun.load(Ordering::SeqCst) == 16).await;
    lifecycle.stop_accepting().cancel();
    sink.gate.as_ref().unwrap().add_permits(1000);
    lifecycle.tasks_done().await;
    assert_eq!(store.count("orders", |row| row.done), 16);
    assert_eq!(store.count("orders", |row| row.leased), 0);
    assert_eq!(store.count("orders", |row| row.attempts > 0), 0);
}

#[tokio::test]
async fn what_is_cut_off_is_repeated_with_the_same_id() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", (0..20).map(|n| event(&format!("e{n}"), b"{}")));
    let stuck = Scripted::gated(0);
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), stuck.clone(), &store, &metrics);
    eventually("full", || stuck.begun.load(Ordering::SeqCst) == 16).await;
    lifecycle.stop_accepting().cancel();
    lifecycle.cut_off().cancel();
    lifecycle.tasks_done().await;
    assert_eq!(store.count("orders", |row| row.leased), 0);
    let sink = Scripted::new(|_, _| Ok(()));
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("all delivered", || store.count("orders", |row| row.done) == 20).await;
    stop(lifecycle).await;
    let expected: HashMap<_, _> = (0..20).map(|n| (format!("e{n}"), 1)).collect();
    assert_eq!(sink.by_event(), expected);
    assert!(sink.attempts.lock().unwrap().iter().all(|(_, attempt)| *attempt == 1));
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_costs_no_delivery_and_repeats_none() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", (0..500).map(|n| event(&format!("e{n}"), b"{}")));
    let sink = Scripted::gated(100);
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("a hundred", || sink.count() == 100).await;
    store.broken.store(true, Ordering::SeqCst);
    sink.gate.as_ref().unwrap().add_permits(1000);
    eventually("what was under way", || sink.count() >= 116).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(sink.count() < 500, "went on delivering without a store");
    store.broken.store(false, Ordering::SeqCst);
    eventually("all delivered", || store.count("orders", |row| row.done) == 500).await;
    stop(lifecycle).await;
    assert_eq!(sink.count(), 500);
}

#[tokio::test]
async fn deliveries_grow_too_old_while_the_sink_is_down() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", (0..1000).map(|n| event(&format!("e{n}"), b"{}")));
    let sink = Scripted::new(|_, _| fails(Retry::Backoff));
    let mut settings = settings("http", "http://127.0.0.1:1/");
    settings.max_age = Duration::from_secs(1);
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    eventually("all dead", || store.count("orders", |row| row.dead.is_some()) == 1000).await;
    stop(lifecycle).await;
    assert!(sink.count() < 200, "{} attempts", sink.count());
}

#[tokio::test]
async fn a_sink_that_panics_is_tried_again() {
    let (store, metrics) = (Arc::new(Memory::default()), Metrics::new());
    store.queue("orders", [event("e", b"{}")]);
    let sink = Scripted::new(|_, attempt| if attempt == 1 { panic!("a fault of the sink") } else { Ok(()) });
    let lifecycle = run(&settings("http", "http://127.0.0.1:1/"), sink.clone(), &store, &metrics);
    eventually("delivered", || store.row(1).done).await;
    stop(lifecycle).await;
    assert_eq!(store.row(1).attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_rate_holds_over_any_second_retries_included_and_nothing_is_lost() {
    let (store, metrics) = stored(100);
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    // One in five at first, so that the circuit stays closed.
    let sink = Scripted::new(move |event, attempt| {
        noted.lock().unwrap().push(Instant::now());
        let again = attempt == 1 && event.id.as_str().ends_with(['0', '5']);
        if again { fails(Retry::After(Duration::from_secs(2))) } else { Ok(()) }
    });
    let settings = settings_with("http", "http://127.0.0.1:1/", "rate = '20/s'");
    let lifecycle = run(&settings, sink.clone(), &store, &metrics);
    eventually("delivery", || store.count("orders", |row| row.done) == 100).await;
    stop(lifecycle).await;
    let (times, second) = (times.lock().unwrap(), Duration::from_secs(1));
    assert_eq!((times.len(), sink.by_event().len()), (120, 100));
    for first in times.iter() {
        assert!(times.iter().filter(|at| (*first..*first + second).contains(at)).count() <= 20);
    }
    // Nor much less: six seconds' worth, and the last retries.
    assert!(times[119] - times[0] < 9 * second, "{:?}", times[119] - times[0]);
    assert_eq!(store.count("orders", |row| row.leased), 0);
}
