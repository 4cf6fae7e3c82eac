//! Reads PEM files into chains and keys, and tells what is wrong with them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Version};
use zeroize::Zeroizing;

use super::error::{Place, TlsError, TlsFault};
use crate::file::read_regular;

/// The largest PEM file that is taken: every authority there is fits into a tenth of it.
const MAX_FILE: u64 = 8 * 1024 * 1024;
/// What DER begins with: an ASN.1 SEQUENCE.
const SEQUENCE: u8 = 0x30;

/// A PEM chain, leaf first, and its private key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificatePaths {
    /// Chain, leaf first.
    pub cert_file: PathBuf,
    /// Private key (PKCS#8, PKCS#1 or SEC 1), not encrypted.
    pub key_file: PathBuf,
}

/// The first certificate of a chain.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) file: PathBuf,
    pub(super) der: CertificateDer<'static>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Leaf {
    pub(super) fn invalid_at(&self, now: Timestamp) -> Option<TlsError> {
        let file = || self.file.clone();
        if now >= self.not_after {
            return Some(TlsError::Expired { file: file(), at: self.not_after });
        }
        (now < self.not_before).then(|| TlsError::NotYetValid { file: file(), at: self.not_before })
    }
}

/// One chain with its key, and what the resolver and the expiry metric want to know of it.
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    /// DNS names of the leaf, lower case.
    pub(super) names: Vec<String>,
    /// `notAfter` of each certificate, leaf first; never empty.
    pub(super) expiries: Vec<Timestamp>,
    pub(super) leaf: Leaf,
    /// Whether the leaf is a CA's own certificate.
    pub(super) is_authority: bool,
}

/// Reads one chain and its key and checks that they belong together; every error goes to `errors`.
pub(super) fn read_pair(
    index: usize,
    paths: &CertificatePaths,
    provider: &CryptoProvider,
    errors: &mut Vec<TlsFault>,
) -> Option<Pair> {
    let (certificate, private) = (Place::Certificate(index), Place::Key(index));
    let chain = read_chain(&paths.cert_file).map_err(|error| errors.push(certificate.error(error))).ok();
    let key = read_key(&paths.key_file).and_then(|key| {
        let unusable = |_| TlsError::UnusableKey { file: paths.key_file.clone() };
        provider.key_provider.load_private_key(key).map_err(unusable)
    });
    let key = key.map_err(|error| errors.push(private.error(error))).ok();
    let (chain, key) = chain.zip(key)?;
    let Chain { certificates, names, expiries, leaf, is_authority } = chain;
    let key = CertifiedKey::new(certificates, key);
    let error = match key.keys_match() {
        // `Unknown`: a key that cannot tell its public half; none of the provider's does that.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            return Some(Pair { key: Arc::new(key), names, expiries, leaf, is_authority });
        }
        Err(Error::InconsistentKeys(_)) => {
            TlsError::KeyMismatch { cert: paths.cert_file.clone(), key: paths.key_file.clone() }
        }
        Err(other) => other.into(),
    };
    errors.push(private.error(error));
    None
}

/// A chain that was read, and what is to be known of it.
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    expiries: Vec<Timestamp>,
    leaf: Leaf,
    is_authority: bool,
}

fn read_chain(file: &Path) -> Result<Chain, TlsError> {
    let certificates = read_certificates(file)?;
    let (mut expiries, mut first) = (Vec::with_capacity(certificates.len()), None);
    for (i, der) in certificates.iter().enumerate() {
        let faulty = |cause: String| TlsError::FaultyCertificate { file: file.to_owned(), position: i + 1, cause };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| faulty(e.to_string()))?;
        let validity = certificate.validity();
        let time = |seconds| Timestamp::from_second(seconds).map_err(|e| faulty(e.to_string()));
        let not_after = time(validity.not_after.timestamp())?;
        expiries.push(not_after);
        if i == 0 {
            if certificate.version() != X509Version::V3 {
                return Err(TlsError::OldVersion { file: file.to_owned(), position: 1 });
            }
            let not_before = time(validity.not_before.timestamp())?;
            let leaf = Leaf { file: file.to_owned(), der: der.clone(), not_before, not_after };
            first = Some((leaf, dns_names(&certificate), standing(&certificate)));
        }
    }
    match first {
        Some((_, _, Standing::NeverAServer)) => Err(TlsError::Authority { file: file.to_owned() }),
        Some((leaf, names, standing)) => {
            Ok(Chain { certificates, names, expiries, leaf, is_authority: standing == Standing::Authority })
        }
        None => Err(no_certificate(file, &[])),
    }
}

/// Whose certificate a leaf is.
#[derive(PartialEq, Eq)]
enum Standing {
    Server,
    /// A CA's and its own server's at once, as `openssl req -x509` makes them: some clients take it, others do not.
    Authority,
    /// A CA's, that no client takes for a server's: issued by another, or its key may not sign handshakes.
    NeverAServer,
}

fn standing(certificate: &X509Certificate<'_>) -> Standing {
    if !is_ca(certificate) {
        return Standing::Server;
    }
    let may_sign = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        _ => true,
    };
    let own = certificate.issuer() == certificate.subject();
    if own && may_sign { Standing::Authority } else { Standing::NeverAServer }
}

fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.basic_constraints(), Ok(Some(constraints)) if constraints.value.ca)
}

/// The authorities of client certificates.
pub(super) fn read_authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = read_certificates(file)?;
    for (i, der) in certificates.iter().enumerate() {
        let faulty = |cause: String| TlsError::FaultyCertificate { file: file.to_owned(), position: i + 1, cause };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| faulty(e.to_string()))?;
        // One that vouches for itself may be pinned so, and is how authorities of version 1 look.
        if !is_ca(&certificate) && certificate.issuer() != certificate.subject() {
            return Err(TlsError::NoAuthority { file: file.to_owned(), position: i + 1 });
        }
    }
    Ok(certificates)
}

/// Every certificate of a PEM file, at least one.
fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(file)?;
    let mut certificates = Vec::new();
    for (i, section) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let faulty = |cause: String| TlsError::FaultyCertificate { file: file.to_owned(), position: i + 1, cause };
        certificates.push(section.map_err(|e| faulty(e.to_string()))?);
    }
    if certificates.is_empty() { Err(no_certificate(file, &pem)) } else { Ok(certificates) }
}

fn no_certificate(file: &Path, content: &[u8]) -> TlsError {
    let why = if content.trim_ascii().is_empty() {
        "it is empty"
    } else if X509Certificate::from_der(content).is_ok() {
        "it is DER: convert it (`openssl x509 -inform DER -in FILE -out FILE.pem`)"
    } else if content.first() == Some(&SEQUENCE) {
        "it is binary, perhaps PKCS #12: convert it (`openssl pkcs12 -in FILE -nodes -out FILE.pem`)"
    } else if holds(content, b"PRIVATE KEY-----") {
        "it holds a private key: are certificate and key swapped?"
    } else {
        "expected `-----BEGIN CERTIFICATE-----`, leaf first"
    };
    TlsError::NoCertificateIn { file: file.to_owned(), why }
}

/// The first private key of a PEM file. Parser errors are not passed on: they may quote the key.
fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(file)?;
    // PKCS#8 says it in the label, the older forms in a header inside the section.
    if holds(&pem, b"BEGIN ENCRYPTED PRIVATE KEY") || holds(&pem, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey { file: file.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let why = if pem.trim_ascii().is_empty() {
            "it is empty"
        } else if pem.first() == Some(&SEQUENCE) {
            "it is binary (DER): convert it (`openssl pkey -inform DER -in FILE -out FILE.pem`)"
        } else if holds(&pem, b"BEGIN CERTIFICATE") {
            "it holds a certificate: are certificate and key swapped?"
        } else {
            "expected `-----BEGIN PRIVATE KEY-----` (or RSA, EC)"
        };
        TlsError::NoKeyIn { file: file.to_owned(), why }
    })
}

fn holds(content: &[u8], mark: &[u8]) -> bool {
    content.windows(mark.len()).any(|window| window == mark)
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    read_regular(file, MAX_FILE).map(Zeroizing::new).map_err(|cause| {
        let file = file.to_owned();
        let is_no_file = matches!(cause.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge);
        if is_no_file { TlsError::NoFile { file, cause } } else { TlsError::Unreadable { file, cause } }
    })
}

/// DNS names of the subject alternative name, lower case. The common name does not count (RFC 9525 section 2).
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None })
        .collect()
}
