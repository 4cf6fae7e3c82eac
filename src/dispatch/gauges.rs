//! Beside the deliveries of a sink: its gauges, what operators decided about it, and whether some outlived `max_age` while the sink was down.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::context::Context;
use crate::store::StoreError;

/// How soon a pause is noticed, and its end.
const OBEY_EVERY: Duration = Duration::from_secs(1);
/// How often the store counts: so many times a pause is looked for.
const COUNTED_AT: usize = 2;

/// Refreshes for as long as it is polled; the pipeline reports a store that fails.
pub(super) async fn run(context: &Context) {
    for counts in (0..COUNTED_AT).cycle().map(|turn| turn == 0) {
        if let Ok(control) = context.outbox.control(&context.settings.name).await {
            context.obey(&control);
        }
        if counts && let Ok(expired) = refresh(context).await {
            context.expired.store(expired, Ordering::Release);
        }
        tokio::time::sleep(OBEY_EVERY).await;
    }
}

/// Sets the gauges. Says whether something is too old and the open circuit keeps it from being attempted.
async fn refresh(context: &Context) -> Result<bool, StoreError> {
    let backlog = context.outbox.backlog(&context.settings.name).await?;
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    context.metrics.backlog.set(gauge(backlog.pending));
    context.metrics.dead_letters.set(gauge(backlog.dead));
    context.metrics.oldest_age.set(backlog.oldest_age.unwrap_or_default().as_secs_f64());
    let expired = backlog.oldest_counted_age.is_some_and(|age| age >= context.max_age());
    Ok(expired && context.circuit().open_until().is_some())
}
