//! Dispatch and audit on the real embedded store, to real sockets: in order to see that the halves keep each other's promises.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gatepost::audit::{Auditor, Siem, SiemFormat, Target};
use gatepost::audit_record::AuditRecord;
use gatepost::clock::Clock;
use gatepost::dispatch::Dispatcher;
use gatepost::event::Name;
use gatepost::lifecycle::Lifecycle;
use gatepost::metrics::Metrics;
use gatepost::sink::address::Endpoint;
use gatepost::sink::{self, ClientSettings, Settings};
use gatepost::store::{self, DeadLetterFilter, Insertion, QuarantineBounds, Store};
use tokio::sync::{mpsc, watch};

use crate::support::dispatch_memory::{event, eventually};
use crate::support::sink_upstream::{Reply, Upstream, settings};

async fn open(folder: &Path, metrics: &Arc<Metrics>) -> Store {
    let settings = store::Settings {
        url: format!("sqlite:{}", folder.join("gatepost.db").display()),
        retention: Duration::from_hours(96),
        quarantine: QuarantineBounds { max_entries: 10, max_bytes: 1 << 20 },
    };
    store::open(&settings, Arc::clone(metrics)).await.unwrap()
}

/// Inserts events as they come from many requests at once.
async fn insert(store: &Store, sinks: &[&str], ids: impl Iterator<Item = String>) {
    let sinks: Arc<[Name]> = sinks.iter().map(Name::from).collect();
    let mut inserts = tokio::task::JoinSet::new();
    for id in ids {
        let (inbox, sinks) = (Arc::clone(&store.inbox), Arc::clone(&sinks));
        let mut event = event(&id, format!("{{\"id\":\"{id}\"}}").as_bytes());
        event.received_at = Clock::system().now();
        inserts.spawn(async move { inbox.insert(event, sinks).await.unwrap() });
        if inserts.len() >= 64 {
            assert_eq!(inserts.join_next().await.unwrap().unwrap(), Insertion::Accepted);
        }
    }
    inserts.join_all().await;
}

fn run(settings: &Settings, store: &Store, metrics: &Metrics) -> Lifecycle {
    let lifecycle = Lifecycle::default();
    let (sink, outbox) = (sink::build(settings).ok().unwrap(), Arc::clone(&store.outbox));
    let metrics = metrics.sink(&settings.name);
    let dispatcher = Dispatcher::new(settings.clone(), sink, outbox, metrics);
    lifecycle.spawn(dispatcher.run(lifecycle.clone()));
    lifecycle
}

async fn stop(lifecycle: Lifecycle) {
    lifecycle.stop_accepting().cancel();
    lifecycle.tasks_done().await;
}

async fn pending(store: &Store, sink: &str) -> u64 {
    store.outbox.backlog(&sink.into()).await.unwrap().pending
}

/// How often each id arrived.
fn arrivals(upstream: &Upstream) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for request in upstream.seen() {
        *counts.entry(request.header("ce-id").unwrap().to_owned()).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_inserted_while_two_replicas_deliver_arrives_once_at_each_sink() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    // Two handles on one file: what two processes have.
    let stores = [open(folder.path(), &metrics).await, open(folder.path(), &metrics).await];
    let upstreams = [Upstream::start(|_, _| Reply::status(200)), Upstream::start(|_, _| Reply::status(204))];
    let mut running = Vec::new();
    for store in &stores {
        for (name, upstream) in ["a", "b"].into_iter().zip(&upstreams) {
            let mut settings = settings("http", &upstream.url());
            settings.name = name.into();
            running.push(run(&settings, store, &metrics));
        }
    }
    insert(&stores[0], &["a", "b"], (0..3000).map(|n| format!("e{n}"))).await;
    for upstream in &upstreams {
        eventually("all of them", || upstream.count() >= 3000).await;
    }
    for lifecycle in running {
        stop(lifecycle).await;
    }
    for (name, upstream) in ["a", "b"].into_iter().zip(&upstreams) {
        let arrivals = arrivals(upstream);
        assert_eq!((arrivals.len(), upstream.count()), (3000, 3000));
        assert_eq!(pending(&stores[0], name).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was_and_dead_letters_stay() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let store = open(folder.path(), &metrics).await;
    insert(&store, &["orders"], (0..300).map(|n| format!("e{n}"))).await;
    // Takes the first hundred, refuses one for good, stalls on the rest.
    let upstream = Upstream::start(|n, request| match n {
        _ if request.header("ce-id") == Some("bot-a:e7") => Reply::status(422),
        0..100 => Reply::status(200),
        _ => Reply::Stall,
    });
    let lifecycle = run(&settings("http", &upstream.url()), &store, &metrics);
    eventually("a hundred", || upstream.count() >= 116).await;
    lifecycle.stop_accepting().cancel();
    lifecycle.cut_off().cancel();
    lifecycle.tasks_done().await;
    store.maintenance.close().await.unwrap();
    drop(store);

    let store = open(folder.path(), &metrics).await;
    let before = arrivals(&upstream);
    let healthy = Upstream::start(|_, _| Reply::status(200));
    let lifecycle = run(&settings("http", &healthy.url()), &store, &metrics);
    while pending(&store, "orders").await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(lifecycle).await;
    let after = arrivals(&healthy);
    assert_eq!(before.len() - 16 + after.len(), 300);
    assert!(after.values().all(|count| *count == 1));
    let dead = store.dead_letters.list(&[], &DeadLetterFilter::default(), false).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].event.id.as_str(), dead[0].attempts), ("e7", 1));
    assert!(dead[0].error.contains("422"), "{}", dead[0].error);
    store.dead_letters.replay(&[dead[0].id], &DeadLetterFilter::default(), None).await.unwrap();
    let lifecycle = run(&settings("http", &healthy.url()), &store, &metrics);
    eventually("the replay", || arrivals(&healthy).contains_key("bot-a:e7")).await;
    stop(lifecycle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audit_records_survive_a_reopened_store() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Arc::new(Metrics::new());
    let down = Upstream::start(|_, _| Reply::status(503));
    let up = Upstream::start(|_, _| Reply::status(200));
    for (upstream, count) in [(&down, 1000), (&up, 0)] {
        let store = open(folder.path(), &metrics).await;
        let siem = Siem {
            url: Endpoint::parse(&upstream.url()).unwrap(),
            token: None,
            client: ClientSettings::default(),
            format: SiemFormat::Json,
        };
        let (records, receiver) = mpsc::channel(64);
        let lifecycle = Lifecycle::default();
        let queue = Arc::clone(&store.audit_queue);
        let target = Target::new(&siem).map(Arc::new).ok();
        assert!(target.is_some());
        let (_targets, seen) = watch::channel(target);
        let auditor = Auditor::new(seen, queue, receiver, Arc::clone(&metrics), Clock::system());
        lifecycle.spawn(auditor.run(lifecycle.clone()));
        for n in 0..count {
            let verdict = AuditRecord {
                event: "webhook_validation",
                timestamp: Clock::system().now(),
                source: "bot-a".into(),
                bot_id: None,
                intent: None,
                validated: true,
                reason: None,
                latency_us: n,
                rejections: 0,
            };
            records.send(verdict).await.unwrap();
        }
        let body = |upstream: &Upstream| -> usize {
            let batches = upstream.seen().into_iter();
            batches.map(|request| serde_json::from_slice::<Vec<serde_json::Value>>(&request.body).unwrap().len()).sum()
        };
        if count == 0 {
            eventually("all records", || body(&up) == 1000).await;
        }
        drop(records);
        stop(lifecycle).await;
        assert_eq!(store.audit_queue.count().await.unwrap(), count);
        store.maintenance.close().await.unwrap();
    }
}
