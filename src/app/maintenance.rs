//! What has to happen now and then while the daemon runs: probing the store, forgetting what is old, a few gauges.

use std::sync::Arc;
use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::telemetry::Telemetry;

use super::skew::Skew;

/// How often the store is probed: a readiness probe sees a lost store within this and the load balancer's own period.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How often old ids and events are removed.
const PRUNE_EVERY: Duration = Duration::from_mins(1);
/// How often the store's size is taken: a server looks at all its tables for it.
const MEASURE_EVERY: Duration = Duration::from_mins(1);
/// How long a probe may take before the store counts as stalled.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps readiness in step with the store: a write that fails or stalls takes this replica out of the load balancer.
pub(super) async fn probe(store: Store, front: Lifecycle, lifecycle: Lifecycle) {
    let mut healthy = true;
    loop {
        let outcome = tokio::time::timeout(PROBE_TIMEOUT, store.maintenance.probe()).await;
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("a write took longer than {} s", PROBE_TIMEOUT.as_secs())),
        };
        if healthy != error.is_none() {
            healthy = error.is_none();
            match &error {
                None => tracing::info!("the store is writable again: ready"),
                Some(error) => tracing::error!(error, "the store cannot be written: not ready, answering 503"),
            }
        }
        front.set_store_healthy(healthy);
        if rest(PROBE_EVERY, &lifecycle).await.is_break() {
            return;
        }
    }
}

/// Forgets ids and delivered events that are older than the retention.
pub(super) async fn prune(store: Store, lifecycle: Lifecycle) {
    while rest(PRUNE_EVERY, &lifecycle).await.is_continue() {
        // Broken off, it goes on at the next start; what is forgotten later does no harm, an exit that is late does.
        let pruned = tokio::select! {
            () = lifecycle.stop_accepting().cancelled() => return,
            pruned = store.maintenance.prune() => pruned,
        };
        match pruned {
            Ok(0) => {}
            Ok(events) => tracing::info!(events, "removed events older than the retention"),
            Err(error) => tracing::warn!(%error, "could not remove old events; trying again in a minute"),
        }
    }
}

/// Refreshes the gauges that nobody else keeps.
pub(super) async fn gauges(store: Store, telemetry: Arc<Telemetry>, metrics: Arc<Metrics>, lifecycle: Lifecycle) {
    let mut skew = Skew::default();
    loop {
        skew.watch(&store, &metrics).await;
        if let Ok(entries) = store.quarantine.count().await {
            metrics.quarantine_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        }
        let dropped = telemetry.dropped_lines();
        metrics.log_lines_dropped.inc_by(dropped.saturating_sub(metrics.log_lines_dropped.get()));
        if rest(PROBE_EVERY, &lifecycle).await.is_break() {
            return;
        }
    }
}

/// Says now and then how large the store is.
pub(super) async fn sizes(store: Store, metrics: Arc<Metrics>, lifecycle: Lifecycle) {
    while rest(MEASURE_EVERY, &lifecycle).await.is_continue() {
        measure(&store, &metrics).await;
    }
}

/// Says how large the store is.
pub(super) async fn measure(store: &Store, metrics: &Metrics) {
    if let Ok(size) = store.maintenance.size().await {
        metrics.set_store_size(size.bytes, size.free_bytes);
    }
}

/// Waits for `period`; breaks when the daemon stops.
async fn rest(period: Duration, lifecycle: &Lifecycle) -> std::ops::ControlFlow<()> {
    tokio::select! {
        () = lifecycle.stop_accepting().cancelled() => std::ops::ControlFlow::Break(()),
        () = tokio::time::sleep(period) => std::ops::ControlFlow::Continue(()),
    }
}
