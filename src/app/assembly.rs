//! From configuration to parts: what `check`, start and reload all build the same way.

use std::sync::Arc;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::{Config, Tls};
use crate::event::Name;
use crate::fault::{Fault, Faults};
use crate::ingress::Source;
use crate::metrics::Metrics;
use crate::server::tls::{self, CertificatePaths, LoadedTls};
use crate::sink::{self, Sink};
use crate::store::{self, Store};
use crate::{scheme, telemetry};

use super::orphans;

/// The sources, each with its scheme.
///
/// # Errors
/// Every fault of every scheme.
pub fn sources(config: &Config, metrics: &Metrics) -> Result<Vec<Arc<Source>>, Faults> {
    let mut faults = Vec::new();
    let mut sources = Vec::new();
    for source in &config.sources {
        match scheme::build(&source.scheme) {
            Ok(scheme) => sources.push(Arc::new(Source::new(source.clone(), scheme, &config.sinks, metrics))),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.under(&format!("source {}", source.name)))),
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(Faults(faults)) }
}

/// A sink and what it was built from.
pub type BuiltSink = (sink::Settings, Arc<dyn Sink>);

/// The sinks, not yet connected.
///
/// # Errors
/// Every fault of every sink.
pub fn sinks(config: &Config) -> Result<Vec<BuiltSink>, Faults> {
    let mut faults = Vec::new();
    let mut sinks = Vec::new();
    for settings in &config.sinks {
        match sink::build(settings) {
            Ok(sink) => sinks.push((settings.clone(), sink)),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.under(&format!("sink {}", settings.name)))),
        }
    }
    if faults.is_empty() { Ok(sinks) } else { Err(Faults(faults)) }
}

/// Certificates and keys.
///
/// # Errors
/// The file and what is wrong with it.
pub fn tls(settings: &Tls, now: Timestamp) -> Result<LoadedTls, Faults> {
    let paths = |files: &crate::config::CertificateFiles| CertificatePaths {
        cert_file: files.cert_file.clone(),
        key_file: files.key_file.clone(),
    };
    let files: Vec<CertificatePaths> = settings.certificates.iter().map(paths).collect();
    tls::load(&files, settings.client_ca_file.as_deref(), settings.allow_tls12)
        .and_then(|loaded| loaded.valid_at(now))
        .map_err(|error| Faults(vec![Fault::new("tls (TLS_CERT_FILE, TLS_KEY_FILE)", error.to_string())]))
}

/// The store, open and written to once.
///
/// # Errors
/// The store's own words.
pub async fn store(config: &Config, metrics: &Arc<Metrics>) -> Result<Store, Fault> {
    let open = async {
        let store = store::open(&config.store, Arc::clone(metrics)).await?;
        store.upkeep.probe().await?;
        Ok::<_, store::StoreError>(store)
    };
    open.await.map_err(|error| Fault::new("store.url", error.to_string()))
}

/// Everything that `serve` would need, built and let go again. Returns what is worth a warning in the store.
///
/// # Errors
/// Every fault there is.
pub async fn check(config: &Config) -> Result<Vec<String>, Faults> {
    let metrics = Arc::new(Metrics::new());
    let mut faults = Vec::new();
    let mut keep = |result: Result<(), Faults>| faults.extend(result.err().map(|found| found.0).unwrap_or_default());
    keep(sources(config, &metrics).map(drop));
    keep(sinks(config).map(drop));
    keep(tls(&config.tls, Clock::system().now()).map(drop));
    keep(
        telemetry::check_filter(&config.log.filter).map_err(|error| Faults(vec![Fault::new("log", error.to_string())])),
    );
    let mut warnings = Vec::new();
    match store(config, &metrics).await {
        Ok(store) => {
            let configured = |name: &Name| config.sinks.iter().any(|sink| sink.name == *name);
            let orphans = orphans::find(store.outbox.as_ref(), configured).await;
            let closed = store.upkeep.close().await;
            match orphans.and_then(|orphans| closed.map(|()| orphans)) {
                Ok(orphans) => warnings.extend(orphans.iter().map(|(name, backlog)| orphans::warning(name, backlog))),
                Err(error) => faults.push(Fault::new("store.url", error.to_string())),
            }
        }
        Err(fault) => faults.push(fault),
    }
    if faults.is_empty() { Ok(warnings) } else { Err(Faults(faults)) }
}
