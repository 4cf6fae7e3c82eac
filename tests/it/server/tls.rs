//! TLS as the listener speaks it: 1.3 only, nothing to resume, the right certificate, client certificates.

use std::path::Path;

use gatepost::server::ClientAuth;
use gatepost::server::tls::{CertificatePaths, Place, TlsError, TlsFault, load};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::rig::{Ca, Rig, Wish, builder, exchange, one_answer, soon, until_closed};

const CLOSE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

fn tls12(rig: &Rig) -> ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rig.ca.roots())
        .with_no_client_auth()
}

#[tokio::test]
async fn tls_1_2_is_refused_unless_allowed() {
    let rig = Rig::start(Wish::default()).await;
    assert!(rig.tls(tls12(&rig), "localhost").await.is_err());
    assert!(rig.server.metrics.render().contains("gatepost_tls_handshakes_total{outcome=\"failed\"} 1"));

    let rig = Rig::start(Wish { allow_tls12: true, ..Wish::default() }).await;
    let mut stream = rig.tls(tls12(&rig), "localhost").await.unwrap();
    assert!(exchange(&mut stream, CLOSE).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn nothing_is_resumed_and_no_early_data_is_taken() {
    for allow_tls12 in [false, true] {
        let rig = Rig::start(Wish { allow_tls12, ..Wish::default() }).await;
        let mut config = if allow_tls12 { tls12(&rig) } else { rig.ca.client(&[b"http/1.1"]) };
        config.enable_early_data = true;
        for _ in 0..2 {
            let mut stream = rig.tls(config.clone(), "localhost").await.unwrap();
            assert!(exchange(&mut stream, CLOSE).await.starts_with("HTTP/1.1 200"));
            let session = stream.get_ref().1;
            assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
            assert_eq!(session.tls13_tickets_received(), 0);
            assert!(!session.is_early_data_accepted());
        }
    }
}

#[tokio::test]
async fn alpn_chooses_the_protocol_and_unknown_ones_are_refused() {
    let rig = Rig::start(Wish::default()).await;
    for (offer, chosen) in [
        (vec![&b"h2"[..], b"http/1.1"], Some(&b"h2"[..])),
        (vec![&b"http/1.1"[..], b"h2"], Some(b"h2")),
        (vec![&b"http/1.1"[..]], Some(b"http/1.1")),
        (vec![], None),
    ] {
        let stream = rig.tls(rig.ca.client(&offer), "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
    }
    assert!(rig.tls(rig.ca.client(&[b"spdy/3"]), "localhost").await.is_err());
}

#[tokio::test]
async fn the_certificate_is_chosen_by_the_name_asked_for() {
    let rig = Rig::start(Wish::default()).await;
    let mut served = Vec::new();
    for name in ["a.test", "b.test", "B.TEST", "x.wild.test"] {
        let stream = rig.tls(rig.ca.client(&[]), name).await.expect(name);
        served.push(stream.get_ref().1.peer_certificates().unwrap()[0].clone());
    }
    assert_eq!(served[1], served[2]);
    assert_eq!(served[1], served[3]);
    assert_ne!(served[0], served[1]);
    // The default is served, and the client finds that it is not for that name.
    for name in ["x.y.wild.test", "wild.test", "unknown.test", "127.0.0.1"] {
        assert!(rig.tls(rig.ca.client(&[]), name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_required_where_authorities_are_given() {
    let rig = Rig::start(Wish { client_auth: Some(true), ..Wish::default() }).await;
    // In TLS 1.3 the client learns of the refusal only when it reads.
    let mut without = rig.tls(rig.ca.client(&[]), "localhost").await.unwrap();
    let _ = without.write_all(CLOSE.as_bytes()).await;
    assert_eq!(until_closed(&mut without).await, "");

    let with = |ca: &Ca| {
        let (cert, key) = ca.issue(&["client"], None);
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        builder().with_root_certificates(rig.ca.roots()).with_client_auth_cert(chain, key).unwrap()
    };
    let mut stranger = rig.tls(with(&Ca::new()), "localhost").await.unwrap();
    let _ = stranger.write_all(CLOSE.as_bytes()).await;
    assert_eq!(until_closed(&mut stranger).await, "");
    let mut known = rig.tls(with(&rig.ca), "localhost").await.unwrap();
    assert!(exchange(&mut known, CLOSE).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn where_a_client_certificate_is_optional_a_bad_one_is_worse_than_none() {
    let rig = Rig::start(Wish { client_auth: Some(false), ..Wish::default() }).await;
    let mut without = rig.tls(rig.ca.client(&[]), "localhost").await.unwrap();
    assert!(exchange(&mut without, CLOSE).await.starts_with("HTTP/1.1 200"));

    let (stranger, expired) = (Ca::new().issue(&["client"], None), rig.ca.issue(&["client"], Some(2020)));
    for (cert, key) in [stranger, expired] {
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = builder().with_root_certificates(rig.ca.roots()).with_client_auth_cert(chain, key).unwrap();
        let mut bad = rig.tls(config, "localhost").await.unwrap();
        let _ = bad.write_all(CLOSE.as_bytes()).await;
        assert_eq!(until_closed(&mut bad).await, "");
    }
}

#[tokio::test]
async fn new_certificates_serve_new_handshakes_and_live_connections_go_on() {
    let rig = Rig::start(Wish::default()).await;
    let mut live = rig.h1().await;
    let renewed = rig.ca.write(rig.dir.path(), "a", &["localhost"], None);
    rig.server.tls.store(load(&[renewed], None, false).unwrap().config);
    let fresh = rig.h1().await;
    let certificate =
        |stream: &tokio_rustls::client::TlsStream<_>| stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_ne!(certificate(&live), certificate(&fresh));
    soon(live.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
    assert!(one_answer(&mut live).await.starts_with("HTTP/1.1 200"));
}

#[test]
fn the_earliest_expiry_and_what_is_not_valid_are_told() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let soon = ca.write(dir.path(), "soon", &["a.test"], Some(2031));
    let late = ca.write(dir.path(), "late", &["b.test"], Some(2051));
    let loaded = load(&[late, soon.clone()], None, false).unwrap();
    assert_eq!(loaded.earliest_expiry.to_string(), "2031-01-01T00:00:00Z");
    assert!(loaded.invalid_at("2030-12-31T23:59:59Z".parse().unwrap()).is_empty());
    let faults = loaded.invalid_at("2031-01-01T00:00:00Z".parse().unwrap());
    assert_eq!((faults.len(), faults[0].place), (1, Place::Certificate(1)));
    assert!(matches!(&faults[0].error, TlsError::Expired { file, .. } if *file == soon.cert_file), "{}", faults[0]);
    let faults = loaded.invalid_at("1960-01-01T00:00:00Z".parse().unwrap());
    assert!(faults.iter().all(|fault| matches!(fault.error, TlsError::NotYetValid { .. })), "{faults:?}");
    assert_eq!(faults.len(), 2);
    let der = CertificateDer::from_pem_file(&soon.cert_file).unwrap();
    X509Certificate::from_der(&der).unwrap();
}

#[test]
fn a_certificate_is_worse_only_where_a_valid_one_would_go() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let now = "2040-01-01T00:00:00Z".parse().unwrap();
    let write = |stem, year| load(&[ca.write(dir.path(), stem, &["a.test"], Some(year))], None, false).unwrap();
    let (good, expired, also_expired) = (write("good", 2051), write("old", 2031), write("older", 2030));
    assert_eq!(expired.worse_than(&good, now).len(), 1, "a valid one is in use: keep it");
    assert!(expired.worse_than(&expired, now).is_empty(), "it is in use already");
    assert!(also_expired.worse_than(&expired, now).is_empty(), "nothing is lost");
    assert!(good.worse_than(&expired, now).is_empty());
    let paths = ["good", "old"].map(|stem| CertificatePaths {
        cert_file: dir.path().join(format!("{stem}.crt")),
        key_file: dir.path().join(format!("{stem}.key")),
    });
    let both = load(&paths, None, false).unwrap();
    assert_eq!(both.worse_than(&good, now).len(), 1, "a further one that never was any good");
}

fn clients(ca_file: &Path) -> ClientAuth {
    ClientAuth { ca_file: ca_file.to_owned(), required: true }
}

/// What `load` says, a line a fault.
fn told(result: Result<gatepost::server::tls::LoadedTls, Vec<TlsFault>>) -> String {
    let faults = result.expect_err("a fault");
    faults.iter().map(|fault| format!("{:?} {fault}", fault.place)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_fault_names_its_file() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let good = ca.write(dir.path(), "good", &["a.test"], None);
    let other = ca.write(dir.path(), "other", &["a.test"], None);
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = std::fs::read_to_string(&good.key_file).unwrap();
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let old_encrypted =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let cases: Vec<(CertificatePaths, &str)> = vec![
        (CertificatePaths { cert_file: dir.path().join("absent.crt"), ..good.clone() }, "absent.crt: cannot be read"),
        (CertificatePaths { key_file: dir.path().join("absent.key"), ..good.clone() }, "absent.key: cannot be read"),
        (CertificatePaths { cert_file: write("empty.crt", ""), ..good.clone() }, "empty.crt: holds no PEM certificate"),
        (CertificatePaths { cert_file: good.key_file.clone(), ..good.clone() }, "good.key: holds no PEM certificate"),
        (CertificatePaths { cert_file: write("junk.crt", junk), ..good.clone() }, "junk.crt: certificate 1 is faulty"),
        (CertificatePaths { key_file: good.cert_file.clone(), ..good.clone() }, "good.crt: holds no PEM private key"),
        (
            CertificatePaths { key_file: write("e.key", &encrypted), ..good.clone() },
            "e.key: the private key is encrypted",
        ),
        (
            CertificatePaths { key_file: write("o.key", old_encrypted), ..good.clone() },
            "o.key: the private key is encrypted",
        ),
        (CertificatePaths { key_file: other.key_file, ..good.clone() }, "other.key: is not the key of"),
    ];
    for (paths, expected) in cases {
        let error = told(load(&[paths], None, false));
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(key.lines().nth(1).unwrap()), "quotes the key");
    }
    let none = load(&[], None, false).unwrap_err();
    assert!(matches!(none[..], [TlsFault { place: Place::All, error: TlsError::NoCertificate }]), "{none:?}");
    let error = told(load(std::slice::from_ref(&good), Some(&clients(&good.key_file)), false));
    assert!(error.contains("good.key"), "{error}");
}

/// X.509 version 1, as `openssl x509 -req` makes them without extensions; until 2126.
const V1_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBJDCBywIUBsGavCt5O0HyaLER/1LNsL1Xe6UwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTIyNTQ0MFoYDzIxMjYxMTAxMjI1NDQw
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAT0rZxZRZApXCGKQkD/q7t0XPwCOvGaY3bbOY94GZ5HJ6slKDIp70nOF9RgiWJX
3UCgfY6M8S0IO+pJyCPavNElMAoGCCqGSM49BAMCA0gAMEUCICt+H7xOUNNf6+2V
uRj/HVnGOXKHUkxP9o4nX9vO6CowAiEAn+nhXc+w742n6IVuH6cyMfTY6m8/oRV4
h/Ua8RuOQgU=
-----END CERTIFICATE-----
";

/// A CA's own certificate and its key, written into `dir`.
fn authority(dir: &Path, name: &str, usages: &[rcgen::KeyUsagePurpose]) -> CertificatePaths {
    let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = usages.to_vec();
    let pair = rcgen::KeyPair::generate().unwrap();
    let paths =
        CertificatePaths { cert_file: dir.join(format!("{name}.crt")), key_file: dir.join(format!("{name}.key")) };
    std::fs::write(&paths.cert_file, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&paths.key_file, pair.serialize_pem()).unwrap();
    paths
}

#[test]
fn what_is_no_certificate_file_is_told_from_what_is_a_wrong_one() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let good = ca.write(dir.path(), "good", &["a.test"], None);
    let (der, key) = (
        CertificateDer::from_pem_file(&good.cert_file).unwrap(),
        PrivateKeyDer::from_pem_file(&good.key_file).unwrap(),
    );
    let write = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let cert = |cert_file| CertificatePaths { cert_file, ..good.clone() };
    let key_of = |key_file| CertificatePaths { key_file, ..good.clone() };
    for (paths, expected) in [
        (cert(dir.path().to_owned()), "Certificate(0) {}: cannot be used (it is a directory"),
        (cert(pipe.clone()), "Certificate(0) {}/pipe: cannot be used (it is a FIFO"),
        (key_of(pipe), "Key(0) {}/pipe: cannot be used (it is a FIFO"),
        (cert(write("c.der", &der)), "Certificate(0) {}/c.der: holds no PEM certificate: it is DER"),
        (key_of(write("k.der", key.secret_der())), "Key(0) {}/k.der: holds no PEM private key: it is binary (DER)"),
        (
            cert(write("c.p12", b"\x30\x82\x01\x00junk")),
            "Certificate(0) {}/c.p12: holds no PEM certificate: it is binary",
        ),
        (key_of(write("empty.key", b"\n")), "Key(0) {}/empty.key: holds no PEM private key: it is empty"),
        (cert(good.key_file.clone()), "Certificate(0) {}/good.key: holds no PEM certificate: it holds a private key"),
        (key_of(good.cert_file.clone()), "Key(0) {}/good.crt: holds no PEM private key: it holds a certificate"),
        (
            cert(write("v1.crt", V1_CERTIFICATE.as_bytes())),
            "Certificate(0) {}/v1.crt: certificate 1 is X.509 version 1",
        ),
        (
            authority(dir.path(), "ca", &[rcgen::KeyUsagePurpose::KeyCertSign]),
            "Certificate(0) {}/ca.crt: certificate 1 is a CA's own certificate",
        ),
    ] {
        let error = told(load(&[paths], None, false));
        assert!(error.contains(&expected.replace("{}", &dir.path().display().to_string())), "{expected}: {error}");
    }
}

#[test]
fn an_authority_s_own_certificate_that_clients_may_take_is_told() {
    let dir = tempfile::tempdir().unwrap();
    // Self-signed as `openssl req -x509` makes them, which many clients take: said, not refused.
    let own = authority(dir.path(), "own", &[]);
    let loaded = load(std::slice::from_ref(&own), None, false).unwrap();
    assert_eq!(loaded.authorities().collect::<Vec<_>>(), [(0, own.cert_file.as_path())]);
}

#[test]
fn every_file_s_fault_is_told_at_once() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let good = ca.write(dir.path(), "good", &["a.test"], None);
    let absent = dir.path().join("absent");
    let both = CertificatePaths { cert_file: absent.clone(), key_file: absent.clone() };
    let all = told(load(&[good, both], Some(&clients(&absent)), false));
    for place in ["Certificate(1)", "Key(1)", "ClientAuthorities"] {
        assert!(all.contains(&format!("{place} {}: cannot be read", absent.display())), "{all}");
    }
}

#[test]
fn authorities_of_clients_must_be_able_to_vouch_for_somebody() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let good = ca.write(dir.path(), "good", &["a.test"], None);
    let with = |file: &std::path::Path| load(std::slice::from_ref(&good), Some(&clients(file)), false);
    let (issued, _) = crate::support::certs::Ca::new().leaf(1).write(dir.path());
    let error = told(with(&issued));
    assert!(error.starts_with("ClientAuthorities "), "{error}");
    assert!(error.contains("tls.crt: certificate 1 is not a CA's"), "{error}");
    for (name, pem) in [("ca.pem", ca.pem.as_str()), ("v1.pem", V1_CERTIFICATE)] {
        let file = dir.path().join(name);
        std::fs::write(&file, pem).unwrap();
        assert!(with(&file).is_ok(), "{name}");
    }
}
