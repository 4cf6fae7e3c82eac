//! The certificate that a client presents to the server it sends to, and its private key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use zeroize::Zeroizing;

use super::fingerprint::Parts;
use crate::file::read_regular;
use crate::settings::kind::path;
use crate::settings::{ConfigError, Diagnostics, Example, Table, key};

const CERT: &str = "client_cert_file";
const KEY: &str = "client_key_file";
/// The largest PEM file that is taken; a chain has a few KiB.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// Keys `client_cert_file` and `client_key_file`.
#[derive(Clone)]
pub struct ClientCertificate {
    cert_file: PathBuf,
    key_file: PathBuf,
}

impl ClientCertificate {
    /// Reads both keys, whose files are watched from now on. One without the other is an error.
    pub(super) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Option<Self> {
        let doc = "PEM chain of the certificate that is presented to the sink, leaf first; with client_key_file.";
        let given = [CERT, KEY].map(|key| table.holds(key));
        let cert_file =
            key(CERT, doc, path()).example(Example::Off("\"/run/tls/client.crt\"")).maybe(table, diagnostics).value();
        let doc = "PEM private key of client_cert_file, not encrypted.";
        let key_file =
            key(KEY, doc, path()).example(Example::Off("\"/run/tls/client.key\"")).maybe(table, diagnostics).value();
        diagnostics.files.extend(cert_file.clone().into_iter().chain(key_file.clone()));
        match given {
            [true, false] => table.error(KEY, format!("is missing beside {CERT}: set both, or neither"), diagnostics),
            [false, true] => table.error(CERT, format!("is missing beside {KEY}: set both, or neither"), diagnostics),
            [true, true] | [false, false] => {}
        }
        Some(Self { cert_file: cert_file?, key_file: key_file? })
    }

    /// Has `config` present it. Blocking: reads both files.
    ///
    /// # Errors
    /// [`ConfigError`] at the key whose file cannot be read, does not hold what it should, or does not fit the other.
    pub(super) fn presented_by(&self, config: &mut ClientConfig) -> Result<(), ConfigError> {
        let (cert, private) = (|problem| ConfigError::new(CERT, problem), |problem| ConfigError::new(KEY, problem));
        let chain = CertificateDer::pem_slice_iter(&read(&self.cert_file).map_err(cert)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| cert(format!("{}: {error}", self.cert_file.display())))?;
        if chain.is_empty() {
            return Err(cert(format!("{}: holds no PEM certificate", self.cert_file.display())));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key_file).map_err(private)?).map_err(|_| {
            private(format!("{}: holds no PEM private key that is not encrypted", self.key_file.display()))
        })?;
        let both = CertifiedKey::from_der(chain, key, config.crypto_provider()).map_err(|error| {
            private(format!("{} does not belong to {CERT}, or cannot be used: {error}", self.key_file.display()))
        })?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(both));
        Ok(())
    }

    /// What of it counts for whoever is built with it.
    pub(super) fn add_to(&self, parts: &mut Parts) {
        let Self { cert_file, key_file } = self;
        parts.file(Some(cert_file));
        parts.file(Some(key_file));
    }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    read_regular(file, MAX_FILE).map(Zeroizing::new).map_err(|error| format!("{}: {error}", file.display()))
}
