//! Times to words.

use std::time::Duration;

use crate::numbers::millis;

/// What a page may take, and what would be better.
const MOST: Duration = Duration::from_millis(100);
const BETTER: Duration = Duration::from_millis(20);

/// What one address took, each time.
pub(crate) struct Row {
    /// What was asked for.
    pub path: String,
    /// How long the answer was.
    pub bytes: usize,
    /// Sorted.
    pub times: Vec<Duration>,
}

impl Row {
    fn median(&self) -> Duration {
        self.times.get(self.times.len() / 2).copied().unwrap_or_default()
    }

    fn worst(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }
}

/// Titles of [`row`]'s columns.
pub(crate) fn head() {
    println!("{:>11} {:>11} {:>9}  address", "median", "worst", "bytes");
}

/// One address; `!!` over 100 ms, `!` over 20 ms, by the median.
pub(crate) fn row(row: &Row) {
    let mark = match row.median() {
        median if median > MOST => "!!",
        median if median > BETTER => "!",
        _ => "",
    };
    println!("{:>11} {:>11} {:>9}  {} {mark}", millis(row.median()), millis(row.worst()), row.bytes, row.path);
}

/// All of them in one line.
pub(crate) fn sum(rows: &[Row]) {
    let over = |most: Duration| rows.iter().filter(|row| row.median() > most).count();
    let slowest = rows.iter().map(Row::median).max().unwrap_or_default();
    println!(
        "{} addresses, slowest median {}; {} over {}, {} over {}",
        rows.len(),
        millis(slowest),
        over(MOST),
        millis(MOST),
        over(BETTER),
        millis(BETTER)
    );
}
