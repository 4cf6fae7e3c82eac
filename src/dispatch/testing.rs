//! What the unit tests of this room deliver, and a store and a sink that do as they are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::context::Context;
use super::lease::DeliveryLease;
use crate::event::{Event, EventId, KeptHeaders, Name, Payload};
use crate::metrics::Metrics;
use crate::settings::{Diagnostics, Table};
use crate::sink::{self, Attempt, Delivered, Settings, Sink, SinkError};
use crate::store::{Backlog, Claimed, DeliveryId, Handover, Outbox, Promise, Settlement, SinkControl, StoreError};

pub(super) fn settings(concurrency: usize) -> Settings {
    let file =
        format!("[[sink]]\nname = 'orders'\ntype = 'http'\nurl = 'http://127.0.0.1:1/'\nconcurrency = {concurrency}\n");
    let nothing = BTreeMap::new();
    sink::read(&mut Table::new("", "", file.parse().unwrap()), &mut Diagnostics::new(&nothing)).remove(0)
}

fn event(id: i64) -> Event {
    Event {
        source: "bot-a".into(),
        id: EventId::new(&format!("e{id}")).unwrap(),
        kind: "order.created".into(),
        received_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        content_type: "application/json".into(),
        payload: Payload::from(Bytes::from_static(b"{}")),
        key: "0".into(),
        request_id: "r".into(),
        client_ip: None,
        traceparent: None,
        headers: KeptHeaders::default(),
    }
}

/// Delivery `id`, claimed with lease 1 when it was `age` seconds old.
pub(super) fn claimed(id: i64, age: u64) -> Claimed {
    let age = Duration::from_secs(age);
    Claimed { id: DeliveryId(id), lease: 1, attempts: 0, replay: 0, age, event: Ok(event(id)) }
}

pub(super) fn unreadable(id: i64, error: &str) -> Claimed {
    Claimed { event: Err(error.to_owned()), ..claimed(id, 0) }
}

pub(super) fn lease(id: i64, failures: u32, age: Duration) -> DeliveryLease {
    DeliveryLease::of(&Claimed { attempts: failures, age, ..claimed(id, 0) }, Instant::now())
}

/// A store that hands out what it was given, in that order, and keeps what it is told.
#[derive(Default)]
pub(super) struct Script {
    /// What each claim finds; none left: nothing.
    pub claims: Mutex<VecDeque<Vec<Claimed>>>,
    /// The limits of the claims so far.
    pub limits: Mutex<Vec<usize>>,
    pub settled: Mutex<Vec<Settlement>>,
    pub broken: AtomicBool,
    /// By which it may hand over.
    pub handover: OnceLock<Arc<Handover>>,
    queued: Arc<Notify>,
}

impl Script {
    pub(super) fn claiming(claims: impl IntoIterator<Item = Vec<Claimed>>) -> Arc<Self> {
        Arc::new(Self { claims: Mutex::new(claims.into_iter().collect()), ..Self::default() })
    }

    /// A place for a new delivery.
    pub(super) fn promise(&self) -> Option<Promise> {
        self.handover.get()?.promise(Instant::now())
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Unavailable("broken".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Outbox for Script {
    async fn claim(&self, _: &Name, limit: usize, _: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.check()?;
        self.limits.lock().unwrap().push(limit);
        Ok(self.claims.lock().unwrap().pop_front().unwrap_or_default())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.check()?;
        self.settled.lock().unwrap().extend(settlements);
        Ok(())
    }

    async fn next_due(&self, _: &Name) -> Result<Option<Duration>, StoreError> {
        self.check()?;
        Ok((!self.claims.lock().unwrap().is_empty()).then_some(Duration::ZERO))
    }

    async fn backlog(&self, _: &Name) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }

    async fn sinks(&self) -> Result<Vec<(Name, Backlog)>, StoreError> {
        Ok(Vec::new())
    }

    async fn control(&self, _: &Name) -> Result<SinkControl, StoreError> {
        Ok(SinkControl::default())
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }

    fn hand_over(&self, _: &Name, to: &Arc<Handover>) {
        let _ = self.handover.set(Arc::clone(to));
    }
}

/// A sink that takes an event for each permit.
pub(super) struct Gate(pub Semaphore);

#[async_trait]
impl Sink for Gate {
    async fn deliver(&self, _: &Event, _: Attempt) -> Result<Delivered, SinkError> {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
        Ok(Delivered::New)
    }
}

/// Deliveries from `store` to `sink`, so many at once.
pub(super) fn context(concurrency: usize, store: &Arc<Script>, sink: &Arc<Gate>) -> Arc<Context> {
    let (settings, outbox) = (settings(concurrency), Arc::clone(store));
    let metrics = Metrics::new().sink(&settings.name);
    Arc::new(Context::new(settings, Arc::clone(sink) as Arc<dyn Sink>, outbox, metrics))
}
