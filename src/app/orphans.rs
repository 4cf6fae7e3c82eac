//! Sinks that are gone from the configuration and still have deliveries: named, counted, never forgotten.
//!
//! They may come back (a file half edited, a replica with other sinks), so nothing is given up by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Name;
use crate::lifecycle::Lifecycle;
use crate::store::{Backlog, Outbox, StoreError};

use super::dispatchers::Dispatchers;

/// How often they are looked for.
const EVERY: Duration = Duration::from_secs(5);

/// The sinks that something waits for or died on the way to, and that are not `configured`.
///
/// # Errors
/// [`StoreError`] of the store.
pub async fn find(outbox: &dyn Outbox, configured: impl Fn(&Name) -> bool) -> Result<Vec<(Name, Backlog)>, StoreError> {
    let mut sinks = outbox.sinks().await?;
    sinks.retain(|(name, _)| !configured(name));
    Ok(sinks)
}

/// What is to be said about one of them, and done.
#[must_use]
pub fn warning(name: &Name, backlog: &Backlog) -> String {
    let Backlog { pending, dead, .. } = backlog;
    format!(
        "sink {name} is not in the configuration and still has {pending} pending deliveries and {dead} dead letters: \
         configure it again, or `gatepost dead replay --sink {name} --to-sink NAME` moves them, \
         `gatepost dead discard --sink {name}` gives them up"
    )
}

/// Keeps their series and warns about each that turns up, until `lifecycle` stops.
pub(super) async fn watch(outbox: Arc<dyn Outbox>, dispatchers: Dispatchers, lifecycle: Lifecycle) {
    let mut known = BTreeSet::new();
    loop {
        // A store that cannot be read is reported by those that need it more.
        if let Ok(found) = find(outbox.as_ref(), |name| dispatchers.has(name)).await {
            let now: BTreeSet<Name> = found.iter().map(|(name, _)| name.clone()).collect();
            for name in known.difference(&now) {
                dispatchers.without(name, |metrics| metrics.forget_sink(name, false));
            }
            for (name, backlog) in &found {
                dispatchers.without(name, |metrics| {
                    let age = backlog.oldest_age.unwrap_or_default();
                    metrics.left_behind(name, backlog.pending, backlog.dead, age);
                });
                if !known.contains(name) {
                    let (sink, pending, dead) = (name.as_str(), backlog.pending, backlog.dead);
                    tracing::warn!(sink, pending, dead, "{}", warning(name, backlog));
                }
            }
            known = now;
        }
        tokio::select! {
            () = lifecycle.stop_accepting().cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
