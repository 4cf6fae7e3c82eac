//! Beside the deliveries of a sink: its gauges, and whether some grew too old while the sink was down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Dispatcher, StoreError};

/// How often the gauges are refreshed.
const EVERY: Duration = Duration::from_secs(2);

/// Refreshes for as long as it is polled; store faults are told by the deliveries' own loop.
pub(super) async fn run(dispatcher: &Dispatcher) {
    loop {
        if let Ok(too_old) = refresh(dispatcher).await {
            dispatcher.too_old.store(too_old, Ordering::Release);
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Sets the gauges. Says whether something is too old and the open circuit keeps it from being attempted.
async fn refresh(dispatcher: &Dispatcher) -> Result<bool, StoreError> {
    let backlog = dispatcher.outbox.backlog(&dispatcher.settings.name).await?;
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    dispatcher.metrics.backlog.set(gauge(backlog.pending));
    dispatcher.metrics.dead_letters.set(gauge(backlog.dead));
    dispatcher.metrics.oldest_age.set(backlog.oldest_age.unwrap_or_default().as_secs_f64());
    let too_old = backlog.oldest_age.is_some_and(|age| age >= dispatcher.settings.max_age);
    Ok(too_old && dispatcher.circuit().open_until().is_some())
}
