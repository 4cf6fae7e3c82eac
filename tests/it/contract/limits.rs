//! Contract 2.2 `[limits]`: what happens at each limit, with small ones configured. Nothing here depends on speed.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{
    Conn, Daemon, Request, Setup, Signer, accepted, assert_refusal, event, eventually, nameless, unique,
};

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// A request whose head has passed every check and whose body is awaited: it is in flight for certain.
fn held(daemon: &Daemon, request: &Request) -> Conn {
    let mut conn = daemon.connect();
    let length = request.body.len().to_string();
    conn.send(&request.clone().header("Expect", "100-continue").header("Content-Length", &length).head());
    assert_eq!(conn.response().status, 100);
    conn
}

#[test]
fn too_many_requests_at_once_are_shed_before_anything_else() {
    let daemon = Setup::new().set("limits", "concurrent_requests", "2").preset("cognigy").start();
    let requests = [cognigy(), cognigy()];
    let mut conns: Vec<Conn> = requests.iter().map(|request| held(&daemon, request)).collect();
    assert_refusal(&daemon.send(&cognigy()), 503, "overloaded");
    assert_refusal(&daemon.send(&cognigy().at("/nowhere")), 503, "overloaded");
    assert_refusal(&daemon.send(&cognigy().method("PUT")), 503, "overloaded");
    daemon.access_where("shed", |record| record["outcome"] == "shed" && record["reason"] == "overloaded");
    assert_eq!(daemon.get("/readyz").status, 200, "the admin listener is not shed");
    for (conn, request) in conns.iter_mut().zip(&requests) {
        conn.send(&request.body);
        accepted(&conn.response());
    }
    drop(conns);
    accepted(&daemon.send(&cognigy()));
}

#[test]
fn an_aborted_request_gives_its_place_back() {
    let daemon = Setup::new().set("limits", "concurrent_requests", "1").preset("cognigy").start();
    for _ in 0..5 {
        drop(held(&daemon, &cognigy()));
        eventually("its place is free", || (daemon.send(&cognigy()).status == 200).then_some(()));
    }
}

#[test]
fn too_many_body_bytes_in_flight_are_shed() {
    let daemon = Setup::new()
        .set("limits", "body_bytes", "65536")
        .set("limits", "body_memory_bytes", "131072")
        .set("limits", "body_timeout", "\"30s\"")
        .preset("cognigy")
        .start();
    let large = || Signer::of("cognigy").sign(format!("{{\"n\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(60_000)));
    let requests = [large(), large()];
    let mut conns: Vec<Conn> = requests.iter().map(|request| held(&daemon, request)).collect();
    for (conn, request) in conns.iter_mut().zip(&requests) {
        conn.send(&request.body[..request.body.len() - 1]);
    }
    eventually("both bodies are in memory", || {
        (daemon.scrape().count("gatepost_body_memory_bytes", &[]) >= 119_000).then_some(())
    });
    assert_refusal(&daemon.send(&large()), 503, "overloaded");
    for (conn, request) in conns.iter_mut().zip(&requests) {
        conn.send(&request.body[request.body.len() - 1..]);
        accepted(&conn.response());
    }
    accepted(&daemon.send(&large()));
    eventually("all of it is given back", || {
        (daemon.scrape().count("gatepost_body_memory_bytes", &[]) == 0).then_some(())
    });
}

#[test]
fn a_body_that_does_not_come_in_time_is_408() {
    let daemon = Setup::new().set("limits", "body_timeout", "\"1s\"").preset("cognigy").start();
    for sent in [0, 10] {
        let request = cognigy();
        let mut conn = held(&daemon, &request);
        conn.send(&request.body[..sent]);
        assert_refusal(&conn.response(), 408, "body_timeout");
    }
    // A trickle is no progress: the deadline is for the whole body.
    let request = Signer::of("cognigy").sign(format!("{{\"n\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(1000)));
    let mut conn = held(&daemon, &request);
    let mut trickle = request.body.iter();
    eventually("408 for a trickle", || {
        conn.send(&[*trickle.next().expect("the deadline passes before a thousand pauses")]);
        (!conn.is_silent_for(Duration::from_millis(50))).then_some(())
    });
    assert_refusal(&conn.response(), 408, "body_timeout");
}

#[test]
fn heads_and_idle_connections_have_a_deadline() {
    let setup = Setup::new().set("limits", "header_timeout", "\"1s\"").set("limits", "idle_timeout", "\"2s\"");
    let daemon = setup.preset("cognigy").start();
    let mut half = daemon.connect();
    half.send(b"POST /webhook/cognigy HTTP/1.1\r\nHost: a\r\n");
    assert!(
        half.all_responses_slow().iter().all(|response| response.status == 408),
        "half a head is closed, maybe with 408"
    );
    let mut idle = daemon.connect();
    assert_eq!(idle.ask(&cognigy()).status, 200);
    assert!(idle.closes(), "an idle connection is closed");
    let mut silent = daemon.connect();
    assert!(silent.closes(), "a connection that never asks is closed");
    let mut h2 = Conn::open(daemon.webhook, crate::support::wire::client_config(&daemon.ca, &["h2"])).unwrap();
    // A client that says nothing at all after the handshake; the server may send its own settings first.
    eventually("a silent h2 connection is closed", || {
        let mut piece = [0; 1024];
        matches!(h2.tls.read(&mut piece), Ok(0) | Err(_)).then_some(())
    });
}

#[test]
fn connections_per_client_are_limited() {
    let setup = Setup::new().set("listener", "max_connections_per_client", "3");
    let daemon = setup.set("limits", "handshake_timeout", "\"20s\"").preset("cognigy").start();
    let mut held: Vec<Conn> = (0..3).map(|_| daemon.connect()).collect();
    for conn in &mut held {
        assert_eq!(conn.ask(&cognigy()).status, 200);
    }
    let mut fourth = TcpStream::connect(daemon.webhook).unwrap();
    fourth.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(
        matches!(fourth.read(&mut [0; 1]), Ok(0))
            || fourth.take_error().is_ok_and(|error| error.is_some())
            || Conn::over(fourth, crate::support::wire::client_config(&daemon.ca, &[])).is_err(),
        "a fourth connection is turned away"
    );
    drop(held);
    let again = || Conn::open(daemon.webhook, crate::support::wire::client_config(&daemon.ca, &[])).ok();
    assert_eq!(eventually("room again", || again()?.try_ask(&cognigy())).status, 200);
}

#[test]
fn a_source_may_have_its_own_limit() {
    let daemon = Setup::new()
        .set("limits", "body_bytes", "2000")
        .preset("nice")
        .preset_at("wide", "nice", "/webhooks/wide", "body_bytes = 100000")
        .preset_at("narrow", "nice", "/webhooks/narrow", "body_bytes = 50")
        .start();
    let body = |length: usize| format!("{{\"eventId\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(length));
    for (path, length, status) in [
        ("/webhooks/nice", 1000, 200),
        ("/webhooks/nice", 3000, 413),
        ("/webhooks/wide", 90_000, 200),
        ("/webhooks/wide", 110_000, 413),
        ("/webhooks/narrow", 100, 413),
    ] {
        let response = daemon.send(&Signer::of("nice").target(path).sign(body(length)));
        assert_eq!(response.status, status, "{path} {length}: {response:?}");
    }
    assert_eq!(daemon.send(&Signer::of("nice").sign(event(&unique()))).status, 200);
}
