//! Sinks: where events are delivered. The trait, what a sink is built from, and the registry.

pub mod address;
pub mod answer;
mod cloudevent;
mod deadline;
mod http;
pub mod http_client;
#[cfg(feature = "nats")]
mod nats;
pub mod proxy;
mod route;
#[cfg(feature = "sqs")]
mod sqs;
#[cfg(feature = "sqs")]
mod structured;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::event::{Event, Name};
use crate::secret::Secret;
use crate::settings::ConfigError;

pub(crate) use self::deadline::within;
pub use self::proxy::{Proxies, Proxy};

/// Somewhere that events are delivered to.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Delivers `event` once. Returns when the other side has taken it, and whether it had it already.
    async fn deliver(&self, event: &Event, attempt: Attempt) -> Result<Delivered, SinkError>;
}

/// Which attempt at a delivery this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Counts from 1, anew with each replay.
    pub number: u32,
    /// How often an operator had it delivered again. A sink that removes duplicates must not remove that.
    pub replay: u32,
}

/// What became of an event that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivered {
    /// It is there, as far as the other side tells.
    New,
    /// The other side had it already and dropped this one.
    Duplicate,
}

/// Why a delivery failed and whether another attempt makes sense.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What happened, in words, without credentials.
    pub message: String,
    /// Whether and when to try again.
    pub retry: Retry,
}

/// Whether and when to try a delivery again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// With the usual backoff.
    Backoff,
    /// The other side said how long to wait.
    After(Duration),
    /// Never: the answer is final.
    Never,
}

/// What a sink is built from. Keys are those of the file.
#[derive(Clone)]
pub struct Settings {
    /// Unique name.
    pub name: Name,
    /// `http`, `nats` or `sqs`.
    pub kind: String,
    /// Where to.
    pub url: String,
    /// Standard Webhooks secret that signs what we send (http).
    pub secret: Option<Secret>,
    /// Bearer token, credentials or the like, by kind.
    pub token: Option<Secret>,
    /// NATS subject or SQS message group, by kind; may be absent.
    pub subject: Option<String>,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<std::path::PathBuf>,
    /// Which HTTP proxy is between us (http, sqs).
    pub proxies: Proxies,
    /// One attempt takes at most this long.
    pub timeout: Duration,
    /// Deliveries under way at once.
    pub concurrency: usize,
    /// Attempts before a delivery is dead.
    pub max_attempts: u32,
    /// Age at which a delivery is dead.
    pub max_age: Duration,
    /// Event types taken, exact or `prefix*`; empty takes all.
    pub event_types: Vec<String>,
}

impl Settings {
    /// Whether this sink takes events of type `kind`.
    #[must_use]
    pub fn takes(&self, kind: &str) -> bool {
        self.event_types.is_empty()
            || self.event_types.iter().any(|filter| match filter.strip_suffix('*') {
                Some(prefix) => kind.starts_with(prefix),
                None => kind == filter,
            })
    }

    /// The HTTP proxy on the way to `url`. None for `nats`, which goes through none.
    #[must_use]
    pub fn proxy(&self) -> Option<Proxy> {
        if self.kind == "nats" { None } else { self.proxies.to(&self.url.parse().ok()?) }
    }

    /// The HTTP proxy that a `nats` sink would go through if it were a web server; worth a warning.
    #[must_use]
    pub fn ignored_proxy(&self) -> Option<Proxy> {
        let server = self.url.split(',').next().filter(|_| self.kind == "nats")?;
        let (_, place) = server.rsplit_once('@').or_else(|| server.split_once("://"))?;
        self.proxies.to(&format!("https://{place}").parse().ok()?)
    }
}

/// Builds the sink that `settings` describe. Does not connect: a sink that is down must not keep the daemon down.
///
/// # Errors
/// Every fault, each with its key relative to the sink (`url`, `secret` …).
pub fn build(settings: &Settings) -> Result<Arc<dyn Sink>, Vec<ConfigError>> {
    match settings.kind.as_str() {
        "http" => Ok(Arc::new(http::Http::new(settings, Clock::system())?)),
        #[cfg(feature = "nats")]
        "nats" => Ok(Arc::new(nats::Nats::new(settings)?)),
        #[cfg(feature = "sqs")]
        "sqs" => Ok(Arc::new(sqs::Sqs::new(settings, &|name| std::env::var(name).ok(), Clock::system())?)),
        #[cfg(not(feature = "nats"))]
        "nats" => Err(vec![ConfigError::new("type", "this gatepost was built without the feature `nats`")]),
        #[cfg(not(feature = "sqs"))]
        "sqs" => Err(vec![ConfigError::new("type", "this gatepost was built without the feature `sqs`")]),
        other => {
            Err(vec![ConfigError::new("type", format!("unknown sink type {other:?}: expected http, nats or sqs"))])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn settings(kind: &str, url: &str) -> Settings {
        Settings {
            name: "orders".into(),
            kind: kind.into(),
            url: url.into(),
            secret: None,
            token: None,
            subject: None,
            ca_file: None,
            proxies: Proxies::default(),
            timeout: Duration::from_secs(10),
            concurrency: 16,
            max_attempts: 12,
            max_age: Duration::from_hours(72),
            event_types: Vec::new(),
        }
    }

    #[test]
    fn filters_are_exact_or_prefixes() {
        let mut settings = settings("http", "http://a/");
        assert!(settings.takes("anything") && settings.takes(""));
        settings.event_types = vec!["order.created".into(), "user.*".into()];
        assert!(settings.takes("order.created") && settings.takes("user.") && settings.takes("user.deleted"));
        assert!(!settings.takes("order.created.x") && !settings.takes("user") && !settings.takes("a.user.b"));
        settings.event_types = vec!["*".into()];
        assert!(settings.takes(""));
    }

    #[test]
    fn an_unknown_type_is_named() {
        assert_eq!(build(&settings("kafka", "x")).err().unwrap()[0].at, "type");
        assert!(build(&settings("http", "http://127.0.0.1:1/")).is_ok());
    }
}
