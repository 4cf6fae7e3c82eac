//! From the store's queue to the SIEM: one batch at a time, repeated until it is taken, or refused three times.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::Full;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::format;
use super::settings::{Siem, SiemFormat};
use crate::backoff;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::settings::ConfigError;
use crate::sink::http_client::{self, HttpClient};
use crate::sink::{Retry, SinkError, answer};
use crate::store::{AuditQueue, QueuedAudit, StoreError};

/// Records in one request; some 200 KB, below what collectors take by default.
const BATCH: usize = 500;
/// One request takes at most this long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A claim outlasts the request; a dead process's records pass on when it ends.
const LEASE: Duration = Duration::from_secs(20);
/// How long records that were sent are tried to be removed: no longer than they are ours.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(7);
/// The queue is polled this often although nothing was written here: other processes may have died.
const POLL: Duration = Duration::from_secs(2);
/// No wait of our own choosing is longer: the queue behind it is bounded.
const MAX_BACKOFF: Duration = Duration::from_mins(1);
/// How often a batch may be refused for good.
const MAX_REFUSALS: u32 = 3;

/// Where records go: what a `[siem]` comes to. Exchanged on reload.
pub struct Target {
    client: HttpClient,
    url: Uri,
    authorization: Option<HeaderValue>,
    format: SiemFormat,
}

impl Target {
    /// What `siem` describes. Does not connect.
    ///
    /// # Errors
    /// [`ConfigError`]s at `token` and `ca_file`, relative to `[siem]`.
    pub fn new(siem: &Siem) -> Result<Self, Vec<ConfigError>> {
        let scheme = if siem.format == SiemFormat::SplunkHec { "Splunk" } else { "Bearer" };
        let authorization = siem.token.as_ref().map(|token| http_client::authorization(scheme, token)).transpose();
        match (HttpClient::new(siem.url.uri(), &siem.client, TIMEOUT, 1), authorization) {
            (Ok(client), Ok(authorization)) => {
                Ok(Self { client, url: siem.url.uri().clone(), authorization, format: siem.format })
            }
            (client, authorization) => Err([authorization.err(), client.err()].into_iter().flatten().collect()),
        }
    }
}

/// The target of the moment; `None` while there is no SIEM.
pub type Targets = watch::Receiver<Option<Arc<Target>>>;

pub(super) struct Sender {
    targets: Targets,
    queue: Arc<dyn AuditQueue>,
    metrics: Arc<Metrics>,
    clock: Clock,
    pushed: Arc<Notify>,
    /// Requests that failed in a row.
    failures: u32,
    /// What the last of them held, put off.
    put_off: Vec<i64>,
}

impl Sender {
    /// Sends what `queue` holds to the target of the moment; polls whenever `pushed` is notified.
    pub(super) const fn new(
        targets: Targets,
        queue: Arc<dyn AuditQueue>,
        metrics: Arc<Metrics>,
        clock: Clock,
        pushed: Arc<Notify>,
    ) -> Self {
        Self { targets, queue, metrics, clock, pushed, failures: 0, put_off: Vec::new() }
    }

    /// Runs until `lifecycle` stops accepting and the batch under way is done, at the latest until the cut-off. What is
    /// not sent stays in the queue.
    pub(super) async fn run(mut self, lifecycle: &Lifecycle) {
        let stop = lifecycle.stop_accepting();
        while !stop.is_cancelled() {
            let pause = tokio::select! {
                biased;
                () = lifecycle.cut_off().cancelled() => return,
                pause = self.step() => pause,
            };
            let pause = pause.unwrap_or_else(|error| {
                tracing::debug!(%error, "the audit queue cannot be read now");
                Pause::Idle
            });
            match pause {
                Pause::None => {}
                Pause::NoTarget => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = target_changed(&mut self.targets) => {}
                    }
                }
                Pause::Idle => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.pushed.notified() => {}
                        () = sleep(POLL) => {}
                    }
                }
                Pause::For(wait) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = target_changed(&mut self.targets) => self.retry_now().await,
                        () = sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Sends one batch, if there is one.
    async fn step(&mut self) -> Result<Pause, StoreError> {
        let Some(target) = self.targets.borrow_and_update().clone() else { return Ok(Pause::NoTarget) };
        self.refresh_backlog().await?;
        let batch = self.queue.claim(BATCH, LEASE).await?;
        if batch.is_empty() {
            return Ok(Pause::Idle);
        }
        let pause = match self.send(&target, &batch).await {
            Ok(()) => {
                self.metrics.siem_callback("ok");
                self.failures = 0;
                self.remove(&ids(&batch)).await;
                Pause::None
            }
            Err(SinkError { message, retry: Retry::Never, .. }) => self.refused(&batch, &message).await?,
            Err(error) => self.failed(&batch, &error).await?,
        };
        self.refresh_backlog().await?;
        Ok(pause)
    }

    async fn send(&self, target: &Target, batch: &[QueuedAudit]) -> Result<(), SinkError> {
        let mut request = Request::post(target.url.clone())
            .header(USER_AGENT, http_client::USER_AGENT)
            .header(CONTENT_TYPE, "application/json");
        if let Some(authorization) = &target.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::from(format::body(target.format, batch))).map_err(|error| SinkError {
            message: error.to_string(),
            status: None,
            retry: Retry::Never,
        })?;
        let answer = target.client.send(request).await?;
        answer::accepted(answer.status, &answer.headers, self.clock.now())
    }

    /// The batch may go through later: it stays first in line.
    async fn failed(&mut self, batch: &[QueuedAudit], error: &SinkError) -> Result<Pause, StoreError> {
        self.metrics.siem_callback("retried");
        self.failures = self.failures.saturating_add(1);
        let wait = match error.retry {
            Retry::After(wait) => wait,
            Retry::Backoff | Retry::Never => self.backoff(),
        };
        tracing::warn!(%error, wait_ms = wait.as_millis(), "the SIEM does not take audit records now: trying again");
        self.put_off = ids(batch);
        self.queue.release(&self.put_off, wait, false).await?;
        Ok(Pause::For(wait))
    }

    /// The batch was refused for good: tried again a few times, because that answer is often a mistake being mended.
    async fn refused(&mut self, batch: &[QueuedAudit], message: &str) -> Result<Pause, StoreError> {
        self.failures = self.failures.saturating_add(1);
        let wait = self.backoff();
        let (given_up, again): (Vec<_>, Vec<_>) =
            batch.iter().partition(|queued| queued.attempts.saturating_add(1) >= MAX_REFUSALS);
        let ids = |batch: &[&QueuedAudit]| batch.iter().map(|queued| queued.id).collect::<Vec<_>>();
        if !given_up.is_empty() {
            self.metrics.siem_callback("dropped");
            tracing::error!(error = message, records = given_up.len(), "audit records dropped: the SIEM refuses them");
            self.remove(&ids(&given_up)).await;
        }
        if again.is_empty() {
            self.failures = 0;
            return Ok(Pause::None);
        }
        self.metrics.siem_callback("retried");
        tracing::warn!(error = message, records = again.len(), "the SIEM refused audit records: trying again");
        self.put_off = ids(&again);
        self.queue.release(&self.put_off, wait, true).await?;
        Ok(Pause::For(wait))
    }

    /// There is another target, which may be the one that works: what was put off is due at once. Nobody else has taken
    /// it, because it was not due yet.
    async fn retry_now(&mut self) {
        self.failures = 0;
        // Where the store does not take it now, the records wait as they were to.
        let _ = self.queue.release(&std::mem::take(&mut self.put_off), Duration::ZERO, false).await;
    }

    fn backoff(&self) -> Duration {
        backoff::full_jitter(self.failures, fastrand::f64()).min(MAX_BACKOFF)
    }

    /// Removes records for sure, as long as they are ours: what stays would be sent twice.
    async fn remove(&self, ids: &[i64]) {
        let ours = async {
            while self.queue.remove(ids).await.is_err() {
                sleep(Duration::from_millis(250)).await;
            }
        };
        let _ = tokio::time::timeout(REMOVE_TIMEOUT, ours).await;
    }

    async fn refresh_backlog(&self) -> Result<(), StoreError> {
        let count = self.queue.count().await?;
        self.metrics.siem_backlog.set(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// Waits for another target than the one seen last; for ever where nobody is left to name one.
async fn target_changed(targets: &mut Targets) {
    if targets.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What to wait for before the next batch.
enum Pause {
    None,
    NoTarget,
    Idle,
    For(Duration),
}

fn ids(batch: &[QueuedAudit]) -> Vec<i64> {
    batch.iter().map(|queued| queued.id).collect()
}
