//! Connections that come to nothing: at `info` one record a reason and minute, with what to do.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use serde_json::Value;

use crate::support::certs::Ca;
use crate::support::daemon::PATIENCE;
use crate::support::wire::{client_config, client_config_of};
use crate::support::{Conn, Daemon, Request, Setup, eventually};

/// The record of `reason`, which must come.
#[track_caller]
fn said(daemon: &Daemon, reason: &str) -> Value {
    eventually(reason, || {
        daemon.logs().into_iter().find(|record| record["reason"] == reason && record["level"] == "INFO")
    })
}

/// A TLS client that is to be turned away.
fn refused(daemon: &Daemon, config: Arc<ClientConfig>) {
    if let Ok(mut conn) = Conn::open(daemon.webhook, config) {
        // In TLS 1.3 a client hears of it only when it reads.
        assert!(conn.try_ask(&Request::new("GET", "/healthz")).is_none());
    }
}

/// Sends bytes that are no handshake and waits for the end.
fn raw(daemon: &Daemon, bytes: &[u8]) {
    let mut stream = TcpStream::connect(daemon.webhook).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(bytes);
    let _ = stream.read_to_end(&mut Vec::new());
}

#[test]
fn a_handshake_that_fails_says_why_and_what_to_do() {
    let daemon = Setup::new().set("limits", "handshake_timeout", "\"1s\"").preset("cognigy").start();
    refused(&daemon, client_config_of(&daemon.ca, &[], &[&rustls::version::TLS12]));
    refused(&daemon, client_config(&daemon.ca, &["spdy/3"]));
    refused(&daemon, client_config(&Ca::new(), &[]));
    raw(&daemon, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    raw(&daemon, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    raw(&daemon, b"SSH-2.0-OpenSSH_9.2p1\r\n");
    raw(&daemon, b"");
    for (reason, advice) in [
        ("old_tls", "tls.min_version"),
        ("unknown_protocol", "ALPN"),
        ("our_certificate_refused", "tls.cert_file"),
        ("plain_http", "https://"),
        ("unexpected_proxy_header", "listener.proxy_protocol"),
        ("not_tls", "not TLS"),
        ("no_client_hello", "no TLS"),
    ] {
        let record = said(&daemon, reason);
        assert_eq!(record["message"], "TLS handshake failed", "{record}");
        assert_eq!((&record["peer_ip"], &record["count"]), (&"127.0.0.1".into(), &1.into()), "{record}");
        assert!(record["advice"].as_str().unwrap().contains(advice), "{record}");
    }
    assert!(said(&daemon, "our_certificate_refused")["error"].as_str().unwrap().contains("alert"));
    let failed = daemon.scrape().count("gatepost_tls_handshakes_total", &[("outcome", "failed")]);
    assert_eq!(failed, 7);
}

#[test]
fn a_flood_is_one_record() {
    let daemon = Setup::new().preset("cognigy").start();
    for _ in 0..50 {
        raw(&daemon, b"GET / HTTP/1.1\r\n\r\n");
    }
    eventually("all are counted", || {
        (daemon.scrape().count("gatepost_tls_handshakes_total", &[("outcome", "failed")]) == 50).then_some(())
    });
    said(&daemon, "plain_http");
    let records = daemon.logs().into_iter().filter(|record| record["reason"] == "plain_http").count();
    assert_eq!(records, 1, "{}", daemon.out());
    // Nobody came: a load balancer that only connects is no news.
    for _ in 0..5 {
        drop(TcpStream::connect(daemon.webhook).unwrap());
    }
    assert_eq!(daemon.get("/readyz").status, 200);
    assert!(!daemon.out().contains("no_client_hello") && !daemon.out().contains("went_away"), "{}", daemon.out());
}

#[test]
fn client_certificates_that_are_missing_or_strange_are_told_apart() {
    let setup = Setup::new().preset("cognigy");
    let authority = setup.write("clients.pem", Ca::new().pem());
    let daemon = setup.set("tls", "client_ca_file", &authority).start();
    refused(&daemon, client_config(&daemon.ca, &[]));
    let stranger = daemon.ca.leaf(7);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (chain, key) = stranger.der();
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(daemon.ca.roots())
        .with_client_auth_cert(chain, key)
        .unwrap();
    refused(&daemon, Arc::new(config));
    for reason in ["no_client_certificate", "unknown_client_ca"] {
        assert!(said(&daemon, reason)["advice"].as_str().unwrap().contains("tls.client_ca_file"));
    }
}

#[test]
fn a_missing_proxy_header_says_so() {
    let setup = Setup::new()
        .set("listener", "proxy_protocol", "\"required\"")
        .set("listener", "trusted_proxies", "[\"127.0.0.0/8\"]")
        .set("limits", "handshake_timeout", "\"1s\"");
    let daemon = setup.preset("cognigy").start();
    refused(&daemon, client_config(&daemon.ca, &[]));
    raw(&daemon, b"");
    for reason in ["bad_proxy_header", "no_proxy_header"] {
        let record = said(&daemon, reason);
        assert!(record["advice"].as_str().unwrap().contains("make the proxy send one"), "{record}");
    }
    let setup = Setup::new().set("listener", "proxy_protocol", "\"required\"").set(
        "listener",
        "trusted_proxies",
        "[\"192.0.2.0/24\"]",
    );
    let daemon = setup.preset("cognigy").start();
    raw(&daemon, b"PROXY UNKNOWN\r\n");
    assert!(said(&daemon, "untrusted_proxy")["advice"].as_str().unwrap().contains("listener.trusted_proxies"));
}
