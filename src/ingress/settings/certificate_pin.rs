//! A pin: whose client certificate a source takes.

use crate::server::client_certificate::{AltName, ClientCertificate};

/// Hex digits of a key's hash that name it: the operator chose the key, so nobody else aims for another with the same.
const NAME_DIGITS: usize = 16;

/// Whose certificates a source takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificatePin {
    /// By what it is known.
    pub identity: Identity,
    /// What the operator calls it.
    pub label: Option<String>,
}

/// By what a certificate is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// The SHA-256 of its `SubjectPublicKeyInfo`.
    SpkiSha256([u8; 32]),
    /// One of its subject alternative names, exactly.
    San(AltName),
}

impl CertificatePin {
    /// What logs and metrics call it: its label, else its name, or the beginning of its hash.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.label, &self.identity) {
            (Some(label), _) => label.clone(),
            (None, Identity::San(name)) => name.to_string(),
            (None, Identity::SpkiSha256(hash)) => {
                let hex = hex::encode(hash);
                format!("spki:{}", hex.get(..NAME_DIGITS).unwrap_or(&hex))
            }
        }
    }

    /// Whether it stands for `certificate`.
    #[must_use]
    pub fn takes(&self, certificate: &ClientCertificate) -> bool {
        match &self.identity {
            Identity::SpkiSha256(hash) => *hash == certificate.spki_sha256,
            Identity::San(name) => certificate.names.contains(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_called_by_its_label_its_name_or_the_beginning_of_its_hash() {
        let pin = |identity, label: Option<&str>| CertificatePin { identity, label: label.map(str::to_owned) };
        let key = Identity::SpkiSha256([0xab; 32]);
        assert_eq!(pin(key.clone(), None).name(), "spki:abababababababab");
        assert_eq!(pin(key, Some("tenant-a")).name(), "tenant-a");
        let name = Identity::San("uri:spiffe://example/a".parse().unwrap());
        assert_eq!(pin(name, None).name(), "uri:spiffe://example/a");
    }
}
