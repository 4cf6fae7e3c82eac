//! What a good sender notices of an attack: latency percentiles with and without each. A measurement for docs/edge.md,
//! run by hand on a release build; it asserts only that every good request is answered with 200.
//!
//! The attacker runs on the same machine and takes its share of the processors, so what is seen is an upper bound.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::edge::memory::large;
use crate::support::crowd::{EVERY, crowd, many_descriptors};
use crate::support::wire::client_config;
use crate::support::{Conn, Daemon, Setup, Signer, accepted, nameless};

/// Peers of an attack.
const PEERS: usize = 300;
/// Senders of large bodies.
const PUSHERS: usize = 16;
/// Good requests in a round, on one kept-alive connection, and the pause between two.
const REQUESTS: usize = 1000;
const PAUSE: Duration = Duration::from_millis(2);
const ROUNDS: usize = 3;

fn daemon() -> Daemon {
    Setup::new()
        .set("listener", "max_connections_per_client", "5000")
        .set("limits", "handshake_timeout", "\"3s\"")
        .set("limits", "header_timeout", "\"3s\"")
        .set("limits", "body_timeout", "\"3s\"")
        .preset("cognigy")
        .start()
}

/// Latencies of good requests, microseconds, while `attack` is told to go on.
fn measure(daemon: &Daemon, attack: impl Fn(&AtomicBool) + Sync) -> Histogram<u64> {
    let stop = AtomicBool::new(false);
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
    std::thread::scope(|scope| {
        let attacker = scope.spawn(|| attack(&stop));
        std::thread::sleep(Duration::from_secs(1));
        let mut good = daemon.connect();
        for _ in 0..REQUESTS {
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

/// Bodies of 1 MiB with a wrong signature, one after the other, from [`PUSHERS`] connections.
fn push(daemon: &Daemon, stop: &AtomicBool) {
    let request = large().set("X-Cognigy-Signature", &"0".repeat(64));
    std::thread::scope(|scope| {
        for _ in 0..PUSHERS {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let config = client_config(&daemon.ca, &["http/1.1"]);
                    let mut conn = Conn::open(daemon.webhook, config).unwrap();
                    while !stop.load(Ordering::Relaxed) && conn.try_ask(&request).is_some() {}
                }
            });
        }
    });
}

fn show(attack: &str, rounds: &mut [Histogram<u64>]) {
    rounds.sort_by_key(|latencies| latencies.value_at_quantile(0.99));
    let median = &rounds[rounds.len() / 2];
    let at = |quantile| median.value_at_quantile(quantile);
    let (least, most) = (&rounds[0], &rounds[rounds.len() - 1]);
    let p99 = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.99);
    eprintln!("| {attack} | {} | {} | {}–{} |", at(0.5), at(0.99), p99(least), p99(most));
}

#[test]
#[ignore = "a measurement: IT_GATEPOST_BINARY=$PWD/target/release/gatepost cargo test --test it edge_measure -- --ignored --nocapture"]
fn latency_under_attack() {
    many_descriptors(4096);
    let daemon = daemon();
    let (mut quiet, mut bodies) = (Vec::new(), Vec::new());
    let mut slow = EVERY.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        quiet.push(measure(&daemon, |_| ()));
        for (how, rounds) in EVERY.iter().zip(&mut slow) {
            rounds.push(measure(&daemon, |stop| {
                while !stop.load(Ordering::Relaxed) {
                    std::thread::scope(|scope| drop(crowd(scope, &daemon, *how, PEERS).join()));
                }
            }));
        }
        bodies.push(measure(&daemon, |stop| push(&daemon, stop)));
    }
    eprintln!("| attack | p50 µs | p99 µs | p99 of {ROUNDS} rounds |\n|---|---|---|---|");
    show("none", &mut quiet);
    for (how, rounds) in EVERY.iter().zip(&mut slow) {
        show(&format!("{PEERS} × {how:?}"), rounds);
    }
    show(&format!("{PUSHERS} × 1 MiB forged bodies"), &mut bodies);
}
