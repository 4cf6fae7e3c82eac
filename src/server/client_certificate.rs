//! The certificate that a client proved to hold in the handshake: its key and its names, read once a connection.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate of one of the listener's client authorities. Every request of its connection carries it in its
/// extensions, as `Arc<ClientCertificate>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// SHA-256 of its `SubjectPublicKeyInfo` in DER (RFC 5280 section 4.1): the same after a renewal with the same key.
    pub spki_sha256: [u8; 32],
    /// It, in DER.
    pub der: CertificateDer<'static>,
    /// Its subject alternative names, of the kinds that can be told.
    pub names: Vec<AltName>,
    /// Its last moment. A connection may outlive it.
    pub not_after: Timestamp,
}

/// A subject alternative name (RFC 5280 section 4.2.1.6), compared byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AltName {
    /// `dns:`, a `dNSName`.
    Dns(String),
    /// `uri:`, a `uniformResourceIdentifier`.
    Uri(String),
    /// `email:`, an `rfc822Name`.
    Email(String),
}

impl ClientCertificate {
    /// Reads a certificate; `None` where it is none. Names that stand in no or in several extensions are none.
    #[must_use]
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = match certificate.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().filter_map(AltName::of).collect(),
            Ok(None) | Err(_) => Vec::new(),
        };
        Some(Self {
            spki_sha256: Sha256::digest(certificate.public_key().raw).into(),
            der: der.clone().into_owned(),
            names,
            not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
        })
    }

    /// SHA-256 of the whole certificate, which browsers and `openssl x509 -fingerprint` show; another one after each
    /// renewal.
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }
}

impl AltName {
    fn of(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::DNSName(name) => Some(Self::Dns((*name).to_owned())),
            GeneralName::URI(name) => Some(Self::Uri((*name).to_owned())),
            GeneralName::RFC822Name(name) => Some(Self::Email((*name).to_owned())),
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        }
    }
}

impl fmt::Display for AltName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "dns:{name}"),
            Self::Uri(name) => write!(f, "uri:{name}"),
            Self::Email(name) => write!(f, "email:{name}"),
        }
    }
}

/// Text that is no [`AltName`]; says what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAltName {
    /// Of no kind, or of one that is not taken.
    #[error("expected \"dns:NAME\", \"uri:URI\" or \"email:ADDRESS\", in lower case up to the colon")]
    Kind,
    /// Nothing after the colon.
    #[error("names nothing after the colon")]
    Empty,
    /// A certificate's names are IA5 text: other characters never match.
    #[error(
        "expected visible ASCII characters only: blanks stand in no name, other letters as punycode or percent-encoded"
    )]
    Characters,
    /// It would stand for itself alone.
    #[error("names are exact, a wildcard matches nothing but itself: name each host, or pin the key by spki_sha256")]
    Wildcard,
}

impl FromStr for AltName {
    type Err = BadAltName;

    fn from_str(text: &str) -> Result<Self, BadAltName> {
        let (kind, name) = text.split_once(':').ok_or(BadAltName::Kind)?;
        let make = match kind {
            "dns" => Self::Dns,
            "uri" => Self::Uri,
            "email" => Self::Email,
            _ => return Err(BadAltName::Kind),
        };
        if name.is_empty() {
            return Err(BadAltName::Empty);
        }
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadAltName::Characters);
        }
        if kind == "dns" && name.contains('*') {
            return Err(BadAltName::Wildcard);
        }
        Ok(make(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(key: &KeyPair, names: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        params.not_after = rcgen::date_time_ymd(2031, 1, 1);
        params.self_signed(key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_is_its_key_and_its_names() {
        let key = KeyPair::generate().unwrap();
        let names = vec![
            SanType::DnsName("Sender.example".try_into().unwrap()),
            SanType::URI("spiffe://example/a".try_into().unwrap()),
            SanType::Rfc822Name("ops@example.com".try_into().unwrap()),
            SanType::IpAddress([192, 0, 2, 1].into()),
        ];
        let der = certificate(&key, names);
        let read = ClientCertificate::read(&der).unwrap();
        let spelled: Vec<String> = read.names.iter().map(ToString::to_string).collect();
        assert_eq!(spelled, ["dns:Sender.example", "uri:spiffe://example/a", "email:ops@example.com"]);
        assert_eq!(read.not_after.to_string(), "2031-01-01T00:00:00Z");
        let renewed = ClientCertificate::read(&certificate(&key, Vec::new())).unwrap();
        assert_eq!(renewed.spki_sha256, read.spki_sha256, "the same key");
        assert_ne!(renewed.sha256(), read.sha256());
        assert_eq!(renewed.names, []);
        let other = ClientCertificate::read(&certificate(&KeyPair::generate().unwrap(), Vec::new())).unwrap();
        assert_ne!(other.spki_sha256, read.spki_sha256);
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(ClientCertificate::read(&CertificateDer::from_slice(b"")), None);
        assert_eq!(ClientCertificate::read(&CertificateDer::from_slice(&[0x30, 0x82, 0xff, 0xff])), None);
    }

    #[test]
    fn a_name_is_written_with_its_kind_and_means_itself() {
        for good in ["dns:sender.example", "uri:spiffe://example/a", "uri:https://a/*", "email:ops@example.com"] {
            assert_eq!(good.parse::<AltName>().unwrap().to_string(), good);
        }
        for (bad, why) in [
            ("", BadAltName::Kind),
            ("sender.example", BadAltName::Kind),
            ("DNS:sender.example", BadAltName::Kind),
            (" dns:sender.example", BadAltName::Kind),
            ("ip:192.0.2.1", BadAltName::Kind),
            ("dns:", BadAltName::Empty),
            ("dns: sender.example", BadAltName::Characters),
            ("dns:sender.example\n", BadAltName::Characters),
            ("dns:sénder.example", BadAltName::Characters),
            ("dns:*.example", BadAltName::Wildcard),
            ("dns:*", BadAltName::Wildcard),
        ] {
            assert_eq!(bad.parse::<AltName>(), Err(why), "{bad:?}");
        }
    }
}
