//! Certificate files → rustls's configuration.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, crypto::CryptoProvider, crypto::aws_lc_rs};

use super::error::{Place, TlsError, TlsFault};
use super::pem_files::{self, CertificatePaths, Leaf, Pair};
use super::sni::CertificatesByName;
use crate::server::settings::ClientAuth;

/// Protocols offered by ALPN (RFC 7301), the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What [`load`] makes of the files.
#[derive(Clone, Debug)]
pub struct LoadedTls {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// When the first certificate of the chains expires.
    pub earliest_expiry: Timestamp,
    /// Each chain's first certificate, in the order of the paths.
    leaves: Vec<Leaf>,
    /// Positions of those that are a CA's own certificate.
    authorities: Vec<usize>,
}

impl LoadedTls {
    /// The certificates that no careful sender accepts at `now`: expired, or not valid yet.
    #[must_use]
    pub fn invalid_at(&self, now: Timestamp) -> Vec<TlsFault> {
        let leaves = self.leaves.iter().enumerate();
        leaves.filter_map(|(i, leaf)| Some(Place::Certificate(i).error(leaf.invalid_at(now)?))).collect()
    }

    /// Those of [`LoadedTls::invalid_at`] that are worse than what is `in_use`: they are new, or would replace one that
    /// is valid. Whatever was in use before and is no worse may stay.
    #[must_use]
    pub fn worse_than(&self, in_use: &Self, now: Timestamp) -> Vec<TlsFault> {
        let mut errors = self.invalid_at(now);
        errors.retain(|error| {
            let Place::Certificate(i) = error.place else { return true };
            let now_served = in_use.leaves.get(i);
            let same = now_served.zip(self.leaves.get(i)).is_some_and(|(old, new)| old.der == new.der);
            !same && now_served.is_none_or(|old| old.invalid_at(now).is_none())
        });
        errors
    }

    /// Files whose first certificate is a CA's own, which some clients refuse as a server's, with their positions.
    pub fn authorities(&self) -> impl Iterator<Item = (usize, &Path)> {
        self.authorities.iter().filter_map(|i| Some((*i, self.leaves.get(*i)?.file.as_path())))
    }

    /// Whether other certificates are served than by `other`.
    #[must_use]
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.leaves.iter().map(|leaf| &leaf.der).ne(other.leaves.iter().map(|leaf| &leaf.der))
    }
}

/// Reads the files and builds the configuration. Of several certificates the one whose SAN names the host asked for
/// (exactly, or by a wildcard for one label) is served; the first to clients that name none or an unknown one.
/// With `client_auth`, clients are asked for a certificate from its authorities. `allow_tls12` is an escape hatch.
///
/// Whether the certificates are valid now is another question: [`LoadedTls::invalid_at`]. Blocking: reads files.
///
/// # Errors
/// Every error of every file.
pub fn load(
    certificates: &[CertificatePaths],
    client_auth: Option<&ClientAuth>,
    allow_tls12: bool,
) -> Result<LoadedTls, Vec<TlsFault>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut errors = Vec::new();
    let read = |(i, paths)| pem_files::read_pair(i, paths, &provider, &mut errors);
    let pairs: Vec<Pair> = certificates.iter().enumerate().filter_map(read).collect();
    let authorities = client_auth.map(|clients| {
        let roots = client_authorities(&clients.ca_file).map_err(|error| Place::ClientAuthorities.error(error));
        roots.map_err(|error| errors.push(error)).unwrap_or_else(|()| RootCertStore::empty())
    });
    if certificates.is_empty() {
        errors.push(Place::All.error(TlsError::NoCertificate));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let all = |error: TlsError| vec![Place::All.error(error)];
    let missing = || all(TlsError::NoCertificate);
    let earliest_expiry = pairs.iter().flat_map(|pair| &pair.expiries).min().copied().ok_or_else(missing)?;
    let leaves = pairs.iter().map(|pair| pair.leaf.clone()).collect();
    let is_authority = |(i, pair): (usize, &Pair)| pair.is_authority.then_some(i);
    let own = pairs.iter().enumerate().filter_map(is_authority).collect();
    let resolver = CertificatesByName::new(pairs.into_iter().map(|pair| (pair.names, pair.key))).ok_or_else(missing)?;
    let verifier = authorities.zip(client_auth).map(|(roots, clients)| {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|e| {
            let (file, cause) = (clients.ca_file.clone(), e.to_string());
            vec![Place::ClientAuthorities.error(TlsError::ClientAuthorities { file, cause })]
        })
    });
    let config = configure(&provider, Arc::new(resolver), verifier.transpose()?, allow_tls12).map_err(all)?;
    Ok(LoadedTls { config: Arc::new(config), earliest_expiry, leaves, authorities: own })
}

fn client_authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem_files::read_authorities(file)? {
        let faulty = |e: rustls::Error| TlsError::ClientAuthorities { file: file.to_owned(), cause: e.to_string() };
        roots.add(certificate).map_err(faulty)?;
    }
    Ok(roots)
}

/// Everything but the certificates. The provider is passed, never the process's default: nothing global.
fn configure(
    provider: &Arc<CryptoProvider>,
    resolver: Arc<CertificatesByName>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    allow_tls12: bool,
) -> Result<ServerConfig, TlsError> {
    let versions: &[_] = if allow_tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    // No resumption at all: a ticket key or a session cache would undo forward secrecy, and early data is replayable.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}
