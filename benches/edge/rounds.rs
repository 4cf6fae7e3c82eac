//! Rounds: each attack in turn, then again, so that whatever the machine does meanwhile it does to all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::attack::Attack;
use crate::options::Options;
use crate::report;
use crate::support::crowd::many_descriptors;
use crate::support::{Daemon, Setup, Signer, accepted, nameless};

/// Between two good requests.
const PAUSE: Duration = Duration::from_millis(2);
/// For an attack to be under way.
const BEGIN: Duration = Duration::from_secs(1);

/// Measures and prints.
pub(crate) fn run(options: &Options) {
    many_descriptors(4096);
    let daemon = Setup::new()
        .set("listener", "max_connections_per_client", "5000")
        .set("limits", "handshake_timeout", "\"3s\"")
        .set("limits", "header_timeout", "\"3s\"")
        .set("limits", "body_timeout", "\"3s\"")
        .preset("cognigy")
        .start();
    let mut rows: Vec<(Attack, Vec<Histogram<u64>>)> =
        Attack::every().into_iter().map(|attack| (attack, Vec::new())).collect();
    for _ in 0..options.rounds {
        for (attack, rounds) in &mut rows {
            rounds.push(measure(&daemon, *attack, options));
        }
    }
    report::head(options.rounds);
    for (attack, rounds) in rows {
        report::row(&attack.name(options), rounds);
    }
}

/// Latencies of good requests during `attack`, microseconds.
fn measure(daemon: &Daemon, attack: Attack, options: &Options) -> Histogram<u64> {
    let stop = AtomicBool::new(false);
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| attack.run(daemon, options, &stop));
        std::thread::sleep(BEGIN);
        let mut good = daemon.connect();
        for _ in 0..options.requests {
            let request = Signer::of("cognigy").sign(nameless());
            let begun = Instant::now();
            let answer = good.ask(&request);
            latencies.record(u64::try_from(begun.elapsed().as_micros()).unwrap()).unwrap();
            accepted(&answer);
            std::thread::sleep(PAUSE);
        }
        stop.store(true, Ordering::Relaxed);
        attacker.join().unwrap();
    });
    latencies
}
