//! What an HTTP client is told besides its URL: whom to trust, and which proxy is on the way. For http and sqs sinks and
//! the SIEM.

use std::path::PathBuf;

use super::address::Endpoint;
use super::fingerprint::Parts;
use super::proxy::Proxies;
use crate::settings::kind::path;
use crate::settings::{Diagnostics, Example, Table, key};

/// Keys `ca_file` and `proxy`.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Which HTTP proxy is on the way.
    pub proxies: Proxies,
}

impl ClientSettings {
    /// Reads both keys for a client of `url`, where that is known. The variables for proxies are read only where there
    /// is to be a client, as `used` says.
    pub(crate) fn read(url: Option<&Endpoint>, used: bool, table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        Self { ca_file: ca_file(table, diagnostics), proxies: Proxies::read(url, used, table, diagnostics) }
    }

    /// Warns where nothing on the way to `url` speaks TLS, so that nobody asks `ca_file` whom to trust.
    pub(crate) fn warn_if_unused(&self, url: &Endpoint, table: &Table, diagnostics: &mut Diagnostics) {
        if self.ca_file.is_some() && !self.proxies.tls_on_the_way(url.uri()) {
            let at = table.place("ca_file");
            diagnostics
                .warn(format!("{at}: is not used, because the URL begins with http://: use https://, or remove it"));
        }
    }

    /// What of it counts for whoever is built with it.
    pub(super) fn add_to(&self, parts: &mut Parts) {
        let Self { ca_file, proxies } = self;
        parts.file(ca_file.as_deref());
        parts.maybe(proxies.fingerprint());
    }
}

/// Reads key `ca_file`, whose file is watched from now on.
pub(crate) fn ca_file(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    let doc = "PEM file of the authorities to trust instead of the system's.";
    let file = key("ca_file", doc, path())
        .example(Example::Off("\"/run/tls/internal-ca.pem\""))
        .maybe(table, diagnostics)
        .value();
    diagnostics.files.extend(file.clone());
    file
}
