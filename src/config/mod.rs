//! Configuration with a meaning: defaults < file < environment, every fault at once. Knows names and sizes only.
//!
//! Plain data: nothing here is connected, bound or built; `app` does that.

mod boot;
mod changes;
mod describe;
mod env;
mod load;
mod outlets;
mod section;
mod sections;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::ingress::SourceSettings;
use crate::secret::Secret;
use crate::server::networks::Networks;
use crate::settings::record::Section;
use crate::{sink, store};

pub use crate::settings::Watched;
pub use load::{Draft, draft, load};

/// Everything the daemon was told.
#[derive(Clone)]
pub struct Config {
    /// `[listener]`
    pub listener: Listener,
    /// `[tls]`
    pub tls: Tls,
    /// `[limits]`
    pub limits: Limits,
    /// `[shutdown]`
    pub shutdown: Shutdown,
    /// `[store]` and `[quarantine]`
    pub store: store::Settings,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[[source]]` and what the environment enables, in that order.
    pub sources: Vec<SourceSettings>,
    /// `[[sink]]` and what the environment adds.
    pub sinks: Vec<sink::Settings>,
    /// `[siem]`
    pub siem: Option<Siem>,
    /// What is allowed but worth a warning at start (shared secrets, http:// to elsewhere, TLS 1.2, `any`).
    pub warnings: Vec<String>,
    /// Every file that was read or is to be read: the configuration, secrets, certificates.
    pub files: Vec<PathBuf>,
    /// Where each secret came from, by its name in [`Config::describe`] (`source.cognigy.secrets[0]`); never its value.
    pub origins: BTreeMap<String, String>,
    /// Every key with its value and origin.
    sections: Arc<[Section]>,
}

/// `[listener]`
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where webhooks arrive.
    pub address: SocketAddr,
    /// Whether every connection must begin with a PROXY header (v1 or v2) from a trusted proxy.
    pub proxy_protocol: bool,
    /// Whose `X-Forwarded-For`, `Forwarded` and PROXY headers are believed.
    pub trusted_proxies: Networks,
    /// Open connections at once.
    pub max_connections: usize,
    /// Open connections at once by client address (IPv6: by /64); not applied to trusted proxies.
    pub max_connections_per_client: usize,
}

/// `[tls]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificates served, the first one to clients that name none or an unknown host.
    pub certificates: Vec<CertificateFiles>,
    /// Whether TLS 1.2 is allowed too.
    pub allow_tls12: bool,
    /// Authorities of client certificates, which are then required.
    pub client_ca_file: Option<PathBuf>,
}

/// A PEM chain and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateFiles {
    /// The section that names them: `tls`, or `tls.certificate[1]`.
    pub section: String,
    /// Chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// `[limits]`
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, bytes, unless a source says otherwise.
    pub body_bytes: usize,
    /// All bodies in flight together, bytes.
    pub body_memory_bytes: usize,
    /// Requests in flight at once.
    pub concurrent_requests: usize,
    /// From accept to handshake done.
    pub handshake_timeout: Duration,
    /// From first byte of a head to its last.
    pub header_timeout: Duration,
    /// From first body byte wanted to last byte read.
    pub body_timeout: Duration,
    /// Nothing in flight on a connection.
    pub idle_timeout: Duration,
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// Not ready any more, still accepting.
    pub drain_delay: Duration,
    /// Then this long to finish.
    pub drain_timeout: Duration,
}

/// `[admin]`
#[derive(Clone)]
pub struct Admin {
    /// Plain HTTP.
    pub address: SocketAddr,
    /// Required as soon as the address is not loopback.
    pub token: Option<Secret>,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// One JSON object a line, or for human eyes.
    pub json: bool,
    /// As in `RUST_LOG`.
    pub filter: String,
}

/// `[siem]`
#[derive(Clone)]
pub struct Siem {
    /// Where audit records are sent with `POST`.
    pub url: String,
    /// `Authorization: Bearer` (or `Splunk`).
    pub token: Option<Secret>,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Which HTTP proxy is between us.
    pub proxies: sink::Proxies,
    /// `json`, `ecs` or `splunk-hec`.
    pub format: SiemFormat,
}

/// What the SIEM reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiemFormat {
    /// The audit record as it is logged.
    #[default]
    Json,
    /// Elastic Common Schema.
    Ecs,
    /// Splunk HTTP Event Collector.
    SplunkHec,
}
