//! TLS: 1.3 only, no tickets, ALPN, nothing but TLS on the port; 1.2 and client certificates where configured.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};

use crate::support::certs::Ca;
use crate::support::wire::{client_config, client_config_of};
use crate::support::{Conn, Setup, Signer, eventually, nameless};

fn setup() -> Setup {
    Setup::new().preset("cognigy")
}

#[test]
fn tls_1_3_only() {
    let daemon = setup().start();
    let old = client_config_of(&daemon.ca, &["http/1.1"], &[&TLS12]);
    assert!(Conn::open(daemon.webhook, old).is_err(), "TLS 1.2 must be refused");
    let both = Conn::open(daemon.webhook, client_config_of(&daemon.ca, &[], &[&TLS12, &TLS13])).unwrap();
    assert_eq!(both.tls.conn.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    eventually("handshakes are counted", || {
        let scrape = daemon.scrape();
        let of = |outcome| scrape.get("gatepost_tls_handshakes_total", &[("outcome", outcome)]);
        (of("ok") >= 1.0 && of("failed") >= 1.0).then_some(())
    });
}

#[test]
fn tls_1_2_is_an_escape_hatch_that_warns() {
    let daemon = setup().set("tls", "min_version", "\"1.2\"").start();
    let old = client_config_of(&daemon.ca, &["http/1.1"], &[&TLS12]);
    let mut conn = Conn::open(daemon.webhook, old).unwrap();
    assert_eq!(conn.ask(&Signer::of("cognigy").sign(nameless())).status, 200);
    let warned = |record: &serde_json::Value| record["level"] == "WARN" && record.to_string().contains("1.2");
    assert!(daemon.logs().iter().any(warned), "no warning: {}", daemon.out());
}

#[test]
fn alpn() {
    let daemon = setup().start();
    for (offered, wanted) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let conn = Conn::open(daemon.webhook, client_config(&daemon.ca, offered)).unwrap();
        assert_eq!(conn.tls.conn.alpn_protocol(), wanted.map(str::as_bytes), "{offered:?}");
    }
    let mut none = Conn::open(daemon.webhook, client_config(&daemon.ca, &[])).unwrap();
    assert_eq!(none.ask(&Signer::of("cognigy").sign(nameless())).status, 200, "without ALPN HTTP/1.1 is spoken");
    assert!(Conn::open(daemon.webhook, client_config(&daemon.ca, &["spdy/3"])).is_err());
}

#[test]
fn no_tickets_no_resumption_no_early_data() {
    let daemon = setup().start();
    let mut config = Arc::unwrap_or_clone(client_config(&daemon.ca, &["http/1.1"]));
    config.enable_early_data = true;
    let config: Arc<ClientConfig> = Arc::new(config);
    for round in 0..3 {
        let mut conn = Conn::open(daemon.webhook, Arc::clone(&config)).unwrap();
        assert_eq!(conn.ask(&Signer::of("cognigy").sign(nameless())).status, 200);
        assert_eq!(conn.tls.conn.tls13_tickets_received(), 0, "round {round}");
        let kind = conn.tls.conn.handshake_kind();
        assert!(!matches!(kind, Some(HandshakeKind::Resumed)), "round {round}: {kind:?}");
        assert!(!conn.tls.conn.is_early_data_accepted());
    }
}

#[test]
fn what_is_no_tls_is_closed_without_an_answer() {
    let daemon = setup().set("limits", "handshake_timeout", "\"1s\"").start();
    let plain: [&[u8]; 5] = [
        b"POST /webhook/cognigy HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\xff\xff",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"",
    ];
    for bytes in plain {
        let mut stream = TcpStream::connect(daemon.webhook).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{bytes:?} is held open");
        }
        assert!(!answer.starts_with(b"HTTP"), "{bytes:?} was answered: {:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(daemon.send(&Signer::of("cognigy").sign(nameless())).status, 200);
}

#[test]
fn a_client_ca_makes_client_certificates_required() {
    let (clients, strangers) = (Ca::new(), Ca::new());
    let setup = setup();
    let file = setup.write("clients.pem", clients.pem());
    let daemon = setup.set("tls", "client_ca_file", &file).start();
    let with = |ca: &Ca| {
        let (chain, key) = ca.leaf(7).der();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).unwrap();
        let mut config = builder.with_root_certificates(daemon.ca.roots()).with_client_auth_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    };
    let request = Signer::of("cognigy").sign(nameless());
    let ask = |config: Arc<ClientConfig>| {
        let mut conn = Conn::open(daemon.webhook, config).ok()?;
        conn.send(&request.bytes());
        conn.try_response().map(|response| response.status)
    };
    assert_eq!(ask(client_config(&daemon.ca, &["http/1.1"])), None, "no certificate");
    assert_eq!(ask(with(&strangers)), None, "a stranger's certificate");
    assert_eq!(ask(with(&clients)), Some(200));
}

#[test]
fn the_expiry_of_the_certificate_is_a_metric() {
    let daemon = setup().start();
    let expiry = daemon.scrape().get("gatepost_tls_certificate_expiry_timestamp_seconds", &[]);
    // The test certificates carry the far-away date of the library that makes them: 4096-01-01.
    assert!((expiry - 67_090_118_400.0).abs() < 2.0 * 86_400.0, "{expiry}");
}
