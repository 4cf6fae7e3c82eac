//! A store in memory for the tests of dispatch, sinks and SIEM: keeps the promises of the traits, counts calls, fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gatepost::event::{Event, EventId, KeptHeaders, Name, Payload};
use gatepost::store::{
    AuditQueue, Backlog, Claimed, DeliveryId, Handover, Outbox, QueuedAudit, Rewrite, Settled, Settlement, SinkControl,
    StoreError,
};
use tokio::sync::Notify;
use tokio::time::Instant;

/// One delivery.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub sink: Name,
    pub event: Event,
    pub attempts: u32,
    pub queued_at: Instant,
    pub due: Instant,
    pub leased: bool,
    pub lease: i64,
    pub done: bool,
    pub dead: Option<String>,
    /// Why the event cannot be read.
    pub unreadable: Option<String>,
}

#[derive(Default)]
struct Inner {
    rows: BTreeMap<i64, Row>,
    due: BTreeSet<(Name, Instant, i64)>,
    leases: i64,
    leased: usize,
    most_leased: usize,
}

impl Inner {
    fn due_before(&self, sink: &Name, now: Instant) -> Vec<(Name, Instant, i64)> {
        let of_sink = self.due.iter().filter(|key| key.0 == *sink);
        of_sink.take_while(|key| key.1 <= now).take(4096).cloned().collect()
    }
}

#[derive(Default)]
pub(crate) struct Memory {
    inner: Mutex<Inner>,
    queued: Arc<Notify>,
    /// Whom what is new may be handed to: the dispatchers of all replicas.
    handovers: Mutex<Vec<(Name, Weak<Handover>)>>,
    /// How many were handed over.
    pub handed: AtomicUsize,
    pub broken: AtomicBool,
    /// What operators have decided about every sink.
    pub control: Mutex<SinkControl>,
    /// How many milliseconds each call takes: from, to.
    pub latency: Mutex<(u64, u64)>,
    pub claims: AtomicUsize,
    pub settles: AtomicUsize,
}

pub(crate) fn event(id: &str, body: &[u8]) -> Event {
    Event {
        source: "bot-a".into(),
        id: EventId::new(id).unwrap(),
        kind: "order.created".into(),
        received_at: "2026-01-02T03:04:05Z".parse().unwrap(),
        content_type: "application/json".into(),
        payload: Payload::from(Bytes::copy_from_slice(body)),
        key: "0".into(),
        request_id: "r".into(),
        client_ip: None,
        traceparent: None,
        headers: KeptHeaders::default(),
    }
}

impl Memory {
    pub(crate) fn queue(&self, sink: &str, events: impl IntoIterator<Item = Event>) {
        let (mut inner, now) = (self.lock(), Instant::now());
        let sink = Name::from(sink);
        let (mut kept, mut left) = (Vec::new(), false);
        for event in events {
            let id = i64::try_from(inner.rows.len()).unwrap() + 1;
            let promise = self.handover(&sink).filter(|_| !self.is_paused()).and_then(|to| to.promise(now));
            let (mut due, leased, mut lease) = (now, promise.is_some(), 0);
            left |= !leased;
            if let Some(promise) = promise {
                inner.leases += 1;
                inner.leased += 1;
                (due, lease) = (now + promise.lease(), inner.leases);
                let (id, event) = (DeliveryId(id), Ok(event.clone()));
                kept.push((promise, Claimed { id, lease, attempts: 0, replay: 0, age: Duration::ZERO, event }));
            }
            inner.due.insert((sink.clone(), due, id));
            let (sink, queued_at) = (sink.clone(), now);
            let row = Row {
                sink,
                event,
                attempts: 0,
                queued_at,
                due,
                leased,
                lease,
                done: false,
                dead: None,
                unreadable: None,
            };
            inner.rows.insert(id, row);
        }
        inner.most_leased = inner.most_leased.max(inner.leased);
        drop(inner);
        self.handed.fetch_add(kept.len(), Ordering::SeqCst);
        for (promise, claimed) in kept {
            promise.keep(claimed);
        }
        if left {
            self.queued.notify_waiters();
        }
    }

    /// One of the dispatchers of `sink`: an event comes to any replica.
    fn handover(&self, sink: &Name) -> Option<Arc<Handover>> {
        let mut all = self.handovers.lock().unwrap();
        all.retain(|(_, handover)| handover.strong_count() > 0);
        let of_sink: Vec<_> = all.iter().filter(|(of, _)| of == sink).collect();
        fastrand::choice(of_sink)?.1.upgrade()
    }

    pub(crate) fn row(&self, id: i64) -> Row {
        self.lock().rows[&id].clone()
    }

    pub(crate) fn count(&self, sink: &str, which: impl Fn(&Row) -> bool) -> usize {
        self.lock().rows.values().filter(|row| row.sink.as_str() == sink && which(row)).count()
    }

    /// From now on the event of `id` cannot be read.
    pub(crate) fn damage(&self, id: i64, why: &str) {
        self.lock().rows.get_mut(&id).unwrap().unreadable = Some(why.to_owned());
    }

    /// Ends every lease, as a machine that slept finds them.
    pub(crate) fn end_leases(&self) {
        let (mut inner, now) = (self.lock(), Instant::now());
        let leased: Vec<_> =
            inner.rows.iter().filter(|(_, row)| row.leased).map(|(id, row)| (*id, row.clone())).collect();
        for (id, row) in leased {
            inner.due.remove(&(row.sink.clone(), row.due, id));
            inner.due.insert((row.sink, now, id));
            inner.rows.get_mut(&id).unwrap().due = now;
        }
    }

    async fn answer(&self) -> Result<(), StoreError> {
        // A call that begins while the store is broken fails, however long that takes to show.
        let fate = self.check();
        let (from, to) = *self.latency.lock().unwrap();
        if to > 0 {
            tokio::time::sleep(Duration::from_millis(fastrand::u64(from..=to))).await;
        }
        fate
    }

    pub(crate) fn most_leased(&self) -> usize {
        self.lock().most_leased
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn is_paused(&self) -> bool {
        self.control.lock().unwrap().paused.is_some()
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Unavailable("broken".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Outbox for Memory {
    async fn claim(&self, sink: &Name, limit: usize, lease: Duration) -> Result<Vec<Claimed>, StoreError> {
        self.answer().await?;
        self.claims.fetch_add(1, Ordering::SeqCst);
        if self.is_paused() {
            return Ok(Vec::new());
        }
        let (mut inner, now) = (self.lock(), Instant::now());
        let due = inner.due_before(sink, now);
        let ids: Vec<_> = due.into_iter().take(limit).collect();
        let mut claimed = Vec::new();
        for key in ids {
            inner.due.remove(&key);
            inner.leases += 1;
            let lease_id = inner.leases;
            let row = inner.rows.get_mut(&key.2).unwrap();
            let was_leased = row.leased;
            (row.leased, row.lease, row.due) = (true, lease_id, now + lease);
            claimed.push(Claimed {
                id: DeliveryId(key.2),
                lease: lease_id,
                attempts: row.attempts,
                replay: 0,
                age: now - row.queued_at,
                event: row.unreadable.clone().map_or_else(|| Ok(row.event.clone()), Err),
            });
            inner.leased += usize::from(!was_leased);
            inner.due.insert((sink.clone(), now + lease, key.2));
        }
        inner.most_leased = inner.most_leased.max(inner.leased);
        Ok(claimed)
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        self.answer().await?;
        self.settles.fetch_add(1, Ordering::SeqCst);
        let mut inner = self.lock();
        for settlement in settlements {
            let id = settlement.id.0;
            let row = inner.rows.get_mut(&id).unwrap();
            if !row.leased || row.lease != settlement.lease {
                continue;
            }
            let old = (row.sink.clone(), row.due, id);
            row.leased = false;
            let again = match settlement.outcome {
                Settled::Done { .. } => {
                    row.done = true;
                    None
                }
                Settled::Dead { error } => {
                    row.attempts += 1;
                    row.dead = Some(error);
                    None
                }
                Settled::Retry { after, .. } => {
                    row.attempts += 1;
                    Some(Instant::now() + after)
                }
                Settled::Released { after } => Some(Instant::now() + after),
            };
            let new = again.map(|at| {
                row.due = at;
                (row.sink.clone(), at, id)
            });
            inner.leased -= 1;
            inner.due.remove(&old);
            inner.due.extend(new);
        }
        Ok(())
    }

    async fn next_due(&self, sink: &Name) -> Result<Option<Duration>, StoreError> {
        self.answer().await?;
        let (inner, now) = (self.lock(), Instant::now());
        let next = inner.due.iter().find(|key| key.0 == *sink && !self.is_paused());
        Ok(next.map(|key| key.1.saturating_duration_since(now)))
    }

    async fn backlog(&self, sink: &Name) -> Result<Backlog, StoreError> {
        self.answer().await?;
        let inner = self.lock();
        let mut backlog = Backlog::default();
        for row in inner.rows.values().filter(|row| row.sink == *sink && !row.done) {
            if row.dead.is_some() {
                backlog.dead += 1;
            } else {
                backlog.pending += 1;
                backlog.oldest_age = backlog.oldest_age.max(Some(row.queued_at.elapsed()));
            }
        }
        backlog.oldest_counted_age = backlog.oldest_age;
        Ok(backlog)
    }

    async fn control(&self, _: &Name) -> Result<SinkControl, StoreError> {
        Ok(self.control.lock().unwrap().clone())
    }

    async fn sinks(&self) -> Result<Vec<(Name, Backlog)>, StoreError> {
        let names: BTreeSet<Name> = self.lock().rows.values().map(|row| row.sink.clone()).collect();
        let mut sinks = Vec::new();
        for name in names {
            sinks.push((name.clone(), self.backlog(&name).await?));
        }
        Ok(sinks)
    }

    fn queued(&self) -> Arc<Notify> {
        Arc::clone(&self.queued)
    }

    fn hand_over(&self, sink: &Name, to: &Arc<Handover>) {
        self.handovers.lock().unwrap().push((sink.clone(), Arc::downgrade(to)));
    }
}

/// One queued audit record.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    pub queued: QueuedAudit,
    pub due: Instant,
}

#[derive(Default)]
pub(crate) struct AuditMemory {
    pub rows: Mutex<BTreeMap<i64, Audit>>,
    next: AtomicUsize,
    pub broken: AtomicBool,
}

impl AuditMemory {
    pub(crate) fn len(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) { Err(StoreError::Unavailable("broken".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl AuditQueue for AuditMemory {
    async fn push(&self, records: Vec<String>, capacity: u64) -> Result<u64, StoreError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        let room = usize::try_from(capacity).unwrap().saturating_sub(rows.len());
        let lost = records.len().saturating_sub(room) as u64;
        for record in records.into_iter().take(room) {
            let id = i64::try_from(self.next.fetch_add(1, Ordering::SeqCst)).unwrap();
            rows.insert(id, Audit { queued: QueuedAudit { id, record, attempts: 0 }, due: Instant::now() });
        }
        Ok(lost)
    }

    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<QueuedAudit>, StoreError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        let now = Instant::now();
        let due = rows.values_mut().filter(|row| row.due <= now).take(limit);
        Ok(due
            .map(|row| {
                row.due = now + lease;
                row.queued.clone()
            })
            .collect())
    }

    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        rows.retain(|id, _| !ids.contains(id));
        Ok(())
    }

    async fn release(&self, ids: &[i64], after: Duration, refused: bool) -> Result<(), StoreError> {
        self.check()?;
        let mut rows = self.rows.lock().unwrap();
        for id in ids {
            if let Some(row) = rows.get_mut(id) {
                row.due = Instant::now() + after;
                row.queued.attempts += u32::from(refused);
            }
        }
        Ok(())
    }

    async fn rewrite(&self, rewrite: Rewrite) -> Result<u64, StoreError> {
        self.check()?;
        let mut changed = 0;
        for audit in self.rows.lock().unwrap().values_mut() {
            if let Some(record) = rewrite(&audit.queued.record) {
                (audit.queued.record, changed) = (record, changed + 1);
            }
        }
        Ok(changed)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.check()?;
        Ok(self.len() as u64)
    }
}

/// Waits for a condition that must come, however slow the machine.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "never came: {what}");
}
