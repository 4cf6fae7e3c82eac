//! How every step of a benchmark ends.

/// Anything that goes wrong ends the run with its words.
pub(crate) type BenchResult<T> = Result<T, Box<dyn std::error::Error>>;
