//! Hundreds of slow peers of every kind at once: good requests are answered throughout, and in the end all the slow
//! ones are closed and counted.

use crate::support::crowd::{EVERY, crowd, many_descriptors};
use crate::support::{Request, Setup, Signer, accepted, eventually, nameless};

/// Of each kind.
const PEERS: usize = 300;
/// Long enough that the kinds overlap, short enough for a test.
const DEADLINE: &str = "\"5s\"";

fn cognigy() -> Request {
    Signer::of("cognigy").sign(nameless())
}

#[test]
fn good_requests_are_answered_among_slow_peers_and_those_are_closed() {
    many_descriptors(4096);
    let daemon = Setup::new()
        .set("listener", "max_connections_per_client", "5000")
        .set("limits", "handshake_timeout", DEADLINE)
        .set("limits", "header_timeout", DEADLINE)
        .set("limits", "body_timeout", DEADLINE)
        .preset("cognigy")
        .start();
    let mut kept = daemon.connect();
    accepted(&kept.ask(&cognigy()));
    let (mut good, mut most) = (0, 0);
    std::thread::scope(|scope| {
        let crowds = EVERY.map(|how| (how, crowd(scope, &daemon, how, PEERS)));
        while !crowds.iter().all(|(_, crowd)| crowd.is_finished()) {
            accepted(&kept.ask(&cognigy()));
            accepted(&daemon.send(&cognigy()));
            good += 2;
            most = most.max(daemon.scrape().count("gatepost_connections", &[]));
        }
        for (how, crowd) in crowds {
            assert_eq!(crowd.join().unwrap(), 0, "{how:?}: not closed");
        }
    });
    eprintln!("{good} good requests answered, at most {most} connections open");
    assert!(good >= 10, "{good}");
    assert!(most >= 300, "never many at once: {most}");
    eventually("only the good connection is left", || {
        (daemon.scrape().count("gatepost_connections", &[]) == 1).then_some(())
    });
    let failed = daemon.scrape().count("gatepost_tls_handshakes_total", &[("outcome", "failed")]);
    assert_eq!(failed, i64::try_from(2 * PEERS).unwrap(), "no ClientHello and half of one");
    let late = daemon.access().iter().filter(|record| record["reason"] == "body_timeout").count();
    assert_eq!(late, PEERS, "a body byte by byte");
    accepted(&kept.ask(&cognigy()));
}
