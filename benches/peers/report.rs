//! The table: each row's medians, and its CPU time as a multiple of A's in the same round.

use crate::figures::Figures;
use crate::name::Name;
use crate::numbers::median;
use crate::peer::Peer;
use crate::rounds::Measured;
use crate::table;

const HEAD: [&str; 10] = [
    "name",
    "version",
    "checks",
    "stores",
    "connections",
    "requests/s",
    "p50 µs",
    "p99 µs",
    "CPU µs a request",
    "CPU ÷ A",
];

/// Prints it.
pub(crate) fn print(peers: &[Peer], measured: &[Measured]) {
    let mut lines = vec![HEAD.map(str::to_owned)];
    for one in measured {
        let Some(peer) = peers.get(one.row) else { continue };
        let is_a = |other: &&Measured| {
            other.connections == one.connections && peers.get(other.row).is_some_and(|peer| peer.name == Name::A)
        };
        let a = measured.iter().find(is_a).map(|a| a.rounds.as_slice()).unwrap_or_default();
        let ratio = median(one.rounds.iter().zip(a).map(|(mine, a)| mine.cpu / a.cpu).collect());
        let Figures { rate, p50, p99, cpu } = Figures::median(&one.rounds);
        lines.push([
            peer.name.title().to_owned(),
            peer.version.clone(),
            peer.name.checks().to_owned(),
            peer.name.stores().to_owned(),
            one.connections.to_string(),
            format!("{rate:.0}"),
            format!("{p50:.0}"),
            format!("{p99:.0}"),
            format!("{cpu:.1}"),
            format!("{ratio:.2}"),
        ]);
    }
    table::print(&lines);
}
