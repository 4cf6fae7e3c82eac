//! What can be wrong with certificate files, in words that name the file and say what to do; and which setting it is about.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::server::settings::{CERT_FILE, KEY_FILE, Tls};
use crate::settings::ConfigError;

/// A setting that names a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The chain of the certificate at this position.
    Certificate(usize),
    /// The key of the certificate at this position.
    Key(usize),
    /// The authorities of client certificates.
    ClientAuthorities,
    /// All of them together.
    All,
}

/// An error and the setting it is about.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct TlsFault {
    /// The setting.
    pub place: Place,
    /// What is wrong.
    pub error: TlsError,
}

impl Place {
    /// `error`, about this setting.
    #[must_use]
    pub const fn error(self, error: TlsError) -> TlsFault {
        TlsFault { place: self, error }
    }
}

impl TlsFault {
    /// The same, under the key and the variable that name its file.
    pub(crate) fn among(&self, settings: &Tls) -> ConfigError {
        ConfigError::new(self.place.key(settings), self.error.to_string())
    }
}

impl Place {
    /// The key that names its file, and the variable that may.
    pub(crate) fn key(self, settings: &Tls) -> String {
        let (number, key, variable) = match self {
            Self::Certificate(number) => (number, "cert_file", CERT_FILE),
            Self::Key(number) => (number, "key_file", KEY_FILE),
            Self::All => (0, "cert_file", CERT_FILE),
            Self::ClientAuthorities => return "tls.client_ca_file".to_owned(),
        };
        match settings.certificates.get(number) {
            // What no variable says.
            Some(files) if files.section != "tls" => format!("{}.{key}", files.section),
            _ => format!("tls.{key} ({variable})"),
        }
    }
}

/// Why the files make no TLS configuration; each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate was configured at all.
    #[error("no certificate is configured: set {CERT_FILE} and {KEY_FILE}, or cert_file and key_file under [tls]")]
    NoCertificate,
    /// A file that cannot be read.
    #[error("{file}: cannot be read ({cause}): check that it exists and that this user may read it", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: std::io::Error,
    },
    /// A directory, a pipe, a device, or something far too large.
    #[error("{file}: cannot be used ({cause}): name a PEM file", file = file.display())]
    NoFile {
        /// The path.
        file: PathBuf,
        /// What it is instead.
        cause: std::io::Error,
    },
    /// No PEM certificate in a file.
    #[error("{file}: holds no PEM certificate: {why}", file = file.display())]
    NoCertificateIn {
        /// The file.
        file: PathBuf,
        /// What it holds instead, and what to do.
        why: &'static str,
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
    /// A leaf without extensions.
    #[error("{file}: certificate {position} is X.509 version 1, which TLS clients refuse: issue it again as version 3, with a subjectAltName", file = file.display())]
    OldVersion {
        /// The file.
        file: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
    },
    /// The leaf is an authority's own certificate.
    #[error("{file}: certificate 1 is a CA's own certificate, which TLS clients refuse as a server's: put the server's certificate first and the CA's after it", file = file.display())]
    Authority {
        /// The file.
        file: PathBuf,
    },
    /// No private key in a file.
    #[error("{file}: holds no PEM private key: {why}", file = file.display())]
    NoKeyIn {
        /// The file.
        file: PathBuf,
        /// What it holds instead, and what to do.
        why: &'static str,
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
    /// A leaf before its first moment.
    #[error("{file}: the certificate is not valid before {at}: wait, use another, or set this machine's clock right", file = file.display())]
    NotYetValid {
        /// The chain.
        file: PathBuf,
        /// `notBefore`.
        at: Timestamp,
    },
    /// A certificate that vouches for nobody.
    #[error("{file}: certificate {position} is not a CA's, so no client certificate can be checked with it: put the certificate of the CA that issues them there", file = file.display())]
    NoAuthority {
        /// The file.
        file: PathBuf,
        /// Which one in the file, from 1.
        position: usize,
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
