//! What is kept of a request that was refused or set aside, how much of it and at which rate.
//!
//! Refused requests are anybody's, so they are kept at a bounded rate, written in the background, and dropped where
//! that does not keep up. Nothing here makes a request wait. Second bodies of known ids (`id_conflict`) are verified:
//! they are written before the answer, by whoever receives them, at the same rate.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::event::Name;
use crate::lifecycle::Lifecycle;
use crate::request_outcome::Reason;
use crate::store::{Quarantine, Quarantined};

use super::arrival::Origin;
use super::redaction::Redaction;
use super::sampler::{QuarantineSampler, Rates};

/// Entries that wait for the store, all sources together; their bodies hold their share of the body budget meanwhile.
const QUEUE: usize = 64;

/// The way into the quarantine that all sources share. Made once; survives reloads, so that the rate does too.
#[derive(Clone)]
pub struct QuarantineQueue {
    queue: mpsc::Sender<Quarantined>,
    sampler: QuarantineSampler,
    clock: Clock,
}

/// The two ends of the way: what stacks are given, and what has to run in the background.
#[must_use]
pub fn quarantine_queue(store: Arc<dyn Quarantine>, clock: Clock) -> (QuarantineQueue, QuarantineWriter) {
    let (queue, waiting) = mpsc::channel(QUEUE);
    (QuarantineQueue { queue, sampler: QuarantineSampler::default(), clock }, QuarantineWriter { waiting, store })
}

impl QuarantineQueue {
    /// The part of `source`; whoever asks again for the same name shares its rate.
    #[must_use]
    pub(super) fn of_source(&self, source: &Name, redaction: Redaction) -> Arc<SourceQuarantine> {
        let rates = self.sampler.rates(source);
        let (source, queue, clock) = (source.clone(), self.queue.clone(), self.clock.clone());
        Arc::new(SourceQuarantine { source, redaction, rates, queue, clock })
    }
}

/// Keeps refused requests of one source, as far as the rate allows.
pub(super) struct SourceQuarantine {
    source: Name,
    redaction: Redaction,
    rates: Arc<Rates>,
    queue: mpsc::Sender<Quarantined>,
    clock: Clock,
}

/// Room to keep one refused request.
pub(super) struct Permit {
    source_quarantine: Arc<SourceQuarantine>,
    reason: Reason,
}

impl SourceQuarantine {
    /// Room to keep a request that was refused for `reason`; `None` where such requests are not kept, or too many
    /// were. Costs one atomic operation.
    #[must_use]
    pub(super) fn permit(self: &Arc<Self>, reason: Reason) -> Option<Permit> {
        (reason.is_kept() && self.may_keep(reason)).then(|| Permit { source_quarantine: Arc::clone(self), reason })
    }

    /// Whether the rate allows one more entry for `reason`; counts it.
    #[must_use]
    pub(super) fn may_keep(&self, reason: Reason) -> bool {
        self.rates.take(reason, self.clock.now().as_millisecond())
    }

    /// The entry for a request that is set aside for `reason`.
    #[must_use]
    pub(super) fn entry(&self, reason: Reason, origin: &Origin, head: &Parts, body: Bytes) -> Quarantined {
        Quarantined {
            id: 0,
            source: self.source.clone(),
            reason: reason.as_str().to_owned(),
            received_at: self.clock.now(),
            request_id: origin.request_id.to_string(),
            client_ip: Some(origin.client),
            target: self.redaction.target(head),
            headers: self.redaction.headers(head),
            event_id: None,
            body,
        }
    }
}

impl Permit {
    /// Sends the request on its way to the store, or drops it where the store is behind.
    pub(super) fn keep(self, origin: &Origin, head: &Parts, body: Bytes) {
        if let Ok(place) = self.source_quarantine.queue.try_reserve() {
            place.send(self.source_quarantine.entry(self.reason, origin, head, body));
        }
    }
}

/// Writes what is kept into the store.
pub struct QuarantineWriter {
    waiting: mpsc::Receiver<Quarantined>,
    store: Arc<dyn Quarantine>,
}

impl QuarantineWriter {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use jiff::Timestamp;

    use crate::metrics::Metrics;
    use crate::store::{Cursor, Page, QuarantineFilter as Filter, StoreError};

    use super::super::body_budget::BodyBudget;
    use super::*;

    fn redaction() -> Redaction {
        let settings = crate::config::load(Some(std::path::Path::new("config/dev.toml")), &BTreeMap::new()).unwrap();
        Redaction::from(&settings.live.sources[1].scheme)
    }

    fn origin() -> Origin {
        let (at, client) = (Timestamp::UNIX_EPOCH, [192, 0, 2, 1].into());
        Origin { at, request_id: "r".into(), client, certificate: None, traced: None }
    }

    #[test]
    fn what_is_full_drops_and_a_reload_shares_the_rate() {
        let (queue, mut waiting) = mpsc::channel(1);
        let redaction = redaction();
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1_000_000));
        let shared = QuarantineQueue { queue, sampler: QuarantineSampler::default(), clock };
        let budget = Arc::new(BodyBudget::new(100, Arc::new(Metrics::new())));
        let (head, ()) = http::Request::post("/x").body(()).unwrap().into_parts();
        let reason = Reason::SignatureMismatch;
        for _ in 0..2 {
            let mut charge = Arc::clone(&budget).open(0);
            assert_eq!(charge.raise_to(60), Ok(()));
            let permit = shared.of_source(&"a".into(), redaction.clone()).permit(reason).unwrap();
            permit.keep(&origin(), &head, charge.hold(Bytes::from_static(&[b'x'; 60])));
            // What waits holds its share; what was dropped gave it back.
            assert!(Arc::clone(&budget).open(0).raise_to(41).is_err());
            if let Ok(first) = waiting.try_recv() {
                assert_eq!((first.source, &first.body[..]), ("a".into(), &[b'x'; 60][..]));
            }
        }
        let left =
            (0..100).filter(|_| shared.of_source(&"a".into(), redaction.clone()).permit(reason).is_some()).count();
        assert_eq!(left, 18);
        assert!(shared.of_source(&"b".into(), redaction.clone()).permit(reason).is_some());
        assert!(shared.of_source(&"b".into(), redaction.clone()).permit(Reason::PayloadTooLarge).is_none());
        assert!(shared.of_source(&"b".into(), redaction.clone()).permit(Reason::IpNotWhitelisted).is_none());
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
        async fn page(&self, _: &Filter, _: Option<Cursor>) -> Result<Page<Quarantined>, StoreError> {
            Ok(Page { rows: Vec::new(), next: None })
        }
        async fn same(&self, _: &Quarantined) -> Result<Option<i64>, StoreError> {
            Ok(None)
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

    #[tokio::test]
    async fn what_waits_when_the_daemon_stops_is_still_written() {
        let shelf = Arc::new(Shelf::default());
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1_000_000));
        let (queue, writer) = quarantine_queue(Arc::clone(&shelf) as Arc<dyn Quarantine>, clock);
        let (head, ()) = http::Request::post("/x").body(()).unwrap().into_parts();
        let source_quarantine = queue.of_source(&"a".into(), redaction());
        for _ in 0..5 {
            source_quarantine.permit(Reason::MissingSignature).unwrap().keep(&origin(), &head, Bytes::new());
        }
        let lifecycle = Lifecycle::default();
        lifecycle.stop_accepting().cancel();
        // Ends by itself, though the stacks still hold their ends.
        writer.run(lifecycle).await;
        assert_eq!(shelf.0.lock().unwrap().len(), 5);
        source_quarantine.permit(Reason::MissingSignature).unwrap().keep(&origin(), &head, Bytes::new());
    }
}
