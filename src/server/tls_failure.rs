//! Why a connection came to nothing before it spoke HTTP, in words that say what to do, and how often that is said.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use tokio::time::Instant;

use super::proxy_protocol::ProxyError;

/// How often one reason is said. What scanners on the Internet do is news once a minute, not once a connection.
const INTERVAL: Duration = Duration::from_mins(1);

/// Why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// Nothing, or no whole `ClientHello`, within the deadline.
    NoClientHello,
    /// It was silent, and its place was wanted.
    MadeRoom,
    /// The handshake began and was not finished within the deadline.
    Unfinished,
    /// It took long, and others waited for its turn.
    Outwaited,
    /// The client went away within the handshake.
    WentAway,
    /// HTTP without TLS.
    PlainHttp,
    /// A PROXY header that nobody asked for.
    UnexpectedProxyHeader,
    /// Something else that is not TLS, or a `ClientHello` longer than anybody sends.
    NotTls,
    /// Only TLS 1.2, where 1.3 is the least; or only older versions still.
    OldTls,
    /// No cipher suite, group or signature algorithm in common.
    NothingInCommon,
    /// ALPN without h2 and http/1.1.
    UnknownProtocol,
    /// None, where one is required.
    NoClientCertificate,
    /// Not by an authority of `client_ca_file`.
    UnknownClientCa,
    /// Expired, or not valid yet.
    ClientCertificateDate,
    /// Faulty, or made for another purpose.
    BadClientCertificate,
    /// The client says that our certificate is not good enough.
    OurCertificateRefused,
    /// The client says something else.
    Alert,
    /// Whatever else.
    Other,
    /// A PROXY header was due and something else came, or half of one.
    BadProxyHeader,
    /// A PROXY header was due and nothing came.
    NoProxyHeader,
    /// Whoever it is may not send PROXY headers.
    UntrustedProxy,
    /// The PROXY header's client has as many connections as it may.
    TooManyConnections,
    /// Unfinished heads hold as much memory as they may.
    HeadMemory,
}

/// How many there are.
const REASONS: usize = Reason::HeadMemory as usize + 1;

impl Reason {
    /// What a failed handshake means; `first` are the connection's first bytes.
    pub(super) fn of(error: &io::Error, first: &[u8]) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error, first),
            // Our own bound on a ClientHello.
            None if error.kind() == io::ErrorKind::InvalidData => Self::NotTls,
            None => Self::WentAway,
        }
    }

    fn of_tls(error: &Error, first: &[u8]) -> Self {
        match error {
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. } => Self::of_bytes(first),
            Error::PeerIncompatible(what) => Self::of_incompatible(what),
            Error::NoApplicationProtocol => Self::UnknownProtocol,
            Error::NoCertificatesPresented => Self::NoClientCertificate,
            Error::InvalidCertificate(what) => Self::of_certificate(what),
            Error::AlertReceived(what) => Self::of_alert(*what),
            _ => Self::Other,
        }
    }

    fn of_bytes(first: &[u8]) -> Self {
        let begins = |words: &[&[u8]]| words.iter().any(|word| first.starts_with(word));
        if begins(&[b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"DELETE ", b"PATCH ", b"CONNECT ", b"PRI * "]) {
            Self::PlainHttp
        } else if begins(&[b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"]) {
            Self::UnexpectedProxyHeader
        } else {
            Self::NotTls
        }
    }

    const fn of_incompatible(what: &PeerIncompatible) -> Self {
        match what {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired => Self::OldTls,
            _ => Self::NothingInCommon,
        }
    }

    const fn of_certificate(what: &CertificateError) -> Self {
        match what {
            // The second: an authority of the same name and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownClientCa,
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => Self::ClientCertificateDate,
            _ => Self::BadClientCertificate,
        }
    }

    const fn of_alert(what: AlertDescription) -> Self {
        match what {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::BadCertificateStatusResponse => Self::OurCertificateRefused,
            _ => Self::Alert,
        }
    }

    /// What a missing PROXY header means.
    pub(super) const fn of_proxy(error: &ProxyError) -> Self {
        match error {
            ProxyError::Io(_) | ProxyError::Malformed(_) => Self::BadProxyHeader,
            ProxyError::Untrusted => Self::UntrustedProxy,
        }
    }

    /// Whether it was about TLS, and counts as a handshake that failed.
    pub(super) const fn is_handshake(self) -> bool {
        !matches!(
            self,
            Self::BadProxyHeader
                | Self::NoProxyHeader
                | Self::UntrustedProxy
                | Self::TooManyConnections
                | Self::HeadMemory
        )
    }
}

/// Of each reason, in their order: the word for machines, and what it is and what to do for people.
const WORDS: [(Reason, &str, &str); REASONS] = [
    (
        Reason::NoClientHello,
        "no_client_hello",
        "the client connected and began no TLS: a port scan, or a health check that is not HTTPS",
    ),
    (
        Reason::MadeRoom,
        "made_room",
        "the client had connected and begun no TLS, and all connections were taken: look who opens so many, or raise listener.max_connections",
    ),
    (Reason::Unfinished, "unfinished", "the client did not finish the handshake within limits.handshake_timeout"),
    (
        Reason::Outwaited,
        "outwaited",
        "the client was slow to finish the handshake while others waited: look who begins so many",
    ),
    (
        Reason::WentAway,
        "went_away",
        "the client closed within the handshake: it may not trust our certificate; see its own log",
    ),
    (Reason::PlainHttp, "plain_http", "the client sent plain HTTP to the HTTPS port: its URL must begin with https://"),
    (
        Reason::UnexpectedProxyHeader,
        "unexpected_proxy_header",
        "the proxy sends a PROXY header: set listener.proxy_protocol = \"required\", or turn it off there",
    ),
    (Reason::NotTls, "not_tls", "what came is not TLS: a port scan, or a client of another protocol"),
    (
        Reason::OldTls,
        "old_tls",
        "the sender offers no TLS 1.3: see tls.min_version if it cannot be updated; below 1.2 nothing helps",
    ),
    (
        Reason::NothingInCommon,
        "nothing_in_common",
        "no cipher suite, group or signature algorithm in common: the sender may want an ECDSA, or an RSA, certificate",
    ),
    (Reason::UnknownProtocol, "unknown_protocol", "the client speaks neither h2 nor http/1.1 (ALPN)"),
    (
        Reason::NoClientCertificate,
        "no_client_certificate",
        "the client sent no certificate, and tls.client_ca_file requires one: give the sender one",
    ),
    (
        Reason::UnknownClientCa,
        "unknown_client_ca",
        "the client's certificate is not by an authority in tls.client_ca_file: add its authority, or give the sender another",
    ),
    (
        Reason::ClientCertificateDate,
        "client_certificate_date",
        "the client's certificate has expired or is not valid yet: renew it, and compare clocks",
    ),
    (
        Reason::BadClientCertificate,
        "bad_client_certificate",
        "the client's certificate is faulty or not for client authentication: give the sender another",
    ),
    (
        Reason::OurCertificateRefused,
        "our_certificate_refused",
        "the client does not trust our certificate: check its name, its dates, and that tls.cert_file holds the whole chain",
    ),
    (Reason::Alert, "alert", "the client ended the handshake; the error is its own word for why"),
    (Reason::Other, "other", "the handshake failed; the error says why"),
    (
        Reason::BadProxyHeader,
        "bad_proxy_header",
        "the connection did not begin with a PROXY header: make the proxy send one, or set listener.proxy_protocol = \"off\"",
    ),
    (Reason::NoProxyHeader, "no_proxy_header", "no PROXY header came in time: make the proxy send one at once"),
    (
        Reason::UntrustedProxy,
        "untrusted_proxy",
        "listener.proxy_protocol is \"required\" and this address is not among listener.trusted_proxies",
    ),
    (
        Reason::TooManyConnections,
        "too_many_connections",
        "the client behind the proxy has listener.max_connections_per_client connections open",
    ),
    (
        Reason::HeadMemory,
        "head_memory",
        "unfinished request heads hold all the memory they may (64 MiB, an eighth a client): look who sends such",
    ),
];

/// When each reason was last said, and how often it was not since.
#[derive(Default)]
pub(super) struct FailureLog([Mutex<Said>; REASONS]);

#[derive(Default)]
struct Said {
    last: Option<Instant>,
    unsaid: u64,
}

impl FailureLog {
    /// Says it, or counts it: one record a reason and minute, with how many there were since the one before.
    pub(super) fn note(&self, reason: Reason, peer: IpAddr, error: Option<&io::Error>) {
        let error = error.map(tracing::field::display);
        let Some((_, word, advice)) = WORDS.get(reason as usize) else { return };
        tracing::debug!(peer_ip = %peer, reason = word, error, "connection closed");
        if let Some(count) = self.due(reason) {
            let message = if reason.is_handshake() { "TLS handshake failed" } else { "connection refused" };
            tracing::info!(reason = word, peer_ip = %peer, count, error, advice, "{message}");
        }
    }

    /// How many to speak of, this one among them; `None` where it is too early.
    fn due(&self, reason: Reason) -> Option<u64> {
        let mut said = self.0.get(reason as usize)?.lock().unwrap_or_else(PoisonError::into_inner);
        said.unsaid += 1;
        let now = Instant::now();
        if said.last.is_some_and(|last| now - last < INTERVAL) {
            return None;
        }
        said.last = Some(now);
        Some(std::mem::take(&mut said.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_said_once_a_minute_with_its_number_and_not_for_another() {
        let log = FailureLog::default();
        assert_eq!(log.due(Reason::NotTls), Some(1));
        for _ in 0..5 {
            assert_eq!(log.due(Reason::NotTls), None);
        }
        assert_eq!(log.due(Reason::Other), Some(1));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(log.due(Reason::NotTls), Some(6));
        assert_eq!(log.due(Reason::TooManyConnections), Some(1));
        assert_eq!(log.due(Reason::HeadMemory), Some(1), "the last has a place, too");
    }

    #[test]
    fn every_reason_has_its_own_words() {
        for (at, (reason, word, advice)) in WORDS.iter().enumerate() {
            assert_eq!(*reason as usize, at, "{word}");
            assert!(advice.len() > word.len());
        }
    }

    #[test]
    fn first_bytes_tell_what_is_not_tls() {
        for (first, reason) in [
            (&b"GET / HTTP/1.1\r\n"[..], Reason::PlainHttp),
            (b"PRI * HTTP/2.0\r\n", Reason::PlainHttp),
            (b"PROXY TCP4 192.0", Reason::UnexpectedProxyHeader),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Reason::UnexpectedProxyHeader),
            (b"SSH-2.0-x", Reason::NotTls),
            (b"", Reason::NotTls),
        ] {
            assert_eq!(Reason::of_bytes(first), reason, "{first:?}");
        }
    }
}
