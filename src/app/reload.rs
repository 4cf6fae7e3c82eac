//! What can change while the daemon runs: certificates, secrets, allowlists, sources. Bad files keep the old.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::config::{Config, Listener};
use crate::fault::Faults;
use crate::ingress::{self, Ingress, Recorder, Shared, Source};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::server::Proxy;
use crate::server::tls::LoadedTls;
use crate::verdict::Verdict;

use super::{Loader, assembly};

/// How often files are looked at. Looking, not being told: it also sees the symlink swap of a Kubernetes secret and
/// files on network file systems.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A certificate that expires sooner than this gets a warning.
const EXPIRY_WARNING: jiff::SignedDuration = jiff::SignedDuration::from_hours(21 * 24);

/// What is exchanged on reload, and what it is made from.
pub struct Live {
    /// Behind every connection.
    pub ingress: Ingress,
    /// For every handshake.
    pub tls: Arc<ArcSwap<rustls::ServerConfig>>,
    /// For every accepted connection.
    pub proxy: Arc<ArcSwap<Proxy>>,
    loader: Loader,
    shared: Shared,
    verdicts: Option<mpsc::Sender<Verdict>>,
    metrics: Arc<Metrics>,
    files: Mutex<Vec<PathBuf>>,
}

impl Live {
    /// Puts the first set together.
    pub fn new(
        config: &Config,
        loader: Loader,
        shared: Shared,
        verdicts: Option<mpsc::Sender<Verdict>>,
        sources: &[Arc<Source>],
        tls: LoadedTls,
        metrics: Arc<Metrics>,
    ) -> Self {
        let recorder = recorder(config, &shared.clock, verdicts.clone(), &metrics);
        expiry(tls.earliest_expiry, &shared.clock, &metrics);
        Self {
            ingress: Ingress::new(ingress::router(&shared, &recorder, sources)),
            tls: Arc::new(ArcSwap::new(tls.config)),
            proxy: Arc::new(ArcSwap::from_pointee(proxy(&config.listener))),
            loader,
            shared,
            verdicts,
            metrics,
            files: Mutex::new(config.files.clone()),
        }
    }

    /// Reads everything again and exchanges it at once, or keeps all of the old and says why.
    pub fn reload(&self) {
        match self.exchange() {
            Ok(()) => {
                self.metrics.reload(true);
                tracing::info!("reloaded configuration, secrets and certificates");
            }
            Err(faults) => {
                self.metrics.reload(false);
                tracing::error!(faults = %faults, "reload refused, everything stays as it was: mend this and send SIGHUP");
            }
        }
    }

    fn exchange(&self) -> Result<(), Faults> {
        let config = (self.loader)()?;
        let tls = assembly::tls(&config.tls, self.shared.clock.now())?;
        let sources = assembly::sources(&config, &self.metrics)?;
        let recorder = recorder(&config, &self.shared.clock, self.verdicts.clone(), &self.metrics);
        expiry(tls.earliest_expiry, &self.shared.clock, &self.metrics);
        self.ingress.replace(ingress::router(&self.shared, &recorder, &sources));
        self.tls.store(tls.config);
        self.proxy.store(Arc::new(proxy(&config.listener)));
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = config.files;
        Ok(())
    }

    /// Reloads whenever a file changes, until the daemon stops.
    pub async fn watch(self: Arc<Self>, lifecycle: Lifecycle) {
        let mut seen = self.fingerprint().await;
        loop {
            tokio::select! {
                () = lifecycle.stop_accepting().cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let now = self.fingerprint().await;
            if now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    /// What tells a changed file: which one it is behind all symlinks, its size, its time.
    async fn fingerprint(&self) -> Vec<Option<(u64, u64, i64, i64)>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut prints = Vec::with_capacity(files.len());
        for file in files {
            let metadata = tokio::fs::metadata(&file).await.ok();
            prints.push(metadata.map(|m| (m.ino(), m.size(), m.mtime(), m.mtime_nsec())));
        }
        prints
    }
}

fn proxy(listener: &Listener) -> Proxy {
    Proxy { required: listener.proxy_protocol, trusted: listener.trusted_proxies.clone() }
}

fn recorder(config: &Config, clock: &Clock, audit: Option<mpsc::Sender<Verdict>>, metrics: &Metrics) -> Arc<Recorder> {
    let trusted = config.listener.trusted_proxies.clone();
    Arc::new(Recorder { clock: clock.clone(), trusted, unrouted: ingress::unrouted(metrics), audit })
}

/// Tells when the first certificate expires, and warns while there is time to do something.
fn expiry(at: Timestamp, clock: &Clock, metrics: &Metrics) {
    metrics.certificate_expiry.set(at.as_duration().as_secs_f64());
    let left = at.duration_since(clock.now());
    if left < EXPIRY_WARNING {
        let days = left.as_hours() / 24;
        tracing::warn!(expires = %at, days, "the TLS certificate expires soon: put a new one in its place, it is reloaded by itself");
    }
}
