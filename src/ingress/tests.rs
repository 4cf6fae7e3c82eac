//! The stack as it is served, on a store that a test makes up.

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::*;
use crate::event::{Event, EventKey, Name};
use crate::server::client::{ConnectionId, Peer};
use crate::server::networks::Networks;
use crate::store::{Cursor, Insertion, Page, QuarantineFilter as Filter, Quarantined, StoreError};
use crate::trace::Tracer;

const SECRET: &str = "a-secret-of-the-tests";
const KIB: usize = 1024;

/// Gives up on every event and holds on to it, as a queue before a disk that has stalled does. Counts what was to be
/// kept in quarantine.
#[derive(Default)]
struct Stalled(Mutex<Vec<Event>>, AtomicUsize);

#[async_trait::async_trait]
impl Inbox for Stalled {
    async fn insert_beside(&self, event: Event, _: &[EventKey], _: Arc<[Name]>) -> Result<Insertion, StoreError> {
        self.0.lock().unwrap().push(event);
        Err(StoreError::Unavailable("no commit in time".into()))
    }
}

#[async_trait::async_trait]
impl Quarantine for Stalled {
    async fn put(&self, _: Quarantined) -> Result<i64, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::Unavailable("no commit in time".into()))
    }
    async fn same(&self, _: &Quarantined) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }
    async fn page(&self, _: &Filter, _: Option<Cursor>) -> Result<Page<Quarantined>, StoreError> {
        Ok(Page { rows: Vec::new(), next: None })
    }
    async fn get(&self, _: i64) -> Result<Option<Quarantined>, StoreError> {
        Ok(None)
    }
    async fn remove(&self, _: &[i64]) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn count(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
    async fn resize(&self, _: crate::store::QuarantineBounds) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Routes with the source `cognigy-callback`, and what is behind it.
struct Rig {
    routes: Routes,
    store: Arc<Stalled>,
    metrics: Arc<Metrics>,
    writer: QuarantineWriter,
}

fn rig(permits: usize, budget: usize) -> Rig {
    rig_with(permits, budget, None, Clock::system())
}

fn rig_with(permits: usize, budget: usize, tracer: Option<Arc<Tracer>>, clock: Clock) -> Rig {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("gatepost.toml");
    let toml = format!(
        "[tls]\ncert_file = \"a\"\nkey_file = \"b\"\n[limits]\nbody_memory_bytes = {budget}\nbody_bytes = {budget}\n\
         [[source]]\nname = \"a\"\npreset = \"cognigy-callback\"\npath = \"/a\"\nallowed_ips = \"any\"\n\
         secrets = [{{ env = \"A\" }}]\n"
    );
    std::fs::write(&file, toml).unwrap();
    let config = crate::config::load(Some(&file), &[("A".into(), SECRET.into())].into()).unwrap();
    let (store, metrics) = (Arc::new(Stalled::default()), Arc::new(Metrics::new()));
    let (quarantine_queue, writer) = quarantine_queue(Arc::clone(&store) as Arc<dyn Quarantine>, clock.clone());
    let shared = Shared {
        inbox: Arc::clone(&store) as Arc<dyn Inbox>,
        quarantine: Arc::clone(&store) as Arc<dyn Quarantine>,
        quarantine_queue,
        requests: Arc::new(RequestPermits::new(permits)),
        waiting: Arc::new(Waiting::new(permits)),
        budget: Arc::new(BodyBudget::new(budget, Arc::clone(&metrics))),
        body_timeout: Duration::from_secs(10),
        clock: clock.clone(),
        near_misses: crate::near_misses::NearMisses::default(),
        lifecycle: Lifecycle::default(),
    };
    let trusted = Networks::parse(["10.0.0.1"]).unwrap();
    let recorder = Arc::new(Recorder {
        feed: crate::feed::Feed::new(clock.clone()),
        clock,
        trusted,
        unrouted: unrouted(&metrics),
        audit: None,
        tracer,
    });
    let scheme = config.live.sources[0].scheme.build().unwrap();
    let source = Arc::new(Source::new(config.live.sources[0].clone(), scheme, &[], &metrics));
    Rig { routes: routes(&shared, &recorder, &[source]), store, metrics, writer }
}

/// From where a request comes: socket address, connection, what a proxy says.
type From = (IpAddr, u64, Option<&'static str>);

const HERE: From = (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1, None);

fn request((peer, connection, forwarded): From, signed: &[u8], body: Body) -> Request<Body> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(signed);
    let mut request = Request::post("/a").header("host", "a").header("content-type", "application/json");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = request.header("x-cognigy-signature", signature).body(body).unwrap();
    request.extensions_mut().insert(Peer { ip: peer, connection: ConnectionId(connection) });
    request
}

fn event(size: usize) -> Vec<u8> {
    format!("{{\"sessionId\":\"s\",\"userId\":\"u\",\"x\":\"{}\"}}", "x".repeat(size)).into_bytes()
}

/// Status and reason of the answer to a whole request.
async fn told(rig: &Rig, from: From, size: usize) -> (u16, String) {
    let body = event(size);
    let answer = rig.routes.call(request(from, &body, Body::from(body.clone()))).await.unwrap();
    read(answer).await
}

async fn read(answer: Response<Body>) -> (u16, String) {
    use http_body_util::BodyExt as _;
    let status = answer.status().as_u16();
    assert_eq!(status == 503, answer.headers().contains_key("retry-after"));
    let text = answer.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    (status, json["message"].as_str().unwrap_or_default().to_owned())
}

/// A request whose body does not come until it is sent: dropped, it is cut off.
struct Held {
    body: mpsc::Sender<Result<Vec<u8>, std::io::Error>>,
    answer: tokio::task::JoinHandle<Result<Response<Body>, Infallible>>,
}

impl Held {
    async fn new(rig: &Rig, from: From) -> Self {
        Self::signed(rig, from, &event(10)).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test that waits for what it starts")]
    async fn signed(rig: &Rig, from: From, signed: &[u8]) -> Self {
        let (body, frames) = mpsc::channel(4);
        let frames = futures_util::stream::unfold(frames, |mut frames| async { Some((frames.recv().await?, frames)) });
        let request = request(from, signed, Body::from_stream(frames));
        let answer = tokio::spawn(rig.routes.call(request));
        // One thread: whatever it can do without its body, it has done then.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        Self { body, answer }
    }

    /// Status and reason, where it has been answered.
    async fn refused(self) -> Option<(u16, String)> {
        if self.answer.is_finished() { Some(read(self.answer.await.unwrap().unwrap()).await) } else { None }
    }

    async fn finish(self) -> (u16, String) {
        self.body.send(Ok(event(10))).await.unwrap();
        drop(self.body);
        read(self.answer.await.unwrap().unwrap()).await
    }
}

fn unavailable() -> (u16, String) {
    (503, "store_unavailable".into())
}

fn overloaded() -> (u16, String) {
    (503, "overloaded".into())
}

#[tokio::test]
async fn what_is_our_fault_is_an_error_of_its_span_and_what_is_kept_of_it_names_that() {
    let (queue, mut spans) = mpsc::channel(1);
    let (sampler, clock) = (crate::trace::Sampler::default(), Clock::system());
    let tracer = Tracer::new(sampler, queue, prometheus_client::metrics::counter::Counter::default(), clock);
    let rig = rig_with(4096, 1024 * KIB, Some(Arc::new(tracer)), Clock::system());
    assert_eq!(told(&rig, HERE, 10).await, unavailable());
    let span = spans.try_recv().unwrap();
    assert_eq!(span.failed.as_deref(), Some(""));
    let says = |name: &str| span.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    assert_eq!(says("error.type"), Some("503".to_owned().into()));
    assert_eq!(says("gatepost.reason"), Some("store_unavailable".into()));
    assert_eq!(says("server.address"), Some("a".to_owned().into()));
    assert_eq!(rig.store.0.lock().unwrap()[0].traceparent, Some(span.context.header()));
}

#[tokio::test]
async fn a_body_that_the_store_still_holds_stays_in_the_budget_after_its_503() {
    let rig = rig(4096, 1024 * KIB);
    for n in 1..=3 {
        assert_eq!(told(&rig, HERE, 250 * KIB).await, unavailable());
        let held: usize = rig.store.0.lock().unwrap().iter().map(|event| event.payload.bytes().len()).sum();
        assert_eq!(usize::try_from(rig.metrics.body_memory.get()).unwrap(), held, "{n}");
    }
    assert_eq!(told(&rig, HERE, 250 * KIB).await, overloaded(), "three are held, and a part is for small ones");
    rig.store.0.lock().unwrap().clear();
    assert_eq!(rig.metrics.body_memory.get(), 0);
    assert_eq!(told(&rig, HERE, 250 * KIB).await, unavailable());
}

#[tokio::test]
async fn one_client_waits_with_an_eighth_of_the_permits_and_whole_requests_do_not_wait() {
    let rig = rig(64, 1024 * KIB);
    let mut held = Vec::new();
    for n in 0..8 {
        held.push(Held::new(&rig, (HERE.0, n, None)).await);
    }
    let ninth = Held::new(&rig, (HERE.0, 9, None)).await;
    let eighth = held.pop().unwrap();
    assert_eq!(eighth.refused().await, Some(overloaded()), "the newest makes way for one that is newer still");
    held.push(ninth);
    for _ in 0..20 {
        assert_eq!(told(&rig, HERE, 10).await, unavailable(), "its body is here: it does not count");
    }
    let other = Held::new(&rig, ([192, 0, 2, 1].into(), 10, None)).await;
    assert_eq!(other.finish().await, unavailable());
    for one in held {
        assert_eq!(one.finish().await, unavailable(), "all of them were only waiting");
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_clients_count() {
    let rig = rig(16, 1024 * KIB);
    let proxy = |client| ([10, 0, 0, 1].into(), 1, Some(client));
    let first = Held::new(&rig, proxy("192.0.2.1")).await;
    let second = Held::new(&rig, proxy("192.0.2.1")).await;
    let other = [Held::new(&rig, proxy("192.0.2.2")).await, Held::new(&rig, proxy("192.0.2.2")).await];
    let third = Held::new(&rig, proxy("192.0.2.1")).await;
    assert_eq!(second.refused().await, Some(overloaded()), "two are its client's share");
    for one in [first, third].into_iter().chain(other) {
        assert_eq!(one.finish().await, unavailable());
    }
}

#[tokio::test]
async fn many_clients_that_wait_leave_half_of_the_permits_and_go_longest_first() {
    let rig = rig(16, 1024 * KIB);
    let mut held = Vec::new();
    for n in 0..40 {
        held.push(Held::new(&rig, ([192, 0, 2, n].into(), u64::from(n), None)).await);
        assert_eq!(told(&rig, HERE, 10).await, unavailable(), "whole requests are served meanwhile");
    }
    let rest = held.split_off(32);
    for one in held {
        assert_eq!(one.refused().await, Some(overloaded()));
    }
    for one in rest {
        assert_eq!(one.finish().await, unavailable(), "the last eight were waited for");
    }
}

#[tokio::test]
async fn a_body_that_comes_late_does_not_open_the_rate_of_what_is_kept() {
    let clock = Clock::manual("2026-05-01T12:00:00Z".parse().unwrap());
    let rig = rig_with(4096, 1024 * KIB, None, clock.clone());
    let forged = async || {
        for _ in 0..25 {
            let answer = rig.routes.call(request(HERE, b"another body", Body::from(event(10)))).await.unwrap();
            assert_eq!(read(answer).await.1, "signature_mismatch");
        }
    };
    let late = Held::signed(&rig, HERE, b"another body").await;
    clock.advance(Duration::from_secs(10));
    forged().await;
    assert_eq!(late.finish().await.1, "signature_mismatch");
    forged().await;
    let stopping = Lifecycle::default();
    stopping.stop_accepting().cancel();
    rig.writer.run(stopping).await;
    assert_eq!(rig.store.1.load(Ordering::SeqCst), 20, "a burst, and no more in its second");
}
