//! Client certificates as identity: who is let in by which pin, in which order, over which connection, and until when.

use std::io::Write as _;
use std::net::TcpStream;

use rcgen::{KeyPair, SanType};
use sha2::{Digest as _, Sha256};

use crate::support::certs::{Ca, Leaf};
use crate::support::http2::Http2;
use crate::support::wire::{client_config, client_config_with};
use crate::support::{Conn, Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, digest_id, nameless};

pub(super) const PATH: &str = "/pinned";
const MISMATCH: &str = "client_certificate_mismatch";

pub(super) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// The pin of a key: SHA-256 of its `SubjectPublicKeyInfo`, as another library writes that.
pub(super) fn spki(key: &KeyPair) -> String {
    use rcgen::PublicKeyData as _;
    hex::encode(Sha256::digest(key.subject_public_key_info()))
}

pub(super) fn san(names: &[&str]) -> String {
    names.iter().map(|name| format!("{{ san = \"{name}\" }}")).collect::<Vec<_>>().join(", ")
}

/// A listener that asks for certificates of `clients`, and a source of certificates alone that takes `pins`.
pub(super) fn pinned(clients: &Ca, client_auth: &str, pins: &str) -> Setup {
    let setup = Setup::new();
    let file = setup.write("clients.pem", clients.pem());
    let rest = format!("path = \"{PATH}\"\nclient_certificates = [{pins}]");
    let setup = setup.set("tls", "client_ca_file", &file).set("tls", "client_auth", &format!("\"{client_auth}\""));
    setup.source("pinned", "client-certificate", &rest)
}

pub(super) fn request() -> Request {
    Request::post(PATH).header("Content-Type", "application/json").body(&nameless())
}

/// The answer to `request` on a connection that shows `client`; `None` where the handshake fails.
pub(super) fn ask(daemon: &Daemon, client: Option<&Leaf>, request: &Request) -> Option<Response> {
    let config = match client {
        Some(client) => client_config_with(&daemon.ca, &["http/1.1"], client),
        None => client_config(&daemon.ca, &["http/1.1"]),
    };
    let mut conn = Conn::open(daemon.webhook, config).ok()?;
    conn.send(&request.bytes());
    conn.try_response()
}

#[track_caller]
fn lets_in(daemon: &Daemon, client: &Leaf) {
    accepted(&ask(daemon, Some(client), &request()).expect("an answer"));
}

#[track_caller]
fn keeps_out(daemon: &Daemon, client: Option<&Leaf>) {
    assert_refusal(&ask(daemon, client, &request()).expect("an answer"), 401, MISMATCH);
}

#[test]
fn only_the_certificates_that_are_pinned_are_let_in() {
    let (clients, strangers) = (Ca::new(), Ca::new());
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let pins = format!("{}, {{ spki_sha256 = \"{}\" }}", san(&["dns:a.example"]), spki(&key));
    let daemon = pinned(&clients, "optional", &pins).start();

    lets_in(&daemon, &clients.client(&other, vec![dns("a.example")], 2020, 4096));
    lets_in(&daemon, &clients.client(&other, vec![dns("z.example"), dns("a.example")], 2020, 4096));
    lets_in(&daemon, &clients.client(&key, Vec::new(), 2020, 4096));
    // Renewed with the same key.
    lets_in(&daemon, &clients.client(&key, vec![dns("new.example")], 2021, 4095));

    keeps_out(&daemon, None);
    keeps_out(&daemon, Some(&clients.client(&other, vec![dns("b.example")], 2020, 4096)));
    keeps_out(&daemon, Some(&clients.client(&other, Vec::new(), 2020, 4096)));

    // A bad certificate is worse than none, and says nothing of the sender whatever is in it.
    let bad = [
        strangers.client(&other, vec![dns("a.example")], 2020, 4096),
        strangers.client(&key, Vec::new(), 2020, 4096),
        clients.client(&other, vec![dns("a.example")], 2020, 2021),
        clients.client(&other, vec![dns("a.example")], 4000, 4096),
    ];
    for client in &bad {
        assert!(ask(&daemon, Some(client), &request()).is_none(), "the handshake of a bad certificate");
    }
}

#[test]
fn names_are_exact_and_of_their_kind() {
    let clients = Ca::new();
    let pins = san(&["dns:a.example", "uri:spiffe://example/a", "email:ops@example.com"]);
    let daemon = pinned(&clients, "required", &pins).start();
    let key = KeyPair::generate().unwrap();
    let with = |name: SanType| clients.client(&key, vec![name], 2020, 4096);
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let email = |text: &str| SanType::Rfc822Name(text.try_into().unwrap());
    for good in [dns("a.example"), uri("spiffe://example/a"), email("ops@example.com")] {
        lets_in(&daemon, &with(good));
    }
    for bad in [
        dns("*.example"),
        dns("A.example"),
        dns("a.example.com"),
        dns("x.a.example"),
        uri("dns:a.example"),
        uri("a.example"),
        uri("spiffe://example/a/b"),
        uri("spiffe://example/A"),
        email("a.example"),
        email("ops@Example.com"),
        dns("ops.example.com"),
        SanType::IpAddress([127, 0, 0, 1].into()),
    ] {
        keeps_out(&daemon, Some(&with(bad)));
    }
}

#[test]
fn beside_a_signature_both_must_hold_and_other_sources_need_none() {
    let clients = Ca::new();
    let pins = format!("client_certificates = [{}]", san(&["dns:a.example"]));
    let daemon = pinned(&clients, "optional", &san(&["dns:other.example"]))
        .preset("cognigy")
        .preset_at("both", "cognigy", "/both", &pins)
        .start();
    let key = KeyPair::generate().unwrap();
    let client = clients.client(&key, vec![dns("a.example")], 2020, 4096);
    let good = || Signer::of("cognigy").target("/both").sign(nameless());
    accepted(&ask(&daemon, Some(&client), &good()).unwrap());
    assert_refusal(&ask(&daemon, None, &good()).unwrap(), 401, MISMATCH);
    assert_refusal(&ask(&daemon, Some(&client), &good().body(b"{}")).unwrap(), 401, "signature_mismatch");
    accepted(&ask(&daemon, None, &Signer::of("cognigy").sign(nameless())).unwrap());
    accepted(&ask(&daemon, Some(&client), &Signer::of("cognigy").sign(nameless())).unwrap());
    // No header says what a certificate does.
    let claims = good().header("Client-Cert", ":AAAA:").header("X-Client-Cert", "a.example").header(":client-cert", "");
    assert_ne!(ask(&daemon, None, &claims).unwrap().status, 200);
}

#[test]
fn it_is_refused_with_the_head_after_the_address_and_before_time_and_signature() {
    let clients = Ca::new();
    let pins = format!("client_certificates = [{}]", san(&["dns:a.example"]));
    let elsewhere = format!("{pins}\nallowed_ips = [\"192.0.2.0/24\"]");
    let daemon = pinned(&clients, "optional", &san(&["dns:a.example"]))
        .set("limits", "body_bytes", "4096")
        .preset_at("both", "cognigy", "/both", &pins)
        .preset_at("elsewhere", "cognigy", "/elsewhere", &elsewhere)
        .start();
    let good = |path: &str| Signer::of("cognigy").target(path).sign(nameless());
    let rows = [
        ("415 first", good("/both").set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        ("413 first", good("/both").body(&[b' '; 5000]), 413, "payload_too_large"),
        ("403 first", good("/elsewhere"), 403, "ip_not_whitelisted"),
        ("before the timestamp", good("/both").without("X-Cognigy-Timestamp"), 401, MISMATCH),
        ("before its form", good("/both").set("X-Cognigy-Timestamp", "soon"), 401, MISMATCH),
        ("before the window", Signer::of("cognigy").shifted(-4000).target("/both").sign(nameless()), 401, MISMATCH),
        ("before the signature", good("/both").without("X-Cognigy-Signature"), 401, MISMATCH),
        ("before JSON", request().body(b"{"), 401, MISMATCH),
    ];
    for (what, request, status, reason) in rows {
        let response = ask(&daemon, None, &request).unwrap();
        assert_eq!(response.reason(), reason, "{what}: {response:?}");
        assert_refusal(&response, status, reason);
    }
    // No byte of the body is asked for.
    let waits = request().header("Expect", "100-continue");
    let mut conn = daemon.connect();
    conn.send(&waits.head());
    assert_refusal(&conn.response(), 401, MISMATCH);
}

#[test]
fn http_2_carries_the_certificate_to_every_stream() {
    let clients = Ca::new();
    let daemon = pinned(&clients, "optional", &san(&["dns:a.example"])).start();
    let key = KeyPair::generate().unwrap();
    let open = |name: &str| {
        let client = clients.client(&key, vec![dns(name)], 2020, 4096);
        Http2::open_with(&daemon, client_config_with(&daemon.ca, &["h2"], &client))
    };
    let requests: Vec<Request> = (0..5).map(|_| request()).collect();
    for answer in open("a.example").ask_all(&requests) {
        accepted(&answer.unwrap());
    }
    assert_refusal(&open("b.example").ask(&request()).unwrap(), 401, MISMATCH);
    assert_refusal(&Http2::open(&daemon).ask(&request()).unwrap(), 401, MISMATCH);
}

#[test]
fn a_certificate_comes_through_a_proxy_that_passes_tls_on() {
    let clients = Ca::new();
    let setup = pinned(&clients, "optional", &san(&["dns:a.example"]))
        .set("listener", "proxy_protocol", "\"required\"")
        .set("listener", "trusted_proxies", "[\"127.0.0.1\"]")
        .replace("127.0.0.0/8", "192.0.2.1");
    let daemon = setup.start();
    let ask = |name: &str| {
        let client = clients.client(&KeyPair::generate().unwrap(), vec![dns(name)], 2020, 4096);
        let mut stream = TcpStream::connect(daemon.webhook).unwrap();
        stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n").unwrap();
        let mut conn = Conn::over(stream, client_config_with(&daemon.ca, &["http/1.1"], &client)).unwrap();
        conn.ask(&request())
    };
    accepted(&ask("a.example"));
    assert_refusal(&ask("b.example"), 401, MISMATCH);
}

#[test]
fn a_pin_that_is_taken_away_ends_live_connections_rights_and_a_new_one_gives_them() {
    let clients = Ca::new();
    let setup = pinned(&clients, "optional", &san(&["dns:a.example", "dns:b.example"]));
    let daemon = setup.start();
    let key = KeyPair::generate().unwrap();
    let client = |name: &str| clients.client(&key, vec![dns(name)], 2020, 4096);
    let open = |name: &str, alpn: &str| client_config_with(&daemon.ca, &[alpn], &client(name));
    let mut a = Conn::open(daemon.webhook, open("a.example", "http/1.1")).unwrap();
    let mut b = Conn::open(daemon.webhook, open("b.example", "http/1.1")).unwrap();
    let mut a2 = Http2::open_with(&daemon, open("a.example", "h2"));
    accepted(&a.ask(&request()));
    accepted(&b.ask(&request()));
    accepted(&a2.ask(&request()).unwrap());
    let setup = setup.replace(&san(&["dns:a.example", "dns:b.example"]), &san(&["dns:b.example"]));
    let changes = daemon.reload(&setup);
    assert!(changes.contains("source pinned"), "{changes}");
    assert_refusal(&a.ask(&request()), 401, MISMATCH);
    assert_refusal(&a2.ask(&request()).unwrap(), 401, MISMATCH);
    accepted(&b.ask(&request()));
    daemon.reload(&setup.replace("dns:b.example", "dns:a.example"));
    let mut again = Conn::open(daemon.webhook, open("a.example", "http/1.1")).unwrap();
    accepted(&again.ask(&request()));
    accepted(&a2.ask(&request()).unwrap());
    assert_refusal(&ask(&daemon, Some(&client("b.example")), &request()).unwrap(), 401, MISMATCH);
}

#[test]
fn a_listener_that_begins_to_require_certificates_lets_nobody_new_in_without() {
    let clients = Ca::new();
    let setup = pinned(&clients, "optional", &san(&["dns:a.example"])).preset("cognigy");
    let daemon = setup.start();
    let unsigned = || Signer::of("cognigy").sign(nameless());
    accepted(&ask(&daemon, None, &unsigned()).unwrap());
    daemon.reload(&setup.set("tls", "client_auth", "\"required\""));
    assert!(ask(&daemon, None, &unsigned()).is_none());
}

#[test]
fn where_nothing_is_signed_ids_come_from_the_body_or_any_header() {
    let clients = Ca::new();
    let pins = format!(
        "client_certificates = [{}]\npath = \"/by-header\"\nevent_id = \"header:X-Id\"",
        san(&["dns:a.example"])
    );
    let daemon =
        pinned(&clients, "optional", &san(&["dns:a.example"])).source("by-header", "client-certificate", &pins).start();
    let client = clients.client(&KeyPair::generate().unwrap(), vec![dns("a.example")], 2020, 4096);
    let request = request();
    let answer = accepted(&ask(&daemon, Some(&client), &request).unwrap());
    assert_eq!(answer["id"], digest_id(&request.body));
    assert_eq!(answer["status"], "accepted");
    assert_eq!(accepted(&ask(&daemon, Some(&client), &request).unwrap())["duplicate"], true);
    let named = request.at("/by-header").header("X-Id", "e-1");
    assert_eq!(accepted(&ask(&daemon, Some(&client), &named).unwrap())["id"], "e-1");
    // Twice is no choice.
    let twice = named.clone().header("X-Id", "e-2");
    assert_eq!(ask(&daemon, Some(&client), &twice).unwrap().status, 400);
}
