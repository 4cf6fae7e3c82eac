//! Beside the deliveries of a sink: its gauges, and the end of deliveries that grew too old while the sink was down.

use std::time::Duration;

use super::outcome::{Ticket, cut, later};
use super::{Dispatcher, Settled, Settlement, StoreError};

/// How often the gauges are refreshed.
const EVERY: Duration = Duration::from_secs(2);
/// Deliveries looked at in one go.
const BATCH: usize = 256;

/// Refreshes for as long as it is polled; store faults are told by the deliveries' own loop.
pub async fn run(dispatcher: &Dispatcher) {
    loop {
        if let Ok(true) = refresh(dispatcher).await {
            // A fault here shows in the next round too.
            let _ = expire(dispatcher).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Sets the gauges. Says whether something is too old and the open circuit keeps it from being attempted.
pub async fn refresh(dispatcher: &Dispatcher) -> Result<bool, StoreError> {
    let backlog = dispatcher.outbox.backlog(&dispatcher.settings.name).await?;
    let now = dispatcher.clock.now();
    let gauge = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    dispatcher.metrics.backlog.set(gauge(backlog.pending));
    dispatcher.metrics.dead_letters.set(gauge(backlog.dead));
    let age = backlog.oldest.map_or(0.0, |oldest| now.duration_since(oldest).as_secs_f64().max(0.0));
    dispatcher.metrics.oldest_age.set(age);
    let too_old = backlog.oldest.is_some_and(|oldest| later(oldest, dispatcher.settings.max_age) <= now);
    Ok(too_old && dispatcher.circuit().open_until().is_some())
}

/// Ends deliveries that are too old, without another attempt: the sink is known to be down. The others that were
/// looked at are handed back, due again together with the next probe.
async fn expire(dispatcher: &Dispatcher) -> Result<(), StoreError> {
    loop {
        let Some(until) = dispatcher.circuit().open_until() else { return Ok(()) };
        let now = dispatcher.clock.now();
        let claims = dispatcher.outbox.claim(&dispatcher.settings.name, BATCH, now, dispatcher.lease()).await?;
        let settlements: Vec<_> = claims
            .iter()
            .map(Ticket::of)
            .map(|ticket| {
                if ticket.deadline(dispatcher.limits()) > now {
                    return Dispatcher::release(&ticket, until);
                }
                let (age, attempts) = (dispatcher.settings.max_age, ticket.attempts);
                let error = cut(format!("gave up after {age:?} and {attempts} attempts: the sink is down"));
                let outcome = Settled::Dead { error };
                dispatcher.count(&ticket, &outcome);
                Settlement { id: ticket.id, lease: ticket.lease, outcome }
            })
            .collect();
        let looked_at = settlements.len();
        if looked_at > 0 {
            dispatcher.outbox.settle(settlements).await?;
        }
        if looked_at < BATCH {
            return Ok(());
        }
    }
}
