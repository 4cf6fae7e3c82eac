//! Numbers to words: one line for each round, and the medians over them.

use std::time::Duration;

use crate::numbers::{median, millis};

/// What one round showed.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Deliveries a second.
    pub rate: f64,
    /// The program's CPU microseconds a delivery.
    pub cpu: f64,
    /// CPU microseconds a delivery on the other side, this bench's counting included.
    pub other_cpu: f64,
    /// The program's resident memory when the first delivery arrived, MiB.
    pub memory_first: f64,
    /// The most it was until the last one arrived.
    pub memory_most: f64,
    /// What it was half a second later.
    pub memory_last: f64,
}

impl Figures {
    /// Each figure's median over the rounds.
    fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            rate: of(|f| f.rate),
            cpu: of(|f| f.cpu),
            other_cpu: of(|f| f.other_cpu),
            memory_first: of(|f| f.memory_first),
            memory_most: of(|f| f.memory_most),
            memory_last: of(|f| f.memory_last),
        }
    }
}

/// Titles of [`row`]'s columns.
pub(crate) fn head() {
    println!(
        "{:<7}{:>12} | {:>8} {:>8} {:>13} | {:>15} {:>6} {:>6}",
        "sink", "concurrency", "del./s", "CPU µs", "other CPU µs", "MiB at first", "most", "last"
    );
}

/// One kind of sink: medians, and how far apart the rounds were.
pub(crate) fn row(sink: &str, concurrency: usize, rounds: &[Figures]) {
    let f = Figures::median(rounds);
    let rates: Vec<String> = rounds.iter().map(|round| format!("{:.0}", round.rate)).collect();
    println!(
        "{sink:<7}{concurrency:>12} | {:>8.0} {:>8.1} {:>13.1} | {:>15.1} {:>6.1} {:>6.1}  (rounds: {})",
        f.rate,
        f.cpu,
        f.other_cpu,
        f.memory_first,
        f.memory_most,
        f.memory_last,
        rates.join(", ")
    );
}

/// Median and 99th percentile of some times.
pub(crate) fn times(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).map_or_else(String::new, |time| millis(*time));
    println!("  {what:<34} p50 {}, p99 {}", at(50), at(99));
}
