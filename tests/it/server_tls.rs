//! TLS as the listener speaks it: 1.3 only, nothing to resume, the right certificate, client certificates.

use gatepost::server::tls::{CertificatePaths, TlsError, load};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::server_rig::{Ca, Rig, Wish, builder, exchange, one_answer, soon, until_closed};

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
    let rig = Rig::start(Wish { client_ca: true, ..Wish::default() }).await;
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
fn the_earliest_expiry_is_told_and_an_expired_leaf_refused() {
    let (ca, dir) = (Ca::new(), tempfile::tempdir().unwrap());
    let soon = ca.write(dir.path(), "soon", &["a.test"], Some(2031));
    let late = ca.write(dir.path(), "late", &["b.test"], Some(2051));
    let loaded = load(&[late, soon.clone()], None, false).unwrap();
    assert_eq!(loaded.earliest_expiry.to_string(), "2031-01-01T00:00:00Z");
    let loaded = loaded.valid_at("2030-12-31T23:59:59Z".parse().unwrap()).unwrap();
    let error = loaded.valid_at("2031-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(matches!(&error, TlsError::Expired { file, .. } if *file == soon.cert_file), "{error}");
    let der = CertificateDer::from_pem_file(&soon.cert_file).unwrap();
    X509Certificate::from_der(&der).unwrap();
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
        let error = load(&[paths], None, false).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(key.lines().nth(1).unwrap()), "quotes the key");
    }
    assert!(matches!(load(&[], None, false), Err(TlsError::NoCertificate)));
    let error = load(std::slice::from_ref(&good), Some(&good.key_file), false).unwrap_err().to_string();
    assert!(error.contains("good.key"), "{error}");
}
