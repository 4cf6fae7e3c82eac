//! The configuration as everybody gets it: what only a restart changes, and what a reload does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::settings::Access;
use crate::audit::Siem;
use crate::ingress::{Limits, SourceSettings};
use crate::lifecycle::Shutdown;
use crate::otlp;
use crate::server::{CertificateFiles, Connections, Deadlines, Listener, Tls};
use crate::settings::record::Section;
use crate::sink;
use crate::store::{self, QuarantineBounds};
use crate::telemetry::Format;

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
    /// Every key with its value and origin.
    pub(super) sections: Arc<[Section]>,
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
    /// Of `[admin]`.
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
    /// Of `[admin]` and `[[admin.access]]`: whom the admin listener lets in.
    pub admin_access: Access,
    /// Of `[admin]`: its certificate, where it speaks TLS.
    pub admin_certificate: Option<CertificateFiles>,
    /// Of `[log]`: as in `RUST_LOG`.
    pub log_filter: String,
    /// `[[source]]` and what the environment enables, in that order.
    pub sources: Vec<SourceSettings>,
    /// `[[sink]]` and what the environment adds.
    pub sinks: Vec<sink::Settings>,
    /// `[telemetry]`
    pub telemetry: Option<otlp::Settings>,
    /// `[siem]`
    pub siem: Option<Siem>,
    /// The variables that name proxies, for addresses that operators give; may hold passwords.
    pub proxy_variables: BTreeMap<String, String>,
}

impl Config {
    /// Every key with its value and origin.
    pub(crate) fn sections(&self) -> &Arc<[Section]> {
        &self.sections
    }

    /// What the store is opened with.
    #[must_use]
    pub fn store(&self) -> store::Settings {
        let Boot { store_url, retention, .. } = &self.boot;
        store::Settings { url: store_url.clone(), retention: *retention, quarantine: self.live.quarantine }
    }
}
