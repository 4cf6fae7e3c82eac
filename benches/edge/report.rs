//! Numbers to words: a table as it stands in `docs/measurements/edge.md`.

use hdrhistogram::Histogram;

/// Titles of [`row`]'s columns.
pub(crate) fn head(rounds: u64) {
    println!("| attack | p50 µs | p99 µs | p99 of {rounds} rounds |\n|---|---|---|---|");
}

/// One attack: the median round by its p99, and how far apart the rounds were.
pub(crate) fn row(attack: &str, mut rounds: Vec<Histogram<u64>>) {
    let p99 = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.99);
    rounds.sort_by_key(p99);
    let (Some(least), Some(median), Some(most)) = (rounds.first(), rounds.get(rounds.len() / 2), rounds.last()) else {
        return;
    };
    let p50 = median.value_at_quantile(0.5);
    println!("| {attack} | {p50} | {} | {}–{} |", p99(median), p99(least), p99(most));
}
