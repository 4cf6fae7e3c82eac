//! Sinks: where events are delivered. The registry of their types; each is a file or folder that knows its own keys.

pub mod address;
pub mod answer;
mod client_certificate;
mod client_settings;
mod cloudevent;
mod deadline;
mod delivery;
mod fingerprint;
mod forward;
mod http;
pub mod http_client;
#[cfg(feature = "nats")]
mod nats;
mod no_proxy;
mod proxy;
mod rate;
mod route;
mod settings;
#[cfg(feature = "sqs")]
mod sqs;
mod structured;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::settings::{ConfigError, Diagnostics, Table};
use settings::{Types, of_type};

pub use client_certificate::ClientCertificate;
pub use client_settings::ClientSettings;
pub(crate) use deadline::within;
pub use delivery::{Attempt, Delivered, Retry, Sink, SinkError};
pub(crate) use fingerprint::Fingerprint;
pub use proxy::{Proxies, proxy_variables};
pub use rate::Rate;
pub use settings::Settings;

const TYPES: &Types = &[
    ("http", Some(of_type::<http::Settings>)),
    #[cfg(feature = "nats")]
    ("nats", Some(of_type::<nats::Settings>)),
    #[cfg(not(feature = "nats"))]
    ("nats", None),
    #[cfg(feature = "sqs")]
    ("sqs", Some(of_type::<sqs::Settings>)),
    #[cfg(not(feature = "sqs"))]
    ("sqs", None),
];

/// The types that are built in.
pub(crate) fn types() -> Vec<&'static str> {
    TYPES.iter().filter(|(_, read)| read.is_some()).map(|(name, _)| *name).collect()
}

/// Reads every `[[sink]]` of the file and adds what the environment adds, those with errors included: sources may
/// name them.
pub(crate) fn read(file: &mut Table, diagnostics: &mut Diagnostics) -> Vec<Settings> {
    let mut sinks = Vec::new();
    for table in file.tables("sink", diagnostics) {
        let sink = Settings::read(table, None, TYPES, &sinks, diagnostics);
        sinks.push(sink);
    }
    forward::add(&mut sinks, TYPES, diagnostics);
    sinks
}

/// Asks for every key of every type, so that they are recorded.
pub(crate) fn declare(diagnostics: &mut Diagnostics) {
    for (name, _) in TYPES.iter().filter(|(_, read)| read.is_some()) {
        let of_type = toml::Table::from_iter([("type".to_owned(), toml::Value::from(*name))]);
        Settings::read(Table::new("[[sink]]", "sink[0]", of_type), None, TYPES, &[], diagnostics);
    }
}

/// An http sink that nobody configured: events go to `url`, as in binary mode and with no secret, by the proxies that the
/// variables `vars` name. Beside it what is to be said about the address.
///
/// # Errors
/// What is wrong with the address, in words that do not repeat it.
pub fn at(url: &str, vars: &BTreeMap<String, String>) -> Result<(Arc<dyn Sink>, Vec<String>), String> {
    let keys = [("name", "to"), ("type", "http"), ("url", url)];
    let table = keys.into_iter().map(|(key, value)| (key.to_owned(), toml::Value::from(value))).collect();
    let mut diagnostics = Diagnostics::new(vars);
    let settings = Settings::read(Table::new("[[sink]]", "--to", table), None, TYPES, &[], &mut diagnostics);
    let told = |error: &ConfigError| error.problem.clone();
    if !diagnostics.errors.is_empty() {
        return Err(diagnostics.errors.iter().map(told).collect::<Vec<_>>().join("; "));
    }
    let sink = settings.build().map_err(|errors| errors.iter().map(told).collect::<Vec<_>>().join("; "))?;
    Ok((sink, diagnostics.warnings))
}

/// Builds the sink that `settings` describe. Does not connect: a sink that is down must not keep the daemon down.
///
/// # Errors
/// Each with its key relative to the sink (`url`, `secret` …).
pub fn build(settings: &Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
    settings.build()
}
