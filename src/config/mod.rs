//! Configuration with a meaning: defaults < file < environment, every fault at once. Knows names and sizes only.
//!
//! Plain data: nothing here is connected, bound or built; `app` does that.

mod boot;
mod changes;
mod declared;
mod describe;
mod enabled;
mod env;
mod leftover;
mod load;
mod material;
mod section;
mod source;
mod sources;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Siem;
use crate::event::Name;
use crate::ingress::Limits;
use crate::lifecycle::Shutdown;
use crate::scheme::{self, BodyFormat, Preset};
use crate::secret::Secret;
use crate::server::networks::Networks;
use crate::server::{Connections, Deadlines, Listener, Tls};
use crate::settings::record::Section;
use crate::sink;
use crate::store::{self, QuarantineBounds};
use crate::telemetry::Format;

pub use crate::settings::Watched;
pub(crate) use declared::document;
pub use load::{Draft, draft, load};

/// Everything the daemon was told.
#[derive(Clone)]
pub struct Config {
    /// What only a restart changes.
    pub boot: Boot,
    /// What a reload changes, all of it.
    pub live: Live,
    /// What is allowed but worth a warning (shared secrets, http:// to elsewhere, TLS 1.2, `any`).
    pub warnings: Vec<String>,
    /// Every file that was read or is to be read: the configuration, secrets, certificates.
    pub files: Vec<PathBuf>,
    /// Where each secret came from, by its name in [`Config::describe`] (`source.cognigy.secrets[0]`); never its value.
    pub origins: BTreeMap<String, String>,
    /// Every key with its value and origin.
    sections: Arc<[Section]>,
}

/// What only a restart changes: sockets that are bound, the store that is open, the form of the log.
#[derive(Clone)]
pub struct Boot {
    /// Of `[listener]`.
    pub listener: Listener,
    /// Of `[store]`: may hold a password, never logged.
    pub store_url: String,
    /// Of `[store]`: how long ids are remembered and delivered events kept.
    pub retention: Duration,
    /// Of `[admin]`: plain HTTP.
    pub admin_address: SocketAddr,
    /// Of `[log]`.
    pub log_format: Format,
}

/// What a reload changes.
#[derive(Clone)]
pub struct Live {
    /// Of `[listener]`.
    pub connections: Connections,
    /// `[tls]`
    pub tls: Tls,
    /// `[limits]`: of requests.
    pub limits: Limits,
    /// `[limits]`: of connections.
    pub deadlines: Deadlines,
    /// `[shutdown]`
    pub shutdown: Shutdown,
    /// `[quarantine]`
    pub quarantine: QuarantineBounds,
    /// Of `[admin]`: required as soon as its address is not loopback.
    pub admin_token: Option<Secret>,
    /// Of `[log]`: as in `RUST_LOG`.
    pub log_filter: String,
    /// `[[source]]` and what the environment enables, in that order.
    pub sources: Vec<Source>,
    /// `[[sink]]` and what the environment adds.
    pub sinks: Vec<sink::Settings>,
    /// `[siem]`
    pub siem: Option<Siem>,
}

impl Config {
    /// What the store is opened with.
    #[must_use]
    pub fn store(&self) -> store::Settings {
        let Boot { store_url, retention, .. } = &self.boot;
        store::Settings { url: store_url.clone(), retention: *retention, quarantine: self.live.quarantine }
    }
}

/// One `[[source]]`.
#[derive(Clone)]
pub struct Source {
    /// Unique; `[a-z0-9-]`, at most 40.
    pub name: Name,
    /// What its defaults came from.
    pub preset: &'static Preset,
    /// Matched byte for byte.
    pub path: String,
    /// Who may send.
    pub allowed_ips: Networks,
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// The window, both directions.
    pub max_drift: Duration,
    /// Where the event id comes from.
    pub event_id: IdRule,
    /// Where the event type comes from.
    pub event_type: TypeRule,
    /// JSON pointers that must hold something: not absent, not null, not an empty string.
    pub required_fields: Vec<String>,
    /// Media types taken, lower case, without parameters.
    pub content_types: Vec<String>,
    /// Whether the body must be a JSON object.
    pub body_format: BodyFormat,
    /// 401 or 410.
    pub stale_status: u16,
    /// Names of the sinks its events go to, all of which exist.
    pub sinks: Vec<Name>,
    /// What verifies it.
    pub scheme: scheme::Settings,
    /// The sources that believe the same signatures of the same bodies, so that one body counts once among them. They
    /// name no twins of their own here.
    pub twins: Arc<[Source]>,
}

/// Where an event id comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IdRule {
    /// RFC 6901 pointer into the body, falling back to the digest where absent.
    Pointer(String),
    /// A header that the signature covers, lower case.
    Header(String),
    /// SHA-256 of the body.
    Digest,
}

/// Where an event type comes from; the preset's name where it finds nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// RFC 6901 pointer into the body.
    Pointer(String),
    /// A header, lower case.
    Header(String),
    /// Always this.
    Literal(String),
}
