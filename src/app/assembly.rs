//! From configuration to parts: what `check`, start and reload all build the same way.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::audit::Target;
use crate::config::{Config, Draft};
use crate::ingress::Source;
use crate::metrics::Metrics;
use crate::otlp;
use crate::server::tls::{self, CertificatePaths, LoadedTls, Place, TlsFault};
use crate::server::{CertificateFiles, Tls};
use crate::settings::{ConfigError, ConfigErrors};
use crate::sink::{self, Fingerprint, Sink};
use crate::store::{self, Store};
use crate::telemetry;

/// Reads the configuration, at start and on every reload. Blocking.
pub type Loader = Arc<dyn Fn() -> Draft + Send + Sync>;

/// A sink, not yet connected, and what it was built from.
pub(super) struct BuiltSink {
    pub settings: sink::Settings,
    /// Taken before it was built.
    pub fingerprint: Fingerprint,
    pub sink: Arc<dyn Sink>,
}

/// What a configuration comes to, before anything runs.
pub(super) struct Parts {
    pub config: Config,
    pub tls: LoadedTls,
    /// The admin listener's, where it speaks TLS.
    pub admin_tls: Option<Arc<ServerConfig>>,
    pub sinks: Vec<BuiltSink>,
    /// The SIEM, not yet connected.
    pub target: Option<Arc<Target>>,
    /// Where spans go, not yet connected.
    pub traces: Option<Arc<otlp::Target>>,
}

/// Builds what `draft` describes. `unfit` says what is wrong with certificates that could be read. Blocking: reads
/// certificate files.
///
/// # Errors
/// Every error of the configuration and of the certificates; where there are none, every error of the rest.
pub(super) fn parts(mut draft: Draft, unfit: impl FnOnce(&LoadedTls) -> Vec<TlsFault>) -> Result<Parts, ConfigErrors> {
    let (loaded, tls_errors) = match load_tls(draft.tls()) {
        Ok(loaded) => {
            let errors = unfit(&loaded);
            (Some(loaded), errors)
        }
        Err(errors) => (None, errors),
    };
    let (admin_tls, admin_errors) = match draft.admin_certificate().map(load_admin_tls).transpose() {
        Ok(loaded) => (loaded, Vec::new()),
        Err(errors) => (None, errors),
    };
    draft.errors(admin_errors);
    let tls_errors: Vec<ConfigError> = tls_errors.iter().map(|error| error.among(draft.tls())).collect();
    draft.errors(tls_errors);
    let mut config = draft.finish()?;
    // Without an error there are certificates; a draft that names none has one.
    let Some(tls) = loaded else {
        let none = Place::All.error(tls::TlsError::NoCertificate);
        return Err(ConfigErrors(vec![none.among(&config.live.tls)]));
    };
    for (i, file) in tls.authorities() {
        config.warnings.push(format!(
            "{}: {} is a CA's own certificate: some clients refuse it as a server's",
            Place::Certificate(i).key(&config.live.tls),
            file.display()
        ));
    }
    let mut errors = Vec::new();
    let sinks = sinks(&config).map_err(|found| errors.extend(found)).unwrap_or_default();
    let target = target(&config).map_err(|found| errors.extend(found)).unwrap_or_default();
    let traces = traces(&config).map_err(|error| errors.push(error)).unwrap_or_default();
    if let Err(error) = telemetry::check_filter(&config.live.log_filter) {
        errors.push(ConfigError::new("log", error.to_string()));
    }
    if errors.is_empty() {
        Ok(Parts { config, tls, admin_tls, sinks, target, traces })
    } else {
        Err(ConfigErrors(errors))
    }
}

/// The sources, each with its scheme. Makes their series.
///
/// # Errors
/// Every error of every scheme.
pub(super) fn sources(config: &Config, metrics: &Metrics) -> Result<Vec<Arc<Source>>, ConfigErrors> {
    let mut errors = Vec::new();
    let mut sources = Vec::new();
    for source in &config.live.sources {
        match source.scheme.build() {
            Ok(scheme) => sources.push(Arc::new(Source::new(source.clone(), scheme, &config.live.sinks, metrics))),
            Err(found) => errors.extend(found.into_iter().map(|error| error.under(&format!("source {}", source.name)))),
        }
    }
    if errors.is_empty() { Ok(sources) } else { Err(ConfigErrors(errors)) }
}

fn sinks(config: &Config) -> Result<Vec<BuiltSink>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut sinks = Vec::new();
    for settings in &config.live.sinks {
        let fingerprint = settings.fingerprint();
        match sink::build(settings) {
            Ok(sink) => sinks.push(BuiltSink { settings: settings.clone(), fingerprint, sink }),
            Err(found) => errors.extend(found.into_iter().map(|error| error.under(&format!("sink {}", settings.name)))),
        }
    }
    if errors.is_empty() { Ok(sinks) } else { Err(errors) }
}

fn target(config: &Config) -> Result<Option<Arc<Target>>, Vec<ConfigError>> {
    let target = config.live.siem.as_ref().map(Target::new).transpose();
    let under = |errors: Vec<ConfigError>| errors.into_iter().map(|error| error.under("siem")).collect::<Vec<_>>();
    Ok(target.map_err(under)?.map(Arc::new))
}

fn traces(config: &Config) -> Result<Option<Arc<otlp::Target>>, ConfigError> {
    let target = config.live.telemetry.as_ref().map(otlp::Target::new).transpose();
    Ok(target.map_err(|error| error.under("telemetry"))?.map(Arc::new))
}

fn load_tls(settings: &Tls) -> Result<LoadedTls, Vec<TlsFault>> {
    // Whoever read the configuration reports that none is named.
    let files: Vec<CertificatePaths> = settings
        .certificates
        .iter()
        .map(|files| CertificatePaths { cert_file: files.cert_file.clone(), key_file: files.key_file.clone() })
        .collect();
    tls::load(&files, settings.client_auth.as_ref(), settings.allow_tls12).map_err(|mut errors| {
        errors.retain(|error| !matches!(error.error, tls::TlsError::NoCertificate));
        errors
    })
}

/// What the admin listener serves TLS with: HTTP/1.1 alone.
fn load_admin_tls(files: &CertificateFiles) -> Result<Arc<ServerConfig>, Vec<ConfigError>> {
    let paths = CertificatePaths { cert_file: files.cert_file.clone(), key_file: files.key_file.clone() };
    let told = |errors: Vec<TlsFault>| {
        let among = Tls { certificates: vec![files.clone()], allow_tls12: false, client_auth: None };
        errors.iter().map(|error| error.among(&among)).collect::<Vec<_>>()
    };
    let loaded = tls::load(&[paths], None, false).map_err(told)?;
    let mut config = ServerConfig::clone(&loaded.config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The store, open and written to once.
///
/// # Errors
/// The store's own words.
pub(super) async fn store(config: &Config, metrics: &Arc<Metrics>) -> Result<Store, ConfigError> {
    let open = async {
        let store = store::open(&config.store(), Arc::clone(metrics)).await?;
        store.maintenance.probe().await?;
        Ok::<_, store::StoreError>(store)
    };
    open.await.map_err(|error| ConfigError::new("store.url", error.to_string()))
}
