//! Reads PEM files into chains and keys, and tells what is wrong with them.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::{CertificatePaths, Pair, TlsError};
use crate::file::read_regular;

/// The largest PEM file that is taken: every authority there is fits into a tenth of it.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Reads one chain and its key and checks that they belong together.
pub(super) fn read_pair(paths: &CertificatePaths, provider: &CryptoProvider) -> Result<Pair, TlsError> {
    let chain = read_certificates(&paths.cert_file)?;
    let mut names = Vec::new();
    let mut expiries = Vec::with_capacity(chain.len());
    for (i, der) in chain.iter().enumerate() {
        let fault =
            |cause: String| TlsError::FaultyCertificate { file: paths.cert_file.clone(), position: i + 1, cause };
        let (_, certificate) = X509Certificate::from_der(der).map_err(|e| fault(e.to_string()))?;
        let not_after = certificate.validity().not_after.timestamp();
        expiries.push(Timestamp::from_second(not_after).map_err(|e| fault(e.to_string()))?);
        if i == 0 {
            names = dns_names(&certificate);
        }
    }
    let key = read_key(&paths.key_file)?;
    let unusable = |_| TlsError::UnusableKey { file: paths.key_file.clone() };
    let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).map_err(unusable)?);
    match key.keys_match() {
        // `Unknown`: a key that cannot tell its public half; none of the provider's does that.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(_)) => {
            return Err(TlsError::KeyMismatch { cert: paths.cert_file.clone(), key: paths.key_file.clone() });
        }
        Err(other) => return Err(other.into()),
    }
    Ok(Pair { key: Arc::new(key), names, expiries })
}

/// Every certificate of a PEM file, at least one.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read_regular(file, MAX_FILE).map_err(|cause| TlsError::Unreadable { file: file.to_owned(), cause })?;
    let mut certificates = Vec::new();
    for (i, section) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let fault = |cause: String| TlsError::FaultyCertificate { file: file.to_owned(), position: i + 1, cause };
        certificates.push(section.map_err(|e| fault(e.to_string()))?);
    }
    if certificates.is_empty() {
        return Err(TlsError::NoCertificateIn { file: file.to_owned() });
    }
    Ok(certificates)
}

/// The first private key of a PEM file. Parser errors are not passed on: they may quote the key.
fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read_regular(file, MAX_FILE).map_err(|cause| TlsError::Unreadable { file: file.to_owned(), cause })?;
    let pem = Zeroizing::new(pem);
    // PKCS#8 says it in the label, the older forms in a header inside the section.
    let encrypted = [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    if encrypted.iter().any(|mark| pem.windows(mark.len()).any(|window| window == *mark)) {
        return Err(TlsError::EncryptedKey { file: file.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NoKeyIn { file: file.to_owned() })
}

/// DNS names of the subject alternative name, lower case. The common name does not count (RFC 9525 section 2).
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None })
        .collect()
}
