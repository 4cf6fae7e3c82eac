//! Reloading: on a signal, or when a file changes; one at a time, all or nothing, and logged in words.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::admin;
use crate::clock::Clock;
use crate::config::Config;
use crate::ingress::Source;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::server::tls::LoadedTls;
use crate::settings::Watched;
use crate::settings::{ConfigError, ConfigErrors};

use super::assembly::{self, Loader, Parts};
use super::certificates;
use super::live::Live;

/// How often files are checked for changes.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often certificates are reported: one that nobody touches expires all the same.
const REPORT_CERTIFICATES_EVERY: Duration = Duration::from_hours(24);

/// Reloads. Being the only one who does, and doing one thing after the other, it needs no lock.
pub(super) struct Reloader {
    pub live: Arc<Live>,
    pub loader: Loader,
    /// In use, like `tls` and `sources`.
    pub config: Config,
    pub tls: LoadedTls,
    pub sources: Vec<Arc<Source>>,
    /// The files of `config`, or those of the last one that was refused, as they were before they were read.
    pub watched: Arc<Watched>,
    pub clock: Clock,
    pub metrics: Arc<Metrics>,
}

impl Reloader {
    /// Reloads whenever `asked`, and whenever a file changes, until the daemon stops accepting.
    pub(super) async fn run(mut self, asked: Arc<Notify>, lifecycle: Lifecycle) {
        let mut check = interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reported = Instant::now();
        let stop = lifecycle.stop_accepting();
        loop {
            let due = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = asked.notified() => true,
                _ = check.tick() => self.files_changed().await,
            };
            if due {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.reload() => {}
                }
            }
            if reported.elapsed() >= REPORT_CERTIFICATES_EVERY {
                reported = Instant::now();
                self.report_certificates();
            }
        }
    }

    /// Logs the warnings of the configuration in use.
    pub(super) fn report_warnings(&self) {
        warn(&self.config.warnings);
    }

    /// Logs what is wrong, now or soon, with the certificates in use.
    pub(super) fn report_certificates(&self) {
        certificates::report(&self.tls, &self.config.live.tls, &self.clock, &self.metrics);
    }

    async fn files_changed(&self) -> bool {
        let watched = Arc::clone(&self.watched);
        // Fails only when the runtime is shutting down.
        tokio::task::spawn_blocking(move || watched.have_changed()).await.unwrap_or(false)
    }

    /// Reads everything again and exchanges it at once, or keeps all of the old and says why.
    async fn reload(&mut self) {
        let exchanged = match self.read().await {
            Ok((changes, parts)) => self.exchange(changes, parts),
            Err(errors) => Err(errors),
        };
        let outcome = match &exchanged {
            Ok(changes) => Ok(changes.clone()),
            Err(errors) => Err(errors.0.iter().map(ToString::to_string).collect()),
        };
        self.live.reloads.remember(admin::Reload { at: self.clock.now(), outcome });
        match exchanged {
            Ok(changes) => {
                self.metrics.reload(true);
                let changes = if changes.is_empty() { "nothing had changed".to_owned() } else { changes.join("; ") };
                tracing::info!(changes, "reloaded configuration, secrets and certificates");
            }
            Err(errors) => {
                self.metrics.reload(false);
                tracing::error!(
                    faults = %errors,
                    "reload refused, everything stays as it was: fix this; a changed file is read again by itself, or send SIGHUP"
                );
            }
        }
    }

    /// The new configuration and what it is built into, and what changed, in words. Off the runtime's threads: files may be
    /// slow, and what keys are called takes some hashing.
    async fn read(&mut self) -> Result<(Vec<String>, Parts), ConfigErrors> {
        let (loader, in_use, now) = (Arc::clone(&self.loader), self.tls.clone(), self.clock.now());
        let before = self.config.clone();
        let read = tokio::task::spawn_blocking(move || {
            let draft = loader();
            let watched = draft.watched().clone();
            let parts = assembly::parts(draft, |tls| tls.worse_than(&in_use, now));
            (watched, parts.map(|parts| (before.changes(&parts.config), parts)))
        });
        let (watched, parts) =
            read.await.map_err(|error| ConfigErrors(vec![ConfigError::new("reload", error.to_string())]))?;
        // Those of a configuration that is refused, too: a mistake is fixed in one of them.
        self.watched = Arc::new(watched);
        parts
    }

    /// Puts `parts` in the place of what is in use, or refuses them as a whole. Waits for nothing, so nothing can interrupt
    /// it. Returns what changed: `changes`, and what only shows here.
    fn exchange(&mut self, mut changes: Vec<String>, parts: Parts) -> Result<Vec<String>, ConfigErrors> {
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
        warn(config.warnings.iter().filter(|warning| !self.config.warnings.contains(warning)));
        for old in &self.sources {
            old.forget(sources.iter().find(|new| new.config.name == old.config.name).map(AsRef::as_ref), &self.metrics);
        }
        (self.config, self.tls, self.sources) = (config, tls, sources);
        Ok(changes)
    }
}

fn warn<'a>(warnings: impl IntoIterator<Item = &'a String>) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}
