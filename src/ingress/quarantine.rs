//! What is kept of a request that was refused or set aside: its head without credentials, and its body.
//!
//! Refused requests are anybody's, so they are kept at a bounded rate, written in the background, and dropped where
//! that does not keep up. Nothing here makes a request wait. Second bodies of known ids (`id_conflict`) are verified:
//! they are written before the answer, by whoever receives them, and know no rate.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Uri;
use http::request::Parts;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::event::Name;
use crate::lifecycle::Lifecycle;
use crate::scheme::Family;
use crate::store::{Quarantine, Quarantined};

use super::record::Arrival;
use super::reject::Reject;

/// The reason of a verified request whose id belongs to another body.
pub const ID_CONFLICT: &str = "id_conflict";

/// Refused requests of one source that are kept in a row: enough to see what a misconfigured sender does.
const BURST: i64 = 20;
/// After that, one in so many milliseconds: a flood fills the default quarantine in hours, not in seconds, and costs
/// the store one small write a second.
const INTERVAL_MILLIS: i64 = 1000;
/// Entries that wait for the store, all sources together; their bodies hold their share of the body budget meanwhile.
const QUEUE: usize = 64;
/// The query parameter in which AWS carries a session token.
const TOKEN_PARAMETER: &str = "x-amz-security-token";

/// Headers whose values grant something to whoever reads them. Signatures stay: `explain` needs them, and they
/// verify nothing but this one body.
const CREDENTIALS: [&str; 5] = ["cookie", "proxy-authorization", TOKEN_PARAMETER, "x-api-key", "x-auth-token"];
const REDACTED: &str = "[redacted]";

/// The way into the quarantine that all sources share. Made once; survives reloads, so that the rate does too.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Quarantined>,
    buckets: Arc<Mutex<HashMap<Name, Arc<Bucket>>>>,
    clock: Clock,
}

/// The two ends of the way: what stacks are given, and what has to run in the background.
#[must_use]
pub fn intake(store: Arc<dyn Quarantine>, clock: Clock) -> (Intake, Shelver) {
    let (queue, waiting) = mpsc::channel(QUEUE);
    (Intake { queue, buckets: Arc::default(), clock }, Shelver { waiting, store })
}

impl Intake {
    /// The keeper of `source`'s refused requests; whoever asks again for the same name shares its rate.
    #[must_use]
    pub fn keeper(&self, source: &Name, family: Family) -> Arc<Keeper> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = Arc::clone(buckets.entry(source.clone()).or_default());
        let (source, queue, clock) = (source.clone(), self.queue.clone(), self.clock.clone());
        Arc::new(Keeper { source, family, bucket, queue, clock })
    }
}

/// Keeps refused requests of one source, as far as the rate allows.
pub struct Keeper {
    source: Name,
    family: Family,
    bucket: Arc<Bucket>,
    queue: mpsc::Sender<Quarantined>,
    clock: Clock,
}

/// Leave to keep one refused request.
pub struct Leave(Arc<Keeper>);

impl Keeper {
    /// Leave to keep a request that was refused with `reject`; `None` where such requests are not kept, or too many
    /// were. Costs one atomic operation.
    #[must_use]
    pub fn leave(self: &Arc<Self>, reject: &Reject) -> Option<Leave> {
        (is_kept(reject) && self.bucket.take(self.clock.now().as_millisecond())).then(|| Leave(Arc::clone(self)))
    }

    /// Keeps the request where there is leave for it.
    pub fn offer(self: &Arc<Self>, reject: &Reject, head: &Parts, body: &Bytes) {
        if let Some(leave) = self.leave(reject) {
            leave.keep(reject, head, body.clone());
        }
    }
}

impl Leave {
    /// Sends the request on its way to the store, or drops it where the store is behind.
    pub fn keep(self, reject: &Reject, head: &Parts, body: Bytes) {
        if let Ok(place) = self.0.queue.try_reserve() {
            let keeper = &self.0;
            let entry = entry((&keeper.source, keeper.family), head, body, reject.reason(), keeper.clock.now());
            place.send(entry);
        }
    }
}

/// Contract 6.4: refused for its timestamp, its signature or its JSON. Every check before those is about requests
/// that come from elsewhere or are too large; what comes after is not the sender's fault.
const fn is_kept(reject: &Reject) -> bool {
    matches!(
        reject,
        Reject::MissingTimestamp
            | Reject::InvalidTimestamp
            | Reject::TimestampExpired(_)
            | Reject::MissingSignature
            | Reject::MalformedAuthorization(_)
            | Reject::SignatureMismatch
            | Reject::InvalidJson(_)
            | Reject::MissingFields(_)
            | Reject::InvalidEventId(_)
    )
}

/// A token bucket in one number: the time at which it will be full again, in milliseconds since 1970.
#[derive(Default)]
struct Bucket(AtomicI64);

impl Bucket {
    const FILLING: i64 = BURST * INTERVAL_MILLIS;

    /// Takes a token, where there is one.
    fn take(&self, now: i64) -> bool {
        let taken = |full_at: i64| {
            // Further away than an empty bucket's: the clock was set back, and what was counted before means nothing.
            let missing = (full_at - now).max(0);
            let missing = if missing > Self::FILLING { 0 } else { missing };
            (missing + INTERVAL_MILLIS <= Self::FILLING).then_some(now + missing + INTERVAL_MILLIS)
        };
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).is_ok()
    }
}

/// Writes what is kept into the store.
pub struct Shelver {
    waiting: mpsc::Receiver<Quarantined>,
    store: Arc<dyn Quarantine>,
}

impl Shelver {
    /// Runs until told to stop, then writes what still waits, unless cut off.
    pub async fn run(mut self, lifecycle: Lifecycle) {
        let stop = lifecycle.stop_accepting().clone();
        let mut stopping = false;
        let work = async {
            loop {
                tokio::select! {
                    () = stop.cancelled(), if !stopping => {
                        stopping = true;
                        self.waiting.close();
                    }
                    waiting = self.waiting.recv() => {
                        let Some(entry) = waiting else { return };
                        if let Err(error) = self.store.put(entry).await {
                            tracing::warn!(%error, "a refused request was not kept: the store did not take it");
                        }
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = lifecycle.cut_off().cancelled() => {}
        }
    }
}

/// The entry for a request to a source (its name, its family) that is set aside for `reason`.
#[must_use]
pub fn entry(
    (source, family): (&Name, Family),
    head: &Parts,
    body: Bytes,
    reason: &str,
    now: Timestamp,
) -> Quarantined {
    let arrival = head.extensions.get::<Arrival>();
    Quarantined {
        id: 0,
        source: source.clone(),
        reason: reason.to_owned(),
        received_at: now,
        request_id: arrival.map(|arrival| arrival.request_id.to_string()).unwrap_or_default(),
        client_ip: arrival.and_then(|arrival| arrival.client.ok()),
        target: format!("{} {}", head.method, target(&head.uri, family)),
        headers: headers(head),
        event_id: None,
        body,
    }
}

/// The target as received, but for what a query may grant: `SigV4` signs the query, so there only a session token
/// goes; nobody needs the values of any other, and senders do put tokens there.
fn target(uri: &Uri, family: Family) -> String {
    let text = uri.to_string();
    let Some((path, query)) = text.split_once('?') else { return text };
    let redacted = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if family == Family::Hmac || name.eq_ignore_ascii_case(TOKEN_PARAMETER) => {
            format!("{name}={REDACTED}")
        }
        None if family == Family::Hmac && !pair.is_empty() => REDACTED.to_owned(),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(redacted).collect::<Vec<_>>().join("&"))
}

/// The header lines as a JSON array of pairs; bytes that are not UTF-8 become replacement characters.
fn headers(head: &Parts) -> String {
    let pairs = head.headers.iter().map(|(name, value)| {
        let granting = CREDENTIALS.contains(&name.as_str())
            || (name == http::header::AUTHORIZATION && !value.as_bytes().starts_with(b"AWS4-"));
        let value = if granting { REDACTED.into() } else { String::from_utf8_lossy(value.as_bytes()) };
        (name.as_str(), value)
    });
    // Pairs of texts always serialise.
    serde_json::to_string(&pairs.collect::<Vec<_>>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::metrics::Metrics;
    use crate::store::{Filter, StoreError};

    use super::super::load::BodyBudget;
    use super::*;

    fn at(second: i64) -> i64 {
        1_767_225_600_000 + second * 1000
    }

    #[test]
    fn a_burst_then_one_a_second_and_never_more_than_a_burst() {
        let bucket = Bucket::default();
        let taken = |now: i64| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(at(0)), 20);
        assert_eq!(taken(at(0) + 999), 0);
        assert_eq!(taken(at(1)), 1);
        assert_eq!(taken(at(4)), 3);
        assert_eq!(taken(at(100_000)), 20);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_close_the_quarantine() {
        let bucket = Bucket::default();
        assert!(bucket.take(at(0)));
        assert!(bucket.take(at(-1_000_000)));
    }

    #[test]
    fn what_is_full_drops_and_a_reload_shares_the_rate() {
        let (queue, mut waiting) = mpsc::channel(1);
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1_000_000));
        let intake = Intake { queue, buckets: Arc::default(), clock };
        let budget = Arc::new(BodyBudget::new(100, Arc::new(Metrics::new())));
        let (head, ()) = http::Request::post("/x").body(()).unwrap().into_parts();
        let reject = Reject::SignatureMismatch;
        for _ in 0..2 {
            let mut charge = Arc::clone(&budget).open(0);
            assert_eq!(charge.raise_to(60), Ok(()));
            intake.keeper(&"a".into(), Family::Hmac).offer(
                &reject,
                &head,
                &charge.hold(Bytes::from_static(&[b'x'; 60])),
            );
            // What waits holds its share; what was dropped gave it back.
            assert!(Arc::clone(&budget).open(0).raise_to(41).is_err());
            if let Ok(first) = waiting.try_recv() {
                assert_eq!((first.source, &first.body[..]), ("a".into(), &[b'x'; 60][..]));
            }
        }
        let left = (0..100).filter(|_| intake.keeper(&"a".into(), Family::Hmac).leave(&reject).is_some()).count();
        assert_eq!(left, 18);
        assert!(intake.keeper(&"b".into(), Family::Hmac).leave(&reject).is_some());
        assert!(intake.keeper(&"b".into(), Family::Hmac).leave(&Reject::PayloadTooLarge).is_none());
        assert!(intake.keeper(&"b".into(), Family::Hmac).leave(&Reject::IpNotWhitelisted).is_none());
    }

    /// Remembers what was put; knows nothing else.
    #[derive(Default)]
    struct Shelf(Mutex<Vec<Quarantined>>);

    #[async_trait::async_trait]
    impl Quarantine for Shelf {
        async fn put(&self, entry: Quarantined) -> Result<i64, StoreError> {
            // The first is refused: what comes after it must not be lost with it.
            let mut entries = self.0.lock().unwrap();
            entries.push(entry);
            if entries.len() == 1 { Err(StoreError::Unavailable("full".into())) } else { Ok(1) }
        }
        async fn list(&self, _: &Filter) -> Result<Vec<Quarantined>, StoreError> {
            Ok(Vec::new())
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
    }

    #[tokio::test]
    async fn what_waits_when_the_daemon_stops_is_still_written() {
        let shelf = Arc::new(Shelf::default());
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1_000_000));
        let (intake, shelver) = intake(Arc::clone(&shelf) as Arc<dyn Quarantine>, clock);
        let (head, ()) = http::Request::post("/x").body(()).unwrap().into_parts();
        let keeper = intake.keeper(&"a".into(), Family::Hmac);
        for _ in 0..5 {
            keeper.offer(&Reject::MissingSignature, &head, &Bytes::new());
        }
        let lifecycle = Lifecycle::default();
        lifecycle.stop_accepting().cancel();
        // Ends by itself, though the stacks still hold their ends.
        shelver.run(lifecycle).await;
        assert_eq!(shelf.0.lock().unwrap().len(), 5);
        keeper.offer(&Reject::MissingSignature, &head, &Bytes::new());
    }

    #[test]
    fn a_query_keeps_what_a_signature_covers_and_no_token() {
        let shown = |text: &'static str, family| target(&Uri::from_static(text), family);
        let text = "/x?a=1&X-Amz-Security-Token=abc&b";
        assert_eq!(shown(text, Family::SigV4), "/x?a=1&X-Amz-Security-Token=[redacted]&b");
        assert_eq!(shown(text, Family::Hmac), "/x?a=[redacted]&X-Amz-Security-Token=[redacted]&[redacted]");
        assert_eq!(shown("/x", Family::Hmac), "/x");
    }

    #[test]
    fn credentials_do_not_reach_the_store() {
        let (head, ()) = http::Request::post("/x")
            .header("authorization", "Bearer abc")
            .header("cookie", "abc")
            .header("x-nice-signature", "v1=00")
            .body(())
            .unwrap()
            .into_parts();
        let text = headers(&head);
        assert!(!text.contains("abc"));
        assert!(text.contains(r#"["x-nice-signature","v1=00"]"#));
    }
}
