//! Reloading: on a signal, or when a file changes; one at a time, all or nothing, and said in words.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::config::Config;
use crate::ingress::Source;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::server::tls::LoadedTls;
use crate::settings::Watched;
use crate::settings::{ConfigError, ConfigErrors};

use super::assembly;
use super::live::Live;
use super::{Loader, certificates};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often certificates are spoken of: one that nobody touches expires all the same.
const REMIND_EVERY: Duration = Duration::from_hours(24);

/// Who reloads. Being the only one, and doing one thing after the other, it needs no lock.
pub(super) struct Reloader {
    /// What is exchanged.
    pub live: Arc<Live>,
    /// Reads everything again.
    pub loader: Loader,
    /// What is in use.
    pub config: Config,
    /// Its certificates.
    pub tls: LoadedTls,
    /// Its sources.
    pub sources: Vec<Arc<Source>>,
    /// Its files, or those of the last one that was refused, as they were before they were read.
    pub watched: Arc<Watched>,
    /// The time.
    pub clock: Clock,
    /// Where reloads are counted.
    pub metrics: Arc<Metrics>,
}

impl Reloader {
    /// Reloads whenever `asked`, and whenever a file changes, until the daemon stops accepting.
    pub(super) async fn run(mut self, asked: Arc<Notify>, lifecycle: Lifecycle) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reminded = Instant::now();
        let stop = lifecycle.stop_accepting();
        loop {
            let due = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                _ = look.tick() => self.has_news().await,
            };
            if due {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.reload() => {}
                }
            }
            if reminded.elapsed() >= REMIND_EVERY {
                reminded = Instant::now();
                self.tell_certificates();
            }
        }
    }

    /// Tells how the certificates in use stand.
    pub(super) fn tell_certificates(&self) {
        certificates::tell(&self.tls, &self.config.live.tls, &self.clock, &self.metrics);
    }

    async fn has_news(&self) -> bool {
        let watched = Arc::clone(&self.watched);
        // Fails only when the runtime is shutting down.
        tokio::task::spawn_blocking(move || watched.have_changed()).await.unwrap_or(false)
    }

    /// Reads everything again and exchanges it at once, or keeps all of the old and says why.
    async fn reload(&mut self) {
        match self.exchange().await {
            Ok(changes) => {
                self.metrics.reload(true);
                let changes = if changes.is_empty() { "nothing had changed".to_owned() } else { changes.join("; ") };
                tracing::info!(changes, "reloaded configuration, secrets and certificates");
            }
            Err(faults) => {
                self.metrics.reload(false);
                tracing::error!(faults = %faults, "reload refused, everything stays as it was: mend this and send SIGHUP");
            }
        }
    }

    /// What changed, in words. The one await is on what is read; from there on nothing can interrupt.
    async fn exchange(&mut self) -> Result<Vec<String>, ConfigErrors> {
        let (loader, in_use, now) = (Arc::clone(&self.loader), self.tls.clone(), self.clock.now());
        let before = self.config.clone();
        // Files may be slow, and what keys are called takes some hashing: whoever serves meanwhile must not wait for it.
        let read = tokio::task::spawn_blocking(move || {
            let draft = loader();
            let watched = draft.watched().clone();
            let parts = assembly::parts(draft, |tls| tls.worse_than(&in_use, now));
            (watched, parts.map(|parts| (before.changes(&parts.config), parts)))
        });
        let (watched, parts) =
            read.await.map_err(|error| ConfigErrors(vec![ConfigError::new("reload", error.to_string())]))?;
        self.watched = Arc::new(watched);
        let (mut changes, parts) = parts?;
        let restart = self.config.takes_a_restart(&parts.config);
        if !restart.is_empty() {
            return Err(ConfigErrors(restart));
        }
        let sources = assembly::sources(&parts.config, &self.metrics)?;
        if parts.tls.differs_from(&self.tls) {
            changes.push("certificates exchanged".to_owned());
        }
        let (config, tls) = (parts.config.clone(), parts.tls.clone());
        for name in self.live.exchange(&self.config, parts, &sources) {
            let sink = format!("sink {name} ");
            if !changes.iter().any(|change| format!("{change} ").contains(&sink)) {
                changes.push(format!("credentials or files of {sink}changed"));
            }
        }
        for warning in config.warnings.iter().filter(|warning| !self.config.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
        for old in &self.sources {
            old.forget(sources.iter().find(|new| new.config.name == old.config.name).map(AsRef::as_ref), &self.metrics);
        }
        (self.config, self.tls, self.sources) = (config, tls, sources);
        Ok(changes)
    }
}
