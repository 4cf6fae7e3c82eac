//! The task that sends spans: gathers them for a while, sends them together, tries again for a while, drops and counts.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::target::Target;
use crate::backoff;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::sink::{Retry, SinkError};
use crate::trace::Span;

/// Spans in one request: some 300 KB, well below the 4 MiB that collectors take.
const BATCH: usize = 512;
/// How often a batch is sent before it is dropped: some seconds of a restart are sat out, an outage is not.
const ATTEMPTS: u32 = 6;
/// What may be spent on the last spans once nobody makes any more.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends spans to one collector.
pub struct Exporter {
    target: Arc<Target>,
    spans: mpsc::Receiver<Span>,
    dropped: Counter,
    clock: Clock,
    batch: Vec<Span>,
    outage: Outage,
}

impl Exporter {
    pub(super) fn new(target: Arc<Target>, spans: mpsc::Receiver<Span>, dropped: Counter, clock: Clock) -> Self {
        Self { target, spans, dropped, clock, batch: Vec::new(), outage: Outage::default() }
    }

    /// Runs until `lifecycle` stops accepting, or until nobody is left who makes spans. What there is by then is sent, as
    /// far as a collector that answers takes it; one that does not holds up nothing for long.
    pub async fn run(mut self, lifecycle: Lifecycle) {
        let stop = lifecycle.stop_accepting();
        let late = async {
            stop.cancelled().await;
            sleep(FLUSH_TIMEOUT).await;
        };
        tokio::select! {
            () = self.work(stop) => {}
            () = late => {}
            () = lifecycle.cut_off().cancelled() => {}
        }
        let left = self.batch.len() + self.spans.len();
        if left > 0 {
            self.drop_spans(left);
            tracing::warn!(spans = left, "traces are incomplete: the collector did not take the last spans in time");
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        let mut done = false;
        while !done {
            done = self.gather(stop).await;
            if !self.batch.is_empty() {
                self.send(stop).await;
            }
        }
    }

    /// Waits for spans until they have gathered long enough or are a batch. True: there will be no more.
    async fn gather(&mut self, stop: &CancellationToken) -> bool {
        let mut due = None;
        while self.batch.len() < BATCH {
            let room = BATCH - self.batch.len();
            let is_due = async move {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                // What is in the queue already still comes out of it.
                () = stop.cancelled(), if !self.spans.is_closed() => self.spans.close(),
                got = self.spans.recv_many(&mut self.batch, room) => {
                    if got == 0 {
                        return true;
                    }
                    due.get_or_insert_with(|| Instant::now() + self.target.delay());
                }
                () = is_due => return false,
            }
        }
        false
    }

    /// Sends the batch until it is taken, or given up.
    async fn send(&mut self, stop: &CancellationToken) {
        for failed in 1..=ATTEMPTS {
            let error = match self.target.send(&self.batch, &self.clock).await {
                Ok(rejected) => {
                    if let Some(rejected) = rejected {
                        self.drop_spans(usize::try_from(rejected.spans).unwrap_or(usize::MAX).min(self.batch.len()));
                        self.tell(&rejected.message);
                    } else if self.outage.ends() {
                        tracing::info!("the collector takes traces again");
                    }
                    self.batch.clear();
                    return;
                }
                Err(error) => error,
            };
            self.tell(&error.message);
            // Whoever stops does not wait.
            let last = failed == ATTEMPTS || stop.is_cancelled() || self.spans.is_closed();
            let Some(wait) = wait(&error, failed).filter(|_| !last) else { break };
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
        self.drop_spans(self.batch.len());
        self.batch.clear();
    }

    /// Says that the collector does not take spans, where it is time to.
    fn tell(&mut self, error: &str) {
        if self.outage.goes_on(Instant::now()) {
            let dropped = self.dropped.get();
            tracing::warn!(
                error,
                dropped,
                "the collector does not take traces: see [telemetry]; webhooks and deliveries go on without"
            );
        }
    }

    fn drop_spans(&self, count: usize) {
        self.dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// How long to wait after so many failures; `None` where trying again is pointless.
fn wait(error: &SinkError, failed: u32) -> Option<Duration> {
    match error.retry {
        Retry::Never => None,
        Retry::After(wait) => Some(wait),
        Retry::Backoff => Some(backoff::full_jitter(failed, fastrand::f64())),
    }
}
