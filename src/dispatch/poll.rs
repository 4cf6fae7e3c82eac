//! One poll of the store: is anything due, and the claim of it.

use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use crate::store::{Claimed, StoreError};

/// The longest time between two polls: other processes queue deliveries too, and not every store can say so.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(1);
/// Between two polls when the last one found less than it wanted: commits that come in quick succession share a poll.
pub(super) const MIN_INTERVAL: Duration = Duration::from_millis(5);
/// Before the store is tried again after it failed, and before a poll that was promised something and found nothing.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Why to poll.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trigger {
    /// It may be time; whether anything is due is asked first, which costs less than a claim.
    Timer,
    /// Something was queued.
    Notified,
    /// Only to see whether the store is there again.
    StoreFailed,
    /// Something outlived `max_age` while the sink was down.
    Expired,
}

/// What a poll found.
pub(super) struct Polled {
    /// What is ours now.
    pub claims: Vec<Claimed>,
    /// When it was asked for.
    pub asked: Instant,
    /// When to poll again.
    pub next: Instant,
    pub trigger: Trigger,
}

/// Claims up to `limit` due deliveries, if there are any.
pub(super) async fn poll(context: &Context, limit: usize, trigger: Trigger) -> Result<Polled, StoreError> {
    let (outbox, name) = (&context.outbox, &context.settings.name);
    let nothing = |next| Polled { claims: Vec::new(), asked: Instant::now(), next, trigger };
    if matches!(trigger, Trigger::Timer | Trigger::StoreFailed) {
        let due = outbox.next_due(name).await?;
        if trigger == Trigger::StoreFailed {
            return Ok(nothing(Instant::now() + MIN_INTERVAL));
        }
        if due.is_none_or(|due| !due.is_zero()) {
            return Ok(nothing(after(due.map_or(MAX_INTERVAL, |due| due.clamp(MIN_INTERVAL, MAX_INTERVAL)))));
        }
    }
    // Before the store is asked: a slow answer leaves less time to begin, never more than the lease has.
    let asked = Instant::now();
    let claims = outbox.claim(name, limit, context.lease()).await?;
    let pause = match claims.len() {
        0 => RETRY_INTERVAL,
        found if found >= limit => Duration::ZERO,
        _ => MIN_INTERVAL,
    };
    Ok(Polled { claims, asked, next: Instant::now() + pause, trigger })
}

/// The instant after `wait`, at most the next regular poll. In whole milliseconds, rounded up: a timer that ends too early
/// polls in vain.
pub(super) fn after(wait: Duration) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(wait.as_millis() + 1).unwrap_or(u64::MAX)).min(MAX_INTERVAL)
}
