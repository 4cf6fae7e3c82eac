//! Small arithmetic of reports.

use std::time::Duration;

/// The middle one; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Counts stay far below 2^53 here.
#[expect(clippy::cast_precision_loss, reason = "no count of a benchmark reaches 2^53")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

/// Milliseconds with two digits.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
