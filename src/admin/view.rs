//! What the page and its API know of the configuration in use; exchanged as a whole by a reload.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::access::Credentials;
use super::settings::Access;
use crate::ingress::SourceSettings;
use crate::server::networks::Networks;
use crate::settings::record::Section;
use crate::sink;

/// See the head of this file.
pub(crate) struct View {
    /// Where the listener is configured to be.
    pub(crate) address: SocketAddr,
    /// Whom it lets in.
    pub(crate) credentials: Credentials,
    /// Whether it speaks TLS itself.
    pub(crate) tls: bool,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub(crate) trusted: Networks,
    /// Of the configuration.
    pub(crate) sources: Vec<SourceSettings>,
    /// Of the configuration.
    pub(crate) sinks: Vec<sink::Settings>,
    /// The variables that name proxies, for addresses that operators give.
    pub(crate) proxy_variables: BTreeMap<String, String>,
    /// Whether records go to a SIEM.
    pub(crate) siem: bool,
    /// Every key with its value and origin.
    pub(crate) sections: Arc<[Section]>,
    /// What is allowed but worth a warning.
    pub(crate) warnings: Vec<String>,
}

impl View {
    /// The credentials of `access`.
    pub(crate) fn credentials(access: &Access) -> Credentials {
        Credentials::new(access)
    }

    /// The source called `name`.
    pub(super) fn source(&self, name: &str) -> Option<&SourceSettings> {
        self.sources.iter().find(|source| source.name.as_str() == name)
    }

    /// Whether a sink is called `name`.
    pub(super) fn has_sink(&self, name: &str) -> bool {
        self.sinks.iter().any(|sink| sink.name.as_str() == name)
    }
}
