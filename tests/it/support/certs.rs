//! Throw-away certificate authorities and certificates for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A CA made for one test.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Leaf {
    pub chain: String,
    pub key: String,
}

impl Ca {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "gatepost tests");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The certificate of the authority itself.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for `localhost` and a public name with `serial`, by which a test tells certificates apart.
    pub(crate) fn leaf(&self, serial: u64) -> Leaf {
        self.leaf_of_years(serial, 1975, 4096)
    }

    /// The same, valid from one New Year's Day to another.
    pub(crate) fn leaf_of_years(&self, serial: u64, from: i32, to: i32) -> Leaf {
        let mut params =
            CertificateParams::new(["localhost", "127.0.0.1", "hooks.example.com"].map(str::to_owned)).unwrap();
        params.serial_number = Some(serial.into());
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Leaf { chain, key: key.serialize_pem() }
    }

    /// A client's certificate over `key`, for `names`, valid from one New Year's Day to another.
    pub(crate) fn client(&self, key: &KeyPair, names: Vec<SanType>, from: i32, to: i32) -> Leaf {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let chain = params.signed_by(key, &self.issuer).unwrap().pem();
        Leaf { chain, key: key.serialize_pem() }
    }

    /// What a client trusts.
    pub(crate) fn roots(&self) -> Arc<rustls::RootCertStore> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        Arc::new(roots)
    }
}

impl Leaf {
    /// Writes both files into `dir`, replacing each whole, and gives their paths.
    pub(crate) fn write(&self, dir: &Path) -> (PathBuf, PathBuf) {
        let (cert, key) = (dir.join("tls.crt"), dir.join("tls.key"));
        std::fs::write(&key, &self.key).unwrap();
        std::fs::write(&cert, &self.chain).unwrap();
        (cert, key)
    }

    /// The same as a client presents them.
    pub(crate) fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect();
        (chain, PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap())
    }
}
