//! Heads that are never finished: what they hold is bounded, by client and in all, and nobody else notices.

use crate::support::crowd::many_descriptors;
use crate::support::{Conn, Daemon, Setup, Signer, accepted, eventually, nameless};

const CONNECTIONS: usize = 400;
/// Beyond what is read at all; as much of it as one may send without being refused is below.
const PIECE: usize = 44 * 1024;
/// What one client's unfinished heads may hold beyond each connection's first buffer.
const SHARE: usize = 8 * 1024 * 1024;
/// An idle TLS connection, and its first buffer, in a development build.
const IDLE: usize = 40 * 1024;

fn resident(daemon: &Daemon) -> usize {
    usize::try_from(daemon.scrape().count("process_resident_memory_bytes", &[])).unwrap()
}

#[test]
fn unfinished_heads_hold_a_bounded_amount_and_good_requests_pass() {
    many_descriptors(4096);
    let setup = Setup::new().set("limits", "header_timeout", "\"10m\"").set("limits", "handshake_timeout", "\"10m\"");
    let daemon = setup.preset("cognigy").start();
    let mut good = daemon.connect();
    accepted(&good.ask(&Signer::of("cognigy").sign(nameless())));
    let base = resident(&daemon);
    let mut crowd: Vec<Conn> = (0..CONNECTIONS).map(|_| daemon.connect()).collect();
    let idle = resident(&daemon);
    for conn in &mut crowd {
        conn.send(format!("POST /webhook/cognigy HTTP/1.1\r\nHost: a\r\nX-Long: {}", "y".repeat(PIECE)).as_bytes());
    }
    eventually("the share is told", || daemon.out().contains("head_memory").then_some(()));
    let open = eventually("those beyond it are closed", || {
        let open = usize::try_from(daemon.scrape().count("gatepost_connections", &[])).unwrap() - 1;
        (open <= CONNECTIONS - 100).then_some(open)
    });
    let full = resident(&daemon);
    eprintln!(
        "{CONNECTIONS} connections: {} KiB each; {open} unfinished heads of {} KiB: {} KiB each more, {} KiB in all",
        (idle - base) / CONNECTIONS / 1024,
        PIECE / 1024,
        full.saturating_sub(idle) / open / 1024,
        full.saturating_sub(idle) / 1024
    );
    assert!(full < base + CONNECTIONS * IDLE + 3 * SHARE, "{base} before, {full} with {open} heads");
    for _ in 0..20 {
        accepted(&good.ask(&Signer::of("cognigy").sign(nameless())));
        accepted(&daemon.send(&Signer::of("cognigy").sign(nameless())));
    }
    // What the crowd held is given back.
    drop(crowd);
    eventually("all are gone", || (daemon.scrape().count("gatepost_connections", &[]) == 1).then_some(()));
    let mut late = daemon.connect();
    let large = Signer::of("cognigy").sign(nameless()).header("X-Long", &"y".repeat(30 * 1024));
    accepted(&late.ask(&large));
    accepted(&late.ask(&large.set("X-Long", "short")));
}

#[test]
fn heads_that_were_answered_count_no_longer() {
    let daemon = Setup::new().preset("cognigy").start();
    let mut conn = daemon.connect();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(8000));
    // More in all than a client's heads may hold at once, one after the other.
    for _ in 0..1500 {
        conn.send(request.as_bytes());
        assert_eq!(conn.response().status, 200);
    }
}
