//! From configuration to parts: what `check`, start and reload all build the same way.

use std::sync::Arc;

use crate::audit::Target;
use crate::clock::Clock;
use crate::config::{Config, Draft, Tls};
use crate::event::Name;
use crate::ingress::Source;
use crate::metrics::Metrics;
use crate::server::tls::{self, CertificatePaths, LoadedTls, Place, TlsFault};
use crate::settings::{ConfigError, ConfigErrors};
use crate::sink::{self, Sink};
use crate::store::{self, Store};
use crate::telemetry;

use super::fingerprint::Fingerprint;
use super::{Loader, orphans};

/// A sink, not yet connected, and what it was built from.
pub(super) struct BuiltSink {
    /// What the operator said of it.
    pub settings: sink::Settings,
    /// Taken before it was built.
    pub fingerprint: Fingerprint,
    /// It.
    pub sink: Arc<dyn Sink>,
}

/// What a configuration comes to, before anything runs.
pub(super) struct Parts {
    /// What it was built from.
    pub config: Config,
    /// Certificates and keys.
    pub tls: LoadedTls,
    /// The sinks.
    pub sinks: Vec<BuiltSink>,
    /// The SIEM, not yet connected.
    pub target: Option<Arc<Target>>,
}

/// Builds what `draft` describes. `judge` says which certificates will not do. Blocking: reads certificate files.
///
/// # Errors
/// Every fault of the configuration and of the certificates; where there are none, every fault of the rest.
pub(super) fn parts(mut draft: Draft, judge: impl FnOnce(&LoadedTls) -> Vec<TlsFault>) -> Result<Parts, ConfigErrors> {
    let loaded = load_tls(draft.tls());
    let (loaded, found) = match loaded {
        Ok(loaded) => {
            let found = judge(&loaded);
            (Some(loaded), found)
        }
        Err(found) => (None, found),
    };
    let found: Vec<ConfigError> = found.iter().map(|fault| named(draft.tls(), fault)).collect();
    draft.fault(found);
    let mut config = draft.finish()?;
    // Without a fault there are certificates; a draft that names none has one.
    let Some(tls) = loaded else {
        return Err(ConfigErrors(vec![ConfigError::new(CERT_FILE, tls::TlsError::NoCertificate.to_string())]));
    };
    for (i, file) in tls.authorities() {
        config.warnings.push(format!(
            "{}: {} is a CA's own certificate: some clients refuse it as a server's",
            place(&config.tls, Place::Certificate(i)),
            file.display()
        ));
    }
    let mut faults = Vec::new();
    let sinks = sinks(&config).map_err(|found| faults.extend(found)).unwrap_or_default();
    let target = target(&config).map_err(|found| faults.extend(found)).unwrap_or_default();
    if let Err(error) = telemetry::check_filter(&config.log.filter) {
        faults.push(ConfigError::new("log", error.to_string()));
    }
    if faults.is_empty() { Ok(Parts { config, tls, sinks, target }) } else { Err(ConfigErrors(faults)) }
}

/// The sources, each with its scheme. Makes their series.
///
/// # Errors
/// Every fault of every scheme.
pub(super) fn sources(config: &Config, metrics: &Metrics) -> Result<Vec<Arc<Source>>, ConfigErrors> {
    let mut faults = Vec::new();
    let mut sources = Vec::new();
    for source in &config.sources {
        match source.scheme.build() {
            Ok(scheme) => sources.push(Arc::new(Source::new(source.clone(), scheme, &config.sinks, metrics))),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.under(&format!("source {}", source.name)))),
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(ConfigErrors(faults)) }
}

fn sinks(config: &Config) -> Result<Vec<BuiltSink>, Vec<ConfigError>> {
    let mut faults = Vec::new();
    let mut sinks = Vec::new();
    for settings in &config.sinks {
        let fingerprint = Fingerprint::of(settings);
        match sink::build(settings) {
            Ok(sink) => sinks.push(BuiltSink { settings: settings.clone(), fingerprint, sink }),
            Err(found) => faults.extend(found.into_iter().map(|fault| fault.under(&format!("sink {}", settings.name)))),
        }
    }
    if faults.is_empty() { Ok(sinks) } else { Err(faults) }
}

fn target(config: &Config) -> Result<Option<Arc<Target>>, Vec<ConfigError>> {
    let target = config.siem.as_ref().map(Target::new).transpose();
    let target = target.map_err(|faults| faults.into_iter().map(|fault| fault.under("siem")).collect::<Vec<_>>())?;
    Ok(target.map(Arc::new))
}

fn load_tls(settings: &Tls) -> Result<LoadedTls, Vec<TlsFault>> {
    // That none is named is told by whoever read the configuration.
    let files: Vec<CertificatePaths> = settings
        .certificates
        .iter()
        .map(|files| CertificatePaths { cert_file: files.cert_file.clone(), key_file: files.key_file.clone() })
        .collect();
    tls::load(&files, settings.client_ca_file.as_deref(), settings.allow_tls12).map_err(|mut faults| {
        faults.retain(|fault| !matches!(fault.error, tls::TlsError::NoCertificate));
        faults
    })
}

const CERT_FILE: &str = "tls.cert_file (TLS_CERT_FILE)";
const KEY_FILE: &str = "tls.key_file (TLS_KEY_FILE)";

/// The fault, under the key and variable that name its file.
pub(super) fn named(settings: &Tls, fault: &TlsFault) -> ConfigError {
    ConfigError::new(place(settings, fault.place), fault.error.to_string())
}

fn place(settings: &Tls, place: Place) -> String {
    let key = |i: usize, variable: &str, key: &str| match settings.certificates.get(i) {
        Some(files) if files.section != "tls" => format!("{}.{key}", files.section),
        _ => variable.to_owned(),
    };
    match place {
        Place::Certificate(i) => key(i, CERT_FILE, "cert_file"),
        Place::Key(i) => key(i, KEY_FILE, "key_file"),
        Place::ClientAuthorities => "tls.client_ca_file".to_owned(),
        Place::All => CERT_FILE.to_owned(),
    }
}

/// The store, open and written to once.
///
/// # Errors
/// The store's own words.
pub(super) async fn store(config: &Config, metrics: &Arc<Metrics>) -> Result<Store, ConfigError> {
    let open = async {
        let store = store::open(&config.store, Arc::clone(metrics)).await?;
        store.upkeep.probe().await?;
        Ok::<_, store::StoreError>(store)
    };
    open.await.map_err(|error| ConfigError::new("store.url", error.to_string()))
}

/// Everything that `serve` would need, built and let go again. Stricter than a start: a certificate that is not valid
/// now is a fault. Returns the configuration, with its warnings and those about what the store holds.
///
/// # Errors
/// Every fault there is.
pub async fn check(loader: &Loader, clock: &Clock) -> Result<Config, ConfigErrors> {
    let metrics = Arc::new(Metrics::new());
    let Parts { mut config, .. } = parts(loader(), |tls| tls.invalid_at(clock.now()))?;
    let mut faults = sources(&config, &metrics).err().map(|found| found.0).unwrap_or_default();
    match store(&config, &metrics).await {
        Ok(store) => {
            let configured = |name: &Name| config.sinks.iter().any(|sink| sink.name == *name);
            let orphans = orphans::find(store.outbox.as_ref(), configured).await;
            let closed = store.upkeep.close().await;
            match orphans.and_then(|orphans| closed.map(|()| orphans)) {
                Ok(orphans) => {
                    config.warnings.extend(orphans.iter().map(|(name, backlog)| orphans::warning(name, backlog)));
                }
                Err(error) => faults.push(ConfigError::new("store.url", error.to_string())),
            }
        }
        Err(fault) => faults.push(fault),
    }
    if faults.is_empty() { Ok(config) } else { Err(ConfigErrors(faults)) }
}
