//! Audit records towards a SIEM over real sockets: batches, retries, refusals, floods, restarts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gatepost::audit::{Auditor, Siem, SiemFormat, Target};
use gatepost::audit_record::AuditRecord;
use gatepost::clock::Clock;
use gatepost::lifecycle::Lifecycle;
use gatepost::metrics::Metrics;
use gatepost::secret::Secret;
use gatepost::sink::ClientSettings;
use gatepost::sink::address::Endpoint;
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use crate::support::dispatch_memory::{AuditMemory, eventually};
use crate::support::sink_upstream::{Reply, Upstream};

struct Running {
    records: mpsc::Sender<AuditRecord>,
    lifecycle: Lifecycle,
    metrics: Arc<Metrics>,
    targets: watch::Sender<Option<Arc<Target>>>,
}

fn target(upstream: &Upstream, format: SiemFormat, token: &str) -> Option<Arc<Target>> {
    let siem = Siem {
        url: Endpoint::parse(&upstream.url()).unwrap(),
        token: Secret::token(token).ok(),
        client: ClientSettings::default(),
        format,
    };
    let target = Target::new(&siem).map(Arc::new).ok();
    assert!(target.is_some());
    target
}

fn run(upstream: &Upstream, format: SiemFormat, queue: &Arc<AuditMemory>) -> Running {
    let (records, receiver) = mpsc::channel(1024);
    let (lifecycle, metrics) = (Lifecycle::default(), Arc::new(Metrics::new()));
    let (targets, seen) = watch::channel(target(upstream, format, "t0ken"));
    let auditor = Auditor::new(seen, Arc::clone(queue) as _, receiver, Arc::clone(&metrics), Clock::system());
    lifecycle.spawn(auditor.run(lifecycle.clone()));
    Running { records, lifecycle, metrics, targets }
}

impl Running {
    async fn tell(&self, count: u64, reason: Option<&'static str>) {
        for n in 0..count {
            self.records.send(verdict(n, reason)).await.unwrap();
        }
    }

    async fn stop(self) -> Arc<Metrics> {
        drop(self.records);
        self.lifecycle.stop_accepting().cancel();
        self.lifecycle.tasks_done().await;
        self.metrics
    }
}

fn verdict(n: u64, reason: Option<&'static str>) -> AuditRecord {
    AuditRecord {
        event: "webhook_validation",
        timestamp: Clock::system().now(),
        source: "bot-a".into(),
        bot_id: None,
        intent: None,
        validated: reason.is_none(),
        reason,
        latency_us: n,
        rejections: 0,
    }
}

/// Every record of every request that arrived.
fn arrived(upstream: &Upstream) -> Vec<Value> {
    let batches = upstream.seen().into_iter();
    batches.flat_map(|request| serde_json::from_slice::<Vec<Value>>(&request.body).unwrap()).collect()
}

fn callbacks(metrics: &Metrics, outcome: &str) -> u64 {
    let (text, series) = (metrics.render(), format!("gatepost_siem_callbacks_total{{outcome=\"{outcome}\"}} "));
    text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_validation_arrives_once_in_batches_with_all_its_fields() {
    let (upstream, queue) = (Upstream::start(|_, _| Reply::status(200)), Arc::new(AuditMemory::default()));
    let running = run(&upstream, SiemFormat::Json, &queue);
    running.tell(3000, None).await;
    running.tell(20, Some("signature_mismatch")).await;
    eventually("all records", || arrived(&upstream).len() == 3020).await;
    eventually("an empty queue", || queue.len() == 0).await;
    let metrics = running.stop().await;
    assert!(upstream.count() < 300, "{} requests", upstream.count());
    assert_eq!(callbacks(&metrics, "ok"), upstream.count() as u64);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert!(arrived(&upstream).iter().all(|record| record.as_object().unwrap().len() == 9));
}

#[tokio::test]
async fn splunk_gets_its_own_words() {
    let (upstream, queue) = (Upstream::start(|_, _| Reply::status(200)), Arc::new(AuditMemory::default()));
    let running = run(&upstream, SiemFormat::SplunkHec, &queue);
    running.tell(1, None).await;
    eventually("a request", || upstream.count() == 1).await;
    running.stop().await;
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("authorization"), Some("Splunk t0ken"));
    let event: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(event["event"]["event"], "webhook_validation");
}

#[tokio::test]
async fn outages_are_sat_out_and_retry_after_is_honoured() {
    let upstream = Upstream::start(|n, _| match n {
        0 => Reply::status(500),
        1 => Reply::Cut,
        2 => Reply::Status(429, "Retry-After: 1\r\n", Vec::new()),
        _ => Reply::status(202),
    });
    let queue = Arc::new(AuditMemory::default());
    let running = run(&upstream, SiemFormat::Json, &queue);
    running.tell(5, None).await;
    eventually("an empty queue", || queue.len() == 0 && upstream.count() >= 4).await;
    let metrics = running.stop().await;
    assert_eq!((callbacks(&metrics, "retried"), callbacks(&metrics, "dropped")), (3, 0));
    let last = upstream.seen().pop().unwrap();
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&last.body).unwrap().len(), 5);
}

#[tokio::test]
async fn a_batch_refused_for_good_is_tried_three_times_and_dropped() {
    let refused = Upstream::start(|n, _| if n < 3 { Reply::status(400) } else { Reply::status(200) });
    let queue = Arc::new(AuditMemory::default());
    let running = run(&refused, SiemFormat::Json, &queue);
    running.tell(5, None).await;
    eventually("the drop", || queue.len() == 0 && refused.count() >= 3).await;
    running.tell(1, None).await;
    eventually("the next batch", || refused.count() == 4).await;
    let metrics = running.stop().await;
    assert_eq!((callbacks(&metrics, "dropped"), callbacks(&metrics, "ok")), (1, 1));
}

#[tokio::test]
async fn a_flood_of_refusals_becomes_counts() {
    let (upstream, queue) = (Upstream::start(|_, _| Reply::status(200)), Arc::new(AuditMemory::default()));
    let running = run(&upstream, SiemFormat::Json, &queue);
    running.tell(20_000, Some("signature_mismatch")).await;
    running.tell(10, None).await;
    let told = |upstream: &Upstream| -> u64 {
        arrived(upstream).iter().map(|record| record.get("count").map_or(1, |count| count.as_u64().unwrap())).sum()
    };
    eventually("every refusal counted", || told(&upstream) == 20_010).await;
    running.stop().await;
    let records = arrived(&upstream);
    assert!(records.len() < 2000, "{} records", records.len());
    let summary = records.iter().find(|record| record.get("count").is_some()).unwrap();
    for field in ["event", "timestamp", "source", "bot_id", "intent", "validated", "reason", "latency_us", "rejections"]
    {
        assert!(summary.get(field).is_some(), "{field}");
    }
}

#[tokio::test]
async fn another_target_gets_what_waits_at_once_and_nothing_twice() {
    let (down, queue) = (Upstream::start(|_, _| Reply::status(503)), Arc::new(AuditMemory::default()));
    let running = run(&down, SiemFormat::Json, &queue);
    running.tell(50, None).await;
    // By then the waits are longer than this test has patience for.
    eventually("some attempts", || down.count() >= 4).await;
    let up = Upstream::start(|_, _| Reply::status(200));
    running.targets.send_replace(target(&up, SiemFormat::Json, "another"));
    eventually("sent", || queue.len() == 0).await;
    running.tell(5, None).await;
    eventually("and what comes after", || arrived(&up).len() == 55 && queue.len() == 0).await;
    assert!(up.seen().iter().all(|request| request.header("authorization") == Some("Bearer another")));
    running.stop().await;
}

#[tokio::test]
async fn without_a_target_records_wait_and_are_sent_once_there_is_one() {
    let (first, queue) = (Upstream::start(|_, _| Reply::status(200)), Arc::new(AuditMemory::default()));
    let running = run(&first, SiemFormat::Json, &queue);
    running.tell(3, None).await;
    eventually("sent", || arrived(&first).len() == 3 && queue.len() == 0).await;
    let before = first.count();
    running.targets.send_replace(None);
    // What is told now is queued; a sender that went on would have taken it long before the next target is there.
    running.tell(4, None).await;
    eventually("queued", || queue.len() == 4).await;
    let second = Upstream::start(|_, _| Reply::status(200));
    running.targets.send_replace(target(&second, SiemFormat::SplunkHec, "t0ken"));
    eventually("sent to the other", || queue.len() == 0).await;
    assert_eq!((first.count(), second.count()), (before, 1));
    running.stop().await;
}

#[tokio::test]
async fn what_a_dead_process_left_is_sent_by_the_next_one() {
    let (down, queue) = (Upstream::start(|_, _| Reply::status(503)), Arc::new(AuditMemory::default()));
    let running = run(&down, SiemFormat::Json, &queue);
    running.tell(50, None).await;
    eventually("queued", || queue.len() == 50).await;
    running.lifecycle.cut_off().cancel();
    running.lifecycle.tasks_done().await;
    // As after kill -9 and the time of a lease.
    queue.rows.lock().unwrap().values_mut().for_each(|row| row.due = tokio::time::Instant::now());
    let up = Upstream::start(|_, _| Reply::status(200));
    let running = run(&up, SiemFormat::Json, &queue);
    eventually("sent", || arrived(&up).len() == 50).await;
    running.stop().await;
}

#[tokio::test]
async fn a_stalled_store_neither_blocks_nor_loses_what_fits() {
    let (upstream, queue) = (Upstream::start(|_, _| Reply::status(200)), Arc::new(AuditMemory::default()));
    queue.broken.store(true, Ordering::SeqCst);
    let running = run(&upstream, SiemFormat::Json, &queue);
    tokio::time::timeout(Duration::from_secs(30), running.tell(50_000, None)).await.unwrap();
    queue.broken.store(false, Ordering::SeqCst);
    eventually("what was held", || arrived(&upstream).len() >= 20_000).await;
    let metrics = running.stop().await;
    assert!(callbacks(&metrics, "dropped") >= 1);
    assert!(arrived(&upstream).len() < 50_000);
}

#[tokio::test]
async fn the_last_records_are_queued_at_the_end() {
    let (down, queue) = (Upstream::start(|_, _| Reply::Stall), Arc::new(AuditMemory::default()));
    let running = run(&down, SiemFormat::Json, &queue);
    running.tell(7, None).await;
    running.tell(200, Some("timestamp_expired")).await;
    // One sender stays alive, as in a daemon whose routes are dropped last.
    let still_there = running.records.clone();
    running.lifecycle.stop_accepting().cancel();
    eventually("the last words", || queue.len() > 107).await;
    running.lifecycle.cut_off().cancel();
    running.lifecycle.tasks_done().await;
    drop(still_there);
    let rows = queue.rows.lock().unwrap();
    let count = |row: &str| serde_json::from_str::<Value>(row).unwrap().get("count").map_or(1, |n| n.as_u64().unwrap());
    assert_eq!(rows.values().map(|row| count(&row.queued.record)).sum::<u64>(), 207);
}
