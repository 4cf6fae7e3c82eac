//! The TLS configuration, made from certificate files: TLS 1.3, no tickets, no early data, h2 and http/1.1.
//!
//! Pure construction: swapping it under a running listener is [`arc_swap`]'s part, watching files is `app`'s.

mod files;
mod names;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, crypto::CryptoProvider, crypto::aws_lc_rs, sign::CertifiedKey};

use names::ByName;

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
    /// File and last moment of each leaf.
    leaves: Vec<(PathBuf, Timestamp)>,
}

impl LoadedTls {
    /// These certificates, unless a leaf has expired.
    ///
    /// # Errors
    /// [`TlsError::Expired`] with the file: no sender would accept it, so neither a start nor a reload should.
    pub fn valid_at(self, now: Timestamp) -> Result<Self, TlsError> {
        match self.leaves.iter().find(|(_, expiry)| *expiry <= now) {
            Some((file, at)) => Err(TlsError::Expired { file: file.clone(), at: *at }),
            None => Ok(self),
        }
    }
}

/// Why the files make no TLS configuration; each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate was configured at all.
    #[error("no certificate is configured: set TLS_CERT_FILE and TLS_KEY_FILE, or cert_file and key_file under [tls]")]
    NoCertificate,
    /// A file that cannot be read.
    #[error("{file}: cannot be read ({cause}): check that it exists and that this user may read it", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// No PEM certificate in a file.
    #[error("{file}: holds no PEM certificate: expected `-----BEGIN CERTIFICATE-----`, leaf first", file = file.display())]
    NoCertificateIn {
        /// The file.
        file: PathBuf,
    },
    /// A certificate that cannot be parsed.
    #[error("{file}: certificate {position} is faulty ({cause}): export it again as PEM", file = file.display())]
    FaultyCertificate {
        /// The file.
        file: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
        /// The parser's words.
        cause: String,
    },
    /// No private key in a file.
    #[error("{file}: holds no PEM private key: expected `-----BEGIN PRIVATE KEY-----` (or RSA, EC)", file = file.display())]
    NoKeyIn {
        /// The file.
        file: PathBuf,
    },
    /// A key behind a passphrase.
    #[error("{file}: the private key is encrypted: decrypt it first (`openssl pkey -in KEY -out KEY.plain`)", file = file.display())]
    EncryptedKey {
        /// The file.
        file: PathBuf,
    },
    /// A key that cannot be used.
    #[error("{file}: the private key cannot be used: RSA (2048 bits or more), ECDSA P-256/P-384/P-521 and Ed25519 can", file = file.display())]
    UnusableKey {
        /// The file.
        file: PathBuf,
    },
    /// Key and certificate are not of one pair.
    #[error("{key}: is not the key of the first certificate in {cert}: renew both together, leaf first in the chain", key = key.display(), cert = cert.display())]
    KeyMismatch {
        /// The chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A leaf past its last moment.
    #[error("{file}: the certificate expired at {at}: renew it", file = file.display())]
    Expired {
        /// The chain.
        file: PathBuf,
        /// `notAfter`.
        at: Timestamp,
    },
    /// Client authorities that make no verifier.
    #[error("{file}: cannot serve as authorities of client certificates ({cause})", file = file.display())]
    ClientAuthorities {
        /// The file.
        file: PathBuf,
        /// The verifier's words.
        cause: String,
    },
    /// The library refused the settings.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

/// Reads the files and builds the configuration. Of several certificates the one whose SAN names the host asked for
/// (exactly, or by a wildcard for one label) is served; the first to clients that name none or an unknown one.
/// With `client_ca`, client certificates from those authorities are required. `allow_tls12` is an escape hatch.
///
/// Blocking: reads files.
///
/// # Errors
/// [`TlsError`], the first fault found.
pub fn load(
    certificates: &[CertificatePaths],
    client_ca: Option<&Path>,
    allow_tls12: bool,
) -> Result<LoadedTls, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut loaded = Vec::with_capacity(certificates.len());
    for paths in certificates {
        loaded.push((paths, files::read_pair(paths, &provider)?));
    }
    let expiries = loaded.iter().flat_map(|(_, pair)| &pair.expiries);
    let earliest_expiry = expiries.min().copied().ok_or(TlsError::NoCertificate)?;
    let leaves = loaded.iter().map(|(paths, pair)| (paths.cert_file.clone(), pair.expiries[0])).collect();
    let resolver =
        ByName::new(loaded.into_iter().map(|(_, pair)| (pair.names, pair.key))).ok_or(TlsError::NoCertificate)?;
    let config = configure(&provider, Arc::new(resolver), client_ca, allow_tls12)?;
    Ok(LoadedTls { config: Arc::new(config), earliest_expiry, leaves })
}

/// Everything but the certificates. The provider is passed, never the process's default: nothing global.
fn configure(
    provider: &Arc<CryptoProvider>,
    resolver: Arc<ByName>,
    client_ca: Option<&Path>,
    allow_tls12: bool,
) -> Result<ServerConfig, TlsError> {
    let versions: &[_] = if allow_tls12 { &[&TLS13, &TLS12] } else { &[&TLS13] };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let fault = |cause: String| TlsError::ClientAuthorities { file: file.to_owned(), cause };
            let mut roots = RootCertStore::empty();
            for certificate in files::read_certificates(file)? {
                roots.add(certificate).map_err(|e| fault(e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            builder.with_client_cert_verifier(verifier.build().map_err(|e| fault(e.to_string()))?)
        }
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
}
