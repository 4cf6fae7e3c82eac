//! `gatepost check`: what a start would build, and what the store holds.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Config;
use crate::event::Name;
use crate::metrics::Metrics;
use crate::settings::{ConfigError, ConfigErrors};

use super::assembly::{Loader, Parts, parts, sources, store};
use super::orphans;

/// Everything that `serve` would need, built and let go again. Stricter than a start: a certificate that is not valid
/// now is an error. Returns the configuration, with its warnings and those about what the store holds.
///
/// # Errors
/// Every error there is.
pub async fn check(loader: &Loader, clock: &Clock) -> Result<Config, ConfigErrors> {
    let metrics = Arc::new(Metrics::new());
    let Parts { mut config, .. } = parts(loader(), |tls| tls.invalid_at(clock.now()))?;
    let mut errors = sources(&config, &metrics).err().map(|found| found.0).unwrap_or_default();
    match store(&config, &metrics).await {
        Ok(store) => {
            let configured = |name: &Name| config.live.sinks.iter().any(|sink| sink.name == *name);
            let orphans = orphans::find(store.outbox.as_ref(), configured).await;
            let closed = store.maintenance.close().await;
            match orphans.and_then(|orphans| closed.map(|()| orphans)) {
                Ok(orphans) => {
                    config.warnings.extend(orphans.iter().map(|(name, backlog)| orphans::warning(name, backlog)));
                }
                Err(error) => errors.push(ConfigError::new("store.url", error.to_string())),
            }
        }
        Err(error) => errors.push(error),
    }
    if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
}
