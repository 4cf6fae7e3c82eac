//! From ingress into the store's queue: takes every audit record at once, whatever the store does, and writes them in batches.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::flood::FloodSummary;
use crate::audit_record::AuditRecord;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::store::{AuditQueue, StoreError};

/// Records the store keeps for the SIEM at most, some 40 MB; what does not fit is counted and dropped.
pub(crate) const CAPACITY: u64 = 100_000;
/// Records held here at most while the store stalls.
const MAX_HELD: usize = 20_000;
/// As many records are written at once without waiting for the tick.
const BATCH: usize = 1_000;
/// How often the rest is written: well within the second that a crash may cost.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// A write under way: how many did not fit, or why it failed and what was to be written.
type Push = Pin<Box<dyn Future<Output = Result<u64, (StoreError, Vec<String>)>> + Send>>;

pub(super) struct Collector {
    records: mpsc::Receiver<AuditRecord>,
    queue: Arc<dyn AuditQueue>,
    metrics: Arc<Metrics>,
    clock: Clock,
    pushed: Arc<Notify>,
    flood: FloodSummary,
    held: Vec<String>,
    /// Not reported yet.
    dropped: u64,
    failing: bool,
}

impl Collector {
    /// Takes from `records`; notifies `pushed` after each write.
    pub(super) fn new(
        records: mpsc::Receiver<AuditRecord>,
        queue: Arc<dyn AuditQueue>,
        metrics: Arc<Metrics>,
        clock: Clock,
        pushed: Arc<Notify>,
    ) -> Self {
        let (flood, held) = (FloodSummary::default(), Vec::new());
        Self { records, queue, metrics, clock, pushed, flood, held, dropped: 0, failing: false }
    }

    /// Runs until `lifecycle` stops accepting or every sender is gone, and writes what it holds before it returns.
    pub(super) async fn run(mut self, lifecycle: &Lifecycle) {
        let mut tick = interval(FLUSH_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut push, mut open, mut batch) = (None::<Push>, true, Vec::new());
        while open {
            tokio::select! {
                biased;
                () = lifecycle.stop_accepting().cancelled() => open = false,
                () = lifecycle.cut_off().cancelled() => open = false,
                result = ready(&mut push) => {
                    push = None;
                    self.written(result);
                }
                _ = tick.tick() => {
                    let summaries = self.flood.summaries_before(self.clock.now().as_second());
                    self.hold(summaries);
                    self.report_dropped();
                    push = push.or_else(|| self.push());
                }
                taken = self.records.recv_many(&mut batch, 256) => {
                    open = taken > 0;
                    self.take(&mut batch);
                    if self.held.len() >= BATCH && !self.failing {
                        push = push.or_else(|| self.push());
                    }
                }
            }
        }
        self.finish(push).await;
    }

    fn take(&mut self, batch: &mut Vec<AuditRecord>) {
        for verdict in batch.drain(..) {
            let records = self.flood.records_of(verdict);
            for record in records {
                if self.held.len() < MAX_HELD {
                    self.held.push(record);
                } else {
                    self.dropped += 1;
                }
            }
        }
    }

    fn hold(&mut self, records: Vec<String>) {
        let room = MAX_HELD.saturating_sub(self.held.len());
        self.dropped += records.len().saturating_sub(room) as u64;
        self.held.extend(records.into_iter().take(room));
    }

    fn push(&mut self) -> Option<Push> {
        if self.held.is_empty() {
            return None;
        }
        let (queue, records) = (Arc::clone(&self.queue), std::mem::take(&mut self.held));
        Some(Box::pin(async move { queue.push(records.clone(), CAPACITY).await.map_err(|error| (error, records)) }))
    }

    fn written(&mut self, result: Result<u64, (StoreError, Vec<String>)>) {
        match result {
            Ok(dropped) => {
                self.dropped += dropped;
                self.failing = false;
                self.pushed.notify_one();
            }
            Err((error, mut records)) => {
                if !self.failing {
                    tracing::error!(%error, "audit records wait for the store");
                }
                self.failing = true;
                let newer = std::mem::take(&mut self.held);
                records.truncate(MAX_HELD);
                self.held = records;
                self.hold(newer);
            }
        }
    }

    fn report_dropped(&mut self) {
        if self.dropped > 0 {
            self.metrics.siem_callback("dropped");
            tracing::warn!(records = self.dropped, "audit records dropped: the queue towards the SIEM is full");
            self.dropped = 0;
        }
    }

    /// Writes the last records. The caller's deadline bounds it.
    async fn finish(mut self, push: Option<Push>) {
        if let Some(push) = push {
            let result = push.await;
            self.written(result);
        }
        let mut rest = Vec::new();
        while let Ok(verdict) = self.records.try_recv() {
            rest.push(verdict);
        }
        self.take(&mut rest);
        let summaries = self.flood.summaries_before(i64::MAX);
        self.hold(summaries);
        if let Some(push) = self.push() {
            let result = push.await;
            self.written(result);
        }
        self.report_dropped();
    }
}

async fn ready(push: &mut Option<Push>) -> Result<u64, (StoreError, Vec<String>)> {
    match push {
        Some(push) => push.await,
        None => pending().await,
    }
}
