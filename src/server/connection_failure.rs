//! Why a connection failed before it spoke HTTP: the reason, what to do about it, and a log that is not flooded by it.

use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use tokio::time::Instant;

use super::proxy_protocol::ProxyError;

/// How often one reason is logged: what scanners on the Internet do is news once a minute, not once a connection.
const INTERVAL: Duration = Duration::from_mins(1);

/// Why, in the order of [`DESCRIPTIONS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FailureReason {
    /// Nothing, or no whole `ClientHello`, within the deadline.
    NoClientHello,
    /// It was silent, and evicted for another.
    MadeRoom,
    /// The handshake began and was not finished within the deadline.
    Unfinished,
    /// It took long, and others waited for its slot.
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

const REASONS: usize = FailureReason::HeadMemory as usize + 1;

impl FailureReason {
    /// What a failed handshake means; `first` are the connection's first bytes.
    pub(super) fn of(error: &io::Error, first: &[u8]) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => Self::of_tls(error, first),
            // Our own bound on a ClientHello.
            None if error.kind() == io::ErrorKind::InvalidData => Self::NotTls,
            None => Self::WentAway,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "rustls adds errors, most of which say nothing to an operator")]
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
        let is_version = matches!(
            what,
            PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::SupportedVersionsExtensionRequired
        );
        if is_version { Self::OldTls } else { Self::NothingInCommon }
    }

    const fn of_certificate(what: &CertificateError) -> Self {
        use CertificateError::{BadSignature, Expired, ExpiredContext, NotValidYet, NotValidYetContext, UnknownIssuer};
        // A bad signature: by a CA of the same name and another key.
        if matches!(what, UnknownIssuer | BadSignature) {
            Self::UnknownClientCa
        } else if matches!(what, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }) {
            Self::ClientCertificateDate
        } else {
            Self::BadClientCertificate
        }
    }

    const fn of_alert(what: AlertDescription) -> Self {
        let is_certificate = matches!(
            what,
            AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::BadCertificateStatusResponse
        );
        if is_certificate { Self::OurCertificateRefused } else { Self::Alert }
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

/// Of each reason: its `reason` in the log, and the `advice`: what it is and what to do.
const DESCRIPTIONS: [(FailureReason, &str, &str); REASONS] = [
    (
        FailureReason::NoClientHello,
        "no_client_hello",
        "the client connected and began no TLS: a port scan, or a health check that is not HTTPS",
    ),
    (
        FailureReason::MadeRoom,
        "made_room",
        "the client had connected and begun no TLS, and no further connection was free: find out who opens so many, or raise listener.max_connections",
    ),
    (
        FailureReason::Unfinished,
        "unfinished",
        "the client did not finish the handshake within limits.handshake_timeout",
    ),
    (
        FailureReason::Outwaited,
        "outwaited",
        "the client was slow to finish the handshake while others waited: find out who begins so many",
    ),
    (
        FailureReason::WentAway,
        "went_away",
        "the client closed the connection within the handshake: it may not trust our certificate; see its log",
    ),
    (
        FailureReason::PlainHttp,
        "plain_http",
        "the client sent plain HTTP to the HTTPS port: its URL must begin with https://",
    ),
    (
        FailureReason::UnexpectedProxyHeader,
        "unexpected_proxy_header",
        "the proxy sends a PROXY header: set listener.proxy_protocol = \"required\", or turn it off there",
    ),
    (FailureReason::NotTls, "not_tls", "the client sent something that is not TLS: a port scan, or another protocol"),
    (
        FailureReason::OldTls,
        "old_tls",
        "the client offers no TLS 1.3: update it, or set tls.min_version = \"1.2\"; older versions are not supported",
    ),
    (
        FailureReason::NothingInCommon,
        "nothing_in_common",
        "no cipher suite, group or signature algorithm in common: the client may need an ECDSA, or an RSA, certificate",
    ),
    (FailureReason::UnknownProtocol, "unknown_protocol", "the client speaks neither h2 nor http/1.1 (ALPN)"),
    (
        FailureReason::NoClientCertificate,
        "no_client_certificate",
        "the client sent no certificate, and one from tls.client_ca_file is required: give the sender one, or set tls.client_auth to \"optional\"",
    ),
    (
        FailureReason::UnknownClientCa,
        "unknown_client_ca",
        "the client's certificate was not issued by a CA in tls.client_ca_file: add that CA, or give the sender another certificate",
    ),
    (
        FailureReason::ClientCertificateDate,
        "client_certificate_date",
        "the client's certificate has expired or is not valid yet: renew it, and compare clocks",
    ),
    (
        FailureReason::BadClientCertificate,
        "bad_client_certificate",
        "the client's certificate is faulty or not for client authentication: give the sender another",
    ),
    (
        FailureReason::OurCertificateRefused,
        "our_certificate_refused",
        "the client does not trust our certificate: check its name, its dates, and that tls.cert_file holds the whole chain",
    ),
    (FailureReason::Alert, "alert", "the client ended the handshake with a TLS alert: the error names it"),
    (FailureReason::Other, "other", "the handshake failed; the error says why"),
    (
        FailureReason::BadProxyHeader,
        "bad_proxy_header",
        "the connection did not begin with a PROXY header: make the proxy send one, or set listener.proxy_protocol = \"off\"",
    ),
    (FailureReason::NoProxyHeader, "no_proxy_header", "no PROXY header came in time: make the proxy send one at once"),
    (
        FailureReason::UntrustedProxy,
        "untrusted_proxy",
        "listener.proxy_protocol is \"required\" and this address is not among listener.trusted_proxies",
    ),
    (
        FailureReason::TooManyConnections,
        "too_many_connections",
        "the client behind the proxy has listener.max_connections_per_client connections open",
    ),
    (
        FailureReason::HeadMemory,
        "head_memory",
        "unfinished request heads hold all the memory they may (64 MiB, an eighth for one client): find out who sends them",
    ),
];

/// Logs each reason at most once a minute.
#[derive(Default)]
pub(super) struct FailureLog([Mutex<Logged>; REASONS]);

#[derive(Default)]
struct Logged {
    last: Option<Instant>,
    /// Failures since then.
    unlogged: u64,
}

impl FailureLog {
    /// Logs a failure, with the number of those since the last that was logged; or counts it.
    pub(super) fn record(&self, reason: FailureReason, peer: IpAddr, error: Option<&io::Error>) {
        let error = error.map(tracing::field::display);
        let Some((_, word, advice)) = DESCRIPTIONS.get(reason as usize) else { return };
        tracing::debug!(peer_ip = %peer, reason = word, error, "connection closed");
        if let Some(count) = self.due(reason) {
            let message = if reason.is_handshake() { "TLS handshake failed" } else { "connection refused" };
            tracing::info!(reason = word, peer_ip = %peer, count, error, advice, "{message}");
        }
    }

    /// How many to log, this one among them; `None` where it is too early.
    fn due(&self, reason: FailureReason) -> Option<u64> {
        let mut logged = self.0.get(reason as usize)?.lock().unwrap_or_else(PoisonError::into_inner);
        logged.unlogged += 1;
        let now = Instant::now();
        if logged.last.is_some_and(|last| now - last < INTERVAL) {
            return None;
        }
        logged.last = Some(now);
        Some(std::mem::take(&mut logged.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_reason_is_logged_once_a_minute_with_its_number_and_not_for_another() {
        let log = FailureLog::default();
        assert_eq!(log.due(FailureReason::NotTls), Some(1));
        for _ in 0..5 {
            assert_eq!(log.due(FailureReason::NotTls), None);
        }
        assert_eq!(log.due(FailureReason::Other), Some(1));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(log.due(FailureReason::NotTls), Some(6));
        assert_eq!(log.due(FailureReason::TooManyConnections), Some(1));
        assert_eq!(log.due(FailureReason::HeadMemory), Some(1), "the last has a place, too");
    }

    #[test]
    fn every_reason_has_its_own_words() {
        for (at, (reason, word, advice)) in DESCRIPTIONS.iter().enumerate() {
            assert_eq!(*reason as usize, at, "{word}");
            assert!(advice.len() > word.len());
        }
    }

    #[test]
    fn first_bytes_tell_what_is_not_tls() {
        for (first, reason) in [
            (&b"GET / HTTP/1.1\r\n"[..], FailureReason::PlainHttp),
            (b"PRI * HTTP/2.0\r\n", FailureReason::PlainHttp),
            (b"PROXY TCP4 192.0", FailureReason::UnexpectedProxyHeader),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", FailureReason::UnexpectedProxyHeader),
            (b"SSH-2.0-x", FailureReason::NotTls),
            (b"", FailureReason::NotTls),
        ] {
            assert_eq!(FailureReason::of_bytes(first), reason, "{first:?}");
        }
    }
}
