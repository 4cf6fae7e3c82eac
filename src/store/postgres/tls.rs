//! What a database server's certificate must prove, as rustls verifiers.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::error::StoreError;

/// Whose certificates are believed.
pub(super) enum Roots {
    /// The operating system's.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// What is checked.
pub(super) enum Trust {
    /// Nothing: encrypted, but anybody may be at the other end.
    Anything,
    /// That the chain ends in a root.
    Chain(Roots),
    /// That, and the host name.
    ChainAndName(Roots),
}

/// Makes TLS connections that demand `trust`.
pub(super) fn connector(trust: Trust) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Anything => Arc::new(Lenient { chain: None, provider: Arc::clone(&provider) }),
        Trust::Chain(roots) => {
            Arc::new(Lenient { chain: Some(strict(roots, &provider)?), provider: Arc::clone(&provider) })
        }
        Trust::ChainAndName(roots) => strict(roots, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Url(format!("postgres TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn strict(roots: Roots, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, StoreError> {
    let mut store = RootCertStore::empty();
    let (name, certificates) = match roots {
        Roots::System => ("the system's certificates".to_owned(), rustls_native_certs::load_native_certs().certs),
        Roots::File(path) => {
            let failed = |error| StoreError::Url(format!("sslrootcert {}: {error}", path.display()));
            let read = CertificateDer::pem_file_iter(&path).map_err(failed)?;
            (path.display().to_string(), read.collect::<Result<_, _>>().map_err(failed)?)
        }
    };
    store.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
        .build()
        .map_err(|error| StoreError::Url(format!("sslrootcert {name}: {error}")))
}

/// Checks less than rustls would by itself, as libpq's `sslmode` asks for; signatures are always checked.
#[derive(Debug)]
struct Lenient {
    /// Checks the chain; the name is not looked at.
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last, after the chain has been found good.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
