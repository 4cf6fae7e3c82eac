//! One look at the store: is anything due, and the claim of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{Claimed, Dispatcher, StoreError};

/// The longest time without a look: other processes queue deliveries too, and not every store can say so.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// Between two looks, when the last one found less than it wanted: commits that come in quick succession share a look.
pub(super) const GAP: Duration = Duration::from_millis(5);
/// Before the store is tried again after a fault, and before a look that was promised something and found nothing.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
/// A fault of the store that lasted longer may have outlasted leases whose deliveries were made.
pub(super) const LONG: Duration = Duration::from_secs(5);
/// After such a fault, before anything is claimed: other processes are to settle first what they delivered, and may be
/// waiting for a call that will fail (a store gives up after eight seconds).
pub(super) const OTHERS_FIRST: Duration = Duration::from_secs(9);

/// Why to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It may be time; whether anything is due is asked first, which costs less than a claim.
    Asking,
    /// Something was queued.
    Told,
    /// Only to see whether the store is there again.
    AfterFault,
    /// Something grew too old while the sink was down.
    Expiring,
}

/// What a look found.
pub(super) struct Look {
    /// What is ours now.
    pub claims: Vec<Claimed>,
    /// When it was asked for.
    pub asked: Instant,
    /// When to look again.
    pub next: Instant,
    /// Why it looked.
    pub kind: Kind,
}

/// Claims up to `limit` due deliveries, if there are any.
pub(super) async fn look(dispatcher: &Dispatcher, limit: usize, kind: Kind) -> Result<Look, StoreError> {
    let (outbox, name) = (&dispatcher.outbox, &dispatcher.settings.name);
    let nothing = |next| Look { claims: Vec::new(), asked: Instant::now(), next, kind };
    if matches!(kind, Kind::Asking | Kind::AfterFault) {
        let due = outbox.next_due(name).await?;
        if kind == Kind::AfterFault {
            return Ok(nothing(Instant::now() + GAP));
        }
        if due.is_none_or(|due| !due.is_zero()) {
            return Ok(nothing(after(due.map_or(POLL, |due| due.clamp(GAP, POLL)))));
        }
    }
    // Before the store is asked: a slow answer leaves less time to begin, never more than the lease has.
    let asked = Instant::now();
    let claims = outbox.claim(name, limit, dispatcher.lease()).await?;
    let pause = match claims.len() {
        0 => PAUSE,
        found if found >= limit => Duration::ZERO,
        _ => GAP,
    };
    Ok(Look { claims, asked, next: Instant::now() + pause, kind })
}

/// The instant after `wait`, at most the next poll. In whole milliseconds, rounded up: a timer that ends too early looks
/// in vain.
pub(super) fn after(wait: Duration) -> Instant {
    Instant::now() + Duration::from_millis(u64::try_from(wait.as_millis() + 1).unwrap_or(u64::MAX)).min(POLL)
}
