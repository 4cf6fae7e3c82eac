//! Configuration with a meaning: defaults < file < environment, every fault at once. Knows names and sizes only.
//!
//! Plain data: nothing here is connected, bound or built; `app` does that.

mod boot;
mod changes;
mod describe;
mod enabled;
mod env;
mod load;
mod material;
mod section;
mod sections;
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
use crate::scheme::{self, BodyFormat, Preset};
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
    pub sources: Vec<Source>,
    /// `[[sink]]` and what the environment adds.
    pub sinks: Vec<sink::Settings>,
    /// `[siem]`
    pub siem: Option<Siem>,
    /// Every key that was read by its owner, with its value and origin.
    sections: Arc<[Section]>,
    /// What is allowed but worth a warning at start (shared secrets, http:// to elsewhere, TLS 1.2, `any`).
    pub warnings: Vec<String>,
    /// Every file that was read or is to be read: the configuration, secrets, certificates.
    pub files: Vec<PathBuf>,
    /// Where each secret came from, by its name in [`Config::describe`] (`source.cognigy.secrets[0]`); never its value.
    pub origins: BTreeMap<String, String>,
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
