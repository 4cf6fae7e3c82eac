//! Numbers to words: medians over rounds, A and B side by side.

use crate::figures::Figures;
use crate::numbers::median;

/// Titles of [`row`]'s columns.
pub(crate) fn head() {
    println!(
        "{:<16}{:>6} | {:>8} {:>7} {:>7} {:>7} | {:>8} {:>7} {:>7} {:>7} | {:>7} {:>7} {:>9}",
        "scenario",
        "conns",
        "A ev/s",
        "p50 µs",
        "p99 µs",
        "CPU µs",
        "B ev/s",
        "p50 µs",
        "p99 µs",
        "CPU µs",
        "ev/s÷A",
        "CPU÷A",
        "p50−A µs"
    );
}

/// One scenario: medians of both, and what B is of A.
pub(crate) fn row(scenario: &str, connections: usize, a: &[Figures], b: &[Figures], reconnects: usize) {
    let ratios = a.iter().zip(b);
    let cpu = median(ratios.clone().map(|(a, b)| b.cpu / a.cpu).collect());
    let rate = median(ratios.map(|(a, b)| b.rate / a.rate).collect());
    let (a, b) = (Figures::median(a), Figures::median(b));
    let side = |f: Figures| format!("{:>8.0} {:>7.0} {:>7.0} {:>7.1}", f.rate, f.p50, f.p99, f.cpu);
    let note = if reconnects > 0 { format!("  ({reconnects} connections closed by B)") } else { String::new() };
    println!(
        "{scenario:<16}{connections:>6} | {} | {} | {rate:>7.3} {cpu:>7.2} {:>9.0}{note}",
        side(a),
        side(b),
        b.p50 - a.p50
    );
}
