//! The TLS configuration, made from certificate files: TLS 1.3, no tickets, no early data, h2 and http/1.1.
//!
//! Pure construction: swapping it under a running listener is [`arc_swap`]'s part, watching files is `app`'s.

mod error;
mod files;
mod names;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, crypto::CryptoProvider, crypto::aws_lc_rs, sign::CertifiedKey};

use names::ByName;

pub use error::{Place, TlsError, TlsFault};

/// Protocols offered by ALPN (RFC 7301), the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A PEM chain, leaf first, and its private key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificatePaths {
    /// Chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key (PKCS#8, PKCS#1 or SEC 1), not encrypted.
    pub key_file: PathBuf,
}

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

/// The first certificate of a chain.
#[derive(Clone, Debug)]
struct Leaf {
    file: PathBuf,
    der: CertificateDer<'static>,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Leaf {
    fn invalid_at(&self, now: Timestamp) -> Option<TlsError> {
        let file = || self.file.clone();
        if now >= self.not_after {
            return Some(TlsError::Expired { file: file(), at: self.not_after });
        }
        (now < self.not_before).then(|| TlsError::NotYetValid { file: file(), at: self.not_before })
    }
}

impl LoadedTls {
    /// The certificates that no careful sender accepts at `now`: expired, or not valid yet.
    #[must_use]
    pub fn invalid_at(&self, now: Timestamp) -> Vec<TlsFault> {
        let leaves = self.leaves.iter().enumerate();
        leaves.filter_map(|(i, leaf)| Some(Place::Certificate(i).fault(leaf.invalid_at(now)?))).collect()
    }

    /// Those of [`LoadedTls::invalid_at`] that are worse than what is `in_use`: they are new, or would replace one that
    /// is valid. Whatever was in use before and is no worse may stay.
    #[must_use]
    pub fn worse_than(&self, in_use: &Self, now: Timestamp) -> Vec<TlsFault> {
        let mut faults = self.invalid_at(now);
        faults.retain(|fault| {
            let Place::Certificate(i) = fault.place else { return true };
            let now_served = in_use.leaves.get(i);
            let same = now_served.zip(self.leaves.get(i)).is_some_and(|(old, new)| old.der == new.der);
            !same && now_served.is_none_or(|old| old.invalid_at(now).is_none())
        });
        faults
    }

    /// Files whose first certificate is a CA's own, which some clients refuse as a server's, with their positions.
    pub fn authorities(&self) -> impl Iterator<Item = (usize, &Path)> {
        self.authorities.iter().filter_map(|i| Some((*i, self.leaves.get(*i)?.file.as_path())))
    }

    /// Whether other certificates are served than by `other`.
    #[must_use]
    pub fn differs_from(&self, other: &Self) -> bool {
        self.leaves.iter().map(|leaf| &leaf.der).ne(other.leaves.iter().map(|leaf| &leaf.der))
    }
}

/// Reads the files and builds the configuration. Of several certificates the one whose SAN names the host asked for
/// (exactly, or by a wildcard for one label) is served; the first to clients that name none or an unknown one.
/// With `client_ca`, client certificates from those authorities are required. `allow_tls12` is an escape hatch.
///
/// Whether the certificates are valid now is another question: [`LoadedTls::invalid_at`]. Blocking: reads files.
///
/// # Errors
/// Every fault of every file.
pub fn load(
    certificates: &[CertificatePaths],
    client_ca: Option<&Path>,
    allow_tls12: bool,
) -> Result<LoadedTls, Vec<TlsFault>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut faults = Vec::new();
    let read = |(i, paths)| files::read_pair(i, paths, &provider, &mut faults);
    let pairs: Vec<Pair> = certificates.iter().enumerate().filter_map(read).collect();
    let authorities = client_ca.map(|file| {
        let roots = client_authorities(file).map_err(|error| Place::ClientAuthorities.fault(error));
        roots.map_err(|fault| faults.push(fault)).unwrap_or_else(|()| RootCertStore::empty())
    });
    if certificates.is_empty() {
        faults.push(Place::All.fault(TlsError::NoCertificate));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let all = |error: TlsError| vec![Place::All.fault(error)];
    let missing = || all(TlsError::NoCertificate);
    let earliest_expiry = pairs.iter().flat_map(|pair| &pair.expiries).min().copied().ok_or_else(missing)?;
    let leaves = pairs.iter().map(|pair| pair.leaf.clone()).collect();
    let is_authority = |(i, pair): (usize, &Pair)| pair.is_authority.then_some(i);
    let own = pairs.iter().enumerate().filter_map(is_authority).collect();
    let resolver = ByName::new(pairs.into_iter().map(|pair| (pair.names, pair.key))).ok_or_else(missing)?;
    let verifier = authorities.map(|roots| {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let file = client_ca.unwrap_or(Path::new("")).to_owned();
        builder.build().map_err(|e| {
            vec![Place::ClientAuthorities.fault(TlsError::ClientAuthorities { file, cause: e.to_string() })]
        })
    });
    let config = configure(&provider, Arc::new(resolver), verifier.transpose()?, allow_tls12).map_err(all)?;
    Ok(LoadedTls { config: Arc::new(config), earliest_expiry, leaves, authorities: own })
}

fn client_authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in files::read_authorities(file)? {
        let fault = |e: rustls::Error| TlsError::ClientAuthorities { file: file.to_owned(), cause: e.to_string() };
        roots.add(certificate).map_err(fault)?;
    }
    Ok(roots)
}

/// Everything but the certificates. The provider is passed, never the process's default: nothing global.
fn configure(
    provider: &Arc<CryptoProvider>,
    resolver: Arc<ByName>,
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

/// One chain with its key, and what the resolver and the expiry metric want to know of it.
struct Pair {
    key: Arc<CertifiedKey>,
    /// DNS names of the leaf, lower case.
    names: Vec<String>,
    /// `notAfter` of each certificate, leaf first; never empty.
    expiries: Vec<Timestamp>,
    leaf: Leaf,
    /// Whether the leaf is a CA's own certificate.
    is_authority: bool,
}
