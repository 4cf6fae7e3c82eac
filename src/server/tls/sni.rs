//! Chooses the certificate by the name the client asks for (SNI, RFC 6066 section 3).

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates by exact name and by wildcard; the first one given answers for every other name and for none.
#[derive(Debug)]
pub(super) struct CertificatesByName {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    default: Arc<CertifiedKey>,
}

impl CertificatesByName {
    /// `None` without certificates. Where two carry the same name the earlier one wins.
    pub(super) fn new(certificates: impl Iterator<Item = (Vec<String>, Arc<CertifiedKey>)>) -> Option<Self> {
        let mut certificates = certificates.peekable();
        let default = Arc::clone(&certificates.peek()?.1);
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        for (names, key) in certificates {
            for name in names {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()).or_insert_with(|| Arc::clone(&key)),
                    None => exact.entry(name).or_insert_with(|| Arc::clone(&key)),
                };
            }
        }
        Some(Self { exact, wildcard, default })
    }

    fn find(&self, name: &str) -> &Arc<CertifiedKey> {
        let name = name.to_ascii_lowercase();
        // A wildcard stands for exactly one label (RFC 9525 section 6.3).
        let by_wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(&name).or_else(by_wildcard).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(hello.server_name().map_or(&self.default, |name| self.find(name))))
    }
}
