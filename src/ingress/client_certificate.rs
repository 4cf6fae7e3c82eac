//! Client certificates as identity: who may send to a source, by what they proved to hold in the TLS handshake.
//!
//! A request is held against the pins of the moment, so that one that is taken away ends live connections' rights too.

use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use crate::server::client_certificate::ClientCertificate;

use super::arrival::{Origin, PinIndex};
use super::refused::Refused;
use super::reject::Reject;
use super::settings::CertificatePin;
use super::source::Source;
use super::token::Admitted;
use super::try_map_request::Step;

/// Refuses whoever showed no certificate that `source` takes, where it asks for one.
pub(super) fn client_certificate(source: Arc<Source>) -> impl Step<Admitted, Admitted> {
    move |Admitted { origin, head, token, body }| match pinned(&source.config.client_certificates, origin.at, &head) {
        Ok(certificate) => Ok(Admitted { origin: Origin { certificate, ..origin }, head, token, body }),
        Err(reject) => Err(Refused::unread(reject, origin, head, body)),
    }
}

fn pinned(pins: &[CertificatePin], now: Timestamp, head: &Parts) -> Result<Option<PinIndex>, Reject> {
    if pins.is_empty() {
        return Ok(None);
    }
    let shown = head.extensions.get::<Arc<ClientCertificate>>();
    let certificate = shown.ok_or(Reject::ClientCertificateMismatch("no client certificate was shown"))?;
    // It was valid when the connection began, which may be long ago.
    if now > certificate.not_after {
        return Err(Reject::ClientCertificateMismatch("the client certificate has expired since the connection began"));
    }
    let pin = pins.iter().position(|pin| pin.takes(certificate)).map(PinIndex);
    let stranger = Reject::ClientCertificateMismatch("the client certificate is not one of those taken here");
    pin.map(Some).ok_or(stranger)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};

    use super::super::settings::Identity;
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn certificate(names: &[&str]) -> ClientCertificate {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.not_after = rcgen::date_time_ymd(1970, 1, 2);
        let own = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        ClientCertificate::read(own.der()).unwrap()
    }

    fn pin(identity: Identity) -> CertificatePin {
        CertificatePin { identity, label: None }
    }

    fn san(name: &str) -> CertificatePin {
        pin(Identity::San(name.parse().unwrap()))
    }

    fn showing(certificate: Option<ClientCertificate>) -> Parts {
        let (mut head, ()) = http::Request::new(()).into_parts();
        if let Some(certificate) = certificate {
            head.extensions.insert(Arc::new(certificate));
        }
        head
    }

    #[test]
    fn the_first_pin_that_stands_for_the_certificate_lets_in_and_nothing_else_does() {
        let shown = certificate(&["a.example", "b.example"]);
        let key = pin(Identity::SpkiSha256(shown.spki_sha256));
        let head = showing(Some(shown));
        let judge = |pins: &[CertificatePin]| pinned(pins, NOW, &head);
        assert_eq!(judge(&[san("dns:c.example"), key.clone(), san("dns:b.example")]), Ok(Some(PinIndex(1))));
        assert_eq!(judge(&[san("dns:b.example"), key]), Ok(Some(PinIndex(0))));
        for stranger in ["dns:B.example", "dns:example", "dns:b.example.", "uri:b.example", "email:a@b.example"] {
            assert!(judge(&[san(stranger)]).is_err(), "{stranger}");
        }
        assert!(judge(&[pin(Identity::SpkiSha256([0; 32]))]).is_err());
        assert_eq!(judge(&[]), Ok(None), "nobody is asked");
    }

    #[test]
    fn a_wildcard_in_a_certificate_stands_for_itself() {
        let head = showing(Some(certificate(&["*.example"])));
        assert!(pinned(&[san("dns:a.example")], NOW, &head).is_err());
    }

    #[test]
    fn a_connection_may_outlive_its_certificate_and_then_lets_nobody_in() {
        let head = showing(Some(certificate(&["a.example"])));
        assert!(pinned(&[san("dns:a.example")], NOW, &head).is_ok());
        let late = NOW + Duration::from_hours(24) + Duration::from_secs(1);
        let Err(Reject::ClientCertificateMismatch(why)) = pinned(&[san("dns:a.example")], late, &head) else {
            panic!("let in");
        };
        assert!(why.contains("expired"), "{why}");
    }

    #[test]
    fn without_a_certificate_nobody_is_let_in() {
        assert!(pinned(&[san("dns:a.example")], NOW, &showing(None)).is_err());
    }
}
