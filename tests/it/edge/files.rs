//! Descriptors: the limit is raised where it may be; without any left no connection can be accepted, what is open is
//! served on, and it ends when they come back.

use std::net::TcpStream;

use crate::support::{Daemon, Request, Setup, Signer, accepted, eventually, nameless};

/// Little, but enough to start: store, listeners, runtime and watches take some thirty.
const DESCRIPTORS: u32 = 64;
/// More connections than that.
const CROWD: usize = 100;

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

/// What the webhook listener says; the admin listener may run out of them as well, and says so for itself.
fn complaints(daemon: &Daemon) -> usize {
    let ours = |record: &&serde_json::Value| {
        record["level"] == "ERROR"
            && record["listener"] == "webhook"
            && record["message"].as_str().is_some_and(|text| text.contains("cannot accept"))
    };
    daemon.logs().iter().filter(ours).count()
}

#[test]
fn out_of_descriptors_passes() {
    let setup = Setup::new().set("limits", "handshake_timeout", "\"5m\"").set("limits", "idle_timeout", "\"5m\"");
    let mut daemon = setup.preset("cognigy").open_files(DESCRIPTORS).start();
    let mut kept = daemon.connect();
    accepted(&kept.ask(&cognigy()));
    // The kernel completes these; accepting them is what fails.
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| TcpStream::connect(daemon.webhook).unwrap()).collect();
    eventually("the error record", || (complaints(&daemon) > 0).then_some(()));
    for _ in 0..50 {
        accepted(&kept.ask(&cognigy()));
        assert_eq!(daemon.get("/readyz").status, 200, "a probe gets in all the same");
        assert_eq!(daemon.get("/metrics").status, 200);
    }
    assert_eq!(complaints(&daemon), 1, "one record for one episode: {}", daemon.out());
    drop(crowd);
    for _ in 0..20 {
        accepted(&daemon.send(&cognigy()));
    }
    accepted(&kept.ask(&cognigy()));
    assert_eq!(daemon.get("/readyz").status, 200);
    assert!(daemon.runs());
    assert_eq!(complaints(&daemon), 1, "{}", daemon.out());
}

#[test]
fn a_low_limit_that_may_be_raised_is_raised() {
    let idle = Setup::new().set("limits", "handshake_timeout", "\"5m\"").set("limits", "idle_timeout", "\"5m\"");
    let daemon = idle.preset("cognigy").open_files_at_first(DESCRIPTORS).start();
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| TcpStream::connect(daemon.webhook).unwrap()).collect();
    let open = || daemon.scrape().count("gatepost_connections", &[]);
    eventually("all are accepted", || (open() >= i64::try_from(crowd.len()).unwrap()).then_some(()));
    accepted(&daemon.send(&cognigy()));
    assert_eq!(complaints(&daemon), 0, "{}", daemon.out());
}

#[test]
fn a_limit_below_max_connections_is_told_at_start() {
    let told = |daemon: &Daemon| daemon.logs().iter().any(|record| record["max_connections"] == 500);
    let few =
        |limit| Setup::new().set("listener", "max_connections", "500").preset("cognigy").open_files(limit).start();
    assert!(told(&few(DESCRIPTORS)));
    assert!(!told(&few(800)));
}

#[test]
fn where_not_all_connections_fit_fewer_are_taken_and_the_rest_keeps_its_descriptors() {
    let setup = Setup::new().set("limits", "handshake_timeout", "\"5m\"").set("listener", "max_connections", "500");
    let mut daemon = setup.preset("cognigy").open_files(228).start();
    // One after the other: the longest silent makes room for the next.
    let crowd: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(daemon.webhook).unwrap()).collect();
    let open = || daemon.scrape().count("gatepost_connections", &[]);
    eventually("as many as fit", || (open() == 100).then_some(()));
    for _ in 0..20 {
        accepted(&daemon.send(&cognigy()));
        assert_eq!(daemon.get("/readyz").status, 200);
    }
    // A good one took the place of a silent one, and has left since.
    assert!((90..=100).contains(&open()), "{}", open());
    assert_eq!(complaints(&daemon), 0, "{}", daemon.out());
    assert!(daemon.scrape().count("process_open_fds", &[]) < 228 - 20);
    assert!(daemon.runs());
    drop(crowd);
}
