//! Reads the configuration: file and environment in, a `Config` or every error out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::declared::{self, document};
use super::{Boot, Config, Live};
use crate::audit::Siem;
use crate::event::Name;
use crate::file::read_regular;
use crate::ingress::Limits;
use crate::ingress::settings::{self as sources, Surroundings};
use crate::lifecycle::Shutdown;
use crate::server::{self, CertificateFiles, Connections, Deadlines, Listener, Tls};
use crate::settings::{ConfigError, ConfigErrors, Diagnostics, Table, Watched, report_unknown};
use crate::store::{self, QuarantineBounds};
use crate::{admin, otlp, sink, telemetry};

/// The largest configuration that is taken.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A configuration as it was read, whatever is wrong with it: what else is wrong can be told with it.
pub struct Draft {
    config: Config,
    errors: Vec<ConfigError>,
    watched: Watched,
}

impl Draft {
    /// The certificates it names; none where that cannot be told.
    #[must_use]
    pub const fn tls(&self) -> &Tls {
        &self.config.live.tls
    }

    /// The certificate of the admin listener, where it names one.
    #[must_use]
    pub const fn admin_certificate(&self) -> Option<&CertificateFiles> {
        self.config.live.admin_certificate.as_ref()
    }

    /// The files it was read from, also of one that cannot be used: the mistake may be mended in any of them.
    #[must_use]
    pub const fn watched(&self) -> &Watched {
        &self.watched
    }

    /// The same, which lets go of everything at once when it is to stop: nobody stands in front who had to notice first.
    #[must_use]
    pub fn without_drain(mut self) -> Self {
        self.config.live.shutdown = Shutdown { drain_delay: Duration::ZERO, drain_timeout: Duration::from_secs(1) };
        self
    }

    /// Records what somebody else found wrong.
    pub fn errors(&mut self, errors: impl IntoIterator<Item = ConfigError>) {
        self.errors.extend(errors);
    }

    /// The configuration, where nothing is wrong.
    ///
    /// # Errors
    /// Every error there is, each with its key, variable or file.
    pub fn finish(self) -> Result<Config, ConfigErrors> {
        let errors = unique(self.errors);
        if errors.is_empty() { Ok(self.config) } else { Err(ConfigErrors(errors)) }
    }
}

/// Reads the configuration from `file`, where there is one, and `vars` (the environment, as a parameter).
///
/// Built-in default < file < environment. Secrets are read from their files; certificates are only named.
///
/// # Errors
/// Every error there is, each with its key, variable or file. A file that is not TOML is one error.
pub fn load(file: Option<&Path>, vars: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    draft(file, vars).finish()
}

/// Reads the configuration as [`load`] does, for whoever has more to say about it.
#[must_use]
pub fn draft(file: Option<&Path>, vars: &BTreeMap<String, String>) -> Draft {
    let mut diagnostics = Diagnostics::new(vars);
    let table = file.map_or_else(toml::Table::new, |path| {
        diagnostics.files.insert(path.to_owned());
        read(path).unwrap_or_else(|error| {
            diagnostics.errors.push(error);
            toml::Table::new()
        })
    });
    // What the file does not say cannot be missed when the file cannot be read.
    let readable = diagnostics.errors.is_empty();
    let mut config = assemble(table, vars, &mut diagnostics);
    if !readable {
        diagnostics.errors.truncate(1);
        config.live.tls.certificates.clear();
        config.live.tls.client_auth = None;
    }
    Draft { config, errors: diagnostics.errors, watched: diagnostics.files }
}

fn assemble(values: toml::Table, vars: &BTreeMap<String, String>, diagnostics: &mut Diagnostics) -> Config {
    let mut root = Table::new("", "", values);
    let (listener, connections) = section(&mut root, "listener", diagnostics, server::settings::read_listener);
    let tls = section(&mut root, "tls", diagnostics, Tls::read);
    let (limits, deadlines) = section(&mut root, "limits", diagnostics, |table, diagnostics| {
        (Limits::read(table, diagnostics), Deadlines::read(table, diagnostics))
    });
    let shutdown = section(&mut root, "shutdown", diagnostics, Shutdown::read);
    let (store_url, retention) = section(&mut root, "store", diagnostics, store::settings::read);
    let quarantine = section(&mut root, "quarantine", diagnostics, QuarantineBounds::read);
    let admin = section(&mut root, "admin", diagnostics, admin::settings::read);
    let admin_address = admin.address;
    let (log_format, log_filter) = section(&mut root, "log", diagnostics, telemetry::settings::read);
    let sinks = sink::read(&mut root, diagnostics);
    let telemetry = otlp::Settings::read(&mut root, diagnostics);
    let siem = Siem::read(&mut root, diagnostics);
    let names: Vec<Name> = sinks.iter().map(|sink| sink.name.clone()).collect();
    let always = sinks.iter().find(|sink| sink.everywhere).map(|sink| &sink.name);
    let Limits { body_bytes, body_memory_bytes, .. } = limits;
    let no_certificates = no_certificates(&listener, &connections, &tls, diagnostics);
    let among = Surroundings { sinks: &names, always, body_bytes, body_memory_bytes, no_certificates };
    let sources = sources::read(&mut root, &among, diagnostics);
    declared::alone(&mut root, diagnostics);
    root.finish(diagnostics);
    if admin_address == listener.address && listener.address.port() != 0 {
        diagnostics.error("admin.address", format!("{admin_address} is the address of [listener] already"));
    }
    let referenced = diagnostics.referenced.clone();
    report_unknown(vars, &document().variables(), &referenced, diagnostics);
    diagnostics.close();
    Config {
        boot: Boot { listener, store_url, retention, admin_address, log_format },
        live: Live {
            connections,
            tls,
            limits,
            deadlines,
            shutdown,
            quarantine,
            admin_access: admin.access,
            admin_certificate: admin.certificate,
            log_filter,
            sources,
            sinks,
            telemetry,
            siem,
            proxy_variables: sink::proxy_variables(vars),
        },
        warnings: std::mem::take(&mut diagnostics.warnings),
        files: diagnostics.files.paths().cloned().collect(),
        sections: std::mem::take(&mut diagnostics.sections).into(),
    }
}

/// Why no client certificate is seen, where that is so.
fn no_certificates(
    listener: &Listener,
    connections: &Connections,
    tls: &Tls,
    diagnostics: &Diagnostics,
) -> Option<&'static str> {
    // What is wrong with the section is told, and nothing follows from it.
    if tls.client_auth.is_none() && !diagnostics.is_faulty("tls.client") {
        return Some("needs tls.client_ca_file: without authorities nobody is asked for a certificate");
    }
    (!listener.proxy_protocol && !connections.trusted_proxies.is_empty()).then_some(
        "cannot be seen behind listener.trusted_proxies, where the sender's TLS ends at the proxy: have the proxy pass TLS \
         through with listener.proxy_protocol = \"required\", or take the proxies away",
    )
}

/// Hands the section `key` to its owner.
fn section<T>(
    root: &mut Table,
    key: &'static str,
    diagnostics: &mut Diagnostics,
    read: impl FnOnce(&mut Table, &mut Diagnostics) -> T,
) -> T {
    let mut table = root.table(key, diagnostics);
    let value = read(&mut table, diagnostics);
    table.finish(diagnostics);
    value
}

/// Reads the file as TOML. The text is never repeated in an error: a secret may stand on the faulty line.
fn read(path: &Path) -> Result<toml::Table, ConfigError> {
    let place = path.display().to_string();
    let bytes =
        read_regular(path, MAX_FILE).map_err(|error| ConfigError::new(&place, format!("cannot read it: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::new(&place, "expected TOML in UTF-8"))?;
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map(|span| text[..span.start].lines().count().max(1));
        let at = line.map_or(place.clone(), |line| format!("{place}:{line}"));
        ConfigError::new(at, format!("expected TOML: {}", error.message()))
    })
}

/// The errors in their order, none twice.
fn unique(errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let mut kept: Vec<ConfigError> = Vec::with_capacity(errors.len());
    for error in errors {
        if !kept.contains(&error) {
            kept.push(error);
        }
    }
    kept
}
