//! What has arrived at a server in this process, each preloaded event counted once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::result::BenchResult;

/// Hexadecimal digits of the number in the id of a preloaded event.
const NUMBER: usize = 48;
/// All digits of such an id.
const DIGITS: usize = 64;

/// What arrived at a server in this process.
pub(crate) struct Arrivals {
    seen: Mutex<Seen>,
    /// Notified of each arrival.
    pub news: Notify,
}

/// See [`Arrivals`].
pub(crate) struct Seen {
    /// By number: whether it came.
    came: Vec<bool>,
    /// Preloaded events, each counted once.
    pub different: u64,
    /// Requests.
    pub total: u64,
    /// When the last came.
    pub last: Instant,
}

impl Arrivals {
    /// For `count` preloaded events.
    pub(crate) fn new(count: u64) -> BenchResult<Self> {
        let seen = Seen { came: vec![false; usize::try_from(count)?], different: 0, total: 0, last: Instant::now() };
        Ok(Self { seen: Mutex::new(seen), news: Notify::new() })
    }

    /// What came until now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came that holds `text` with the event's id.
    pub(crate) fn record(&self, text: &[u8]) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.total += 1;
        seen.last = now;
        if let Some(came) = number(text).and_then(|n| seen.came.get_mut(n))
            && !std::mem::replace(came, true)
        {
            seen.different += 1;
        }
        drop(seen);
        self.news.notify_one();
    }
}

/// The number of a preloaded event, from the first digest in `text`.
fn number(text: &[u8]) -> Option<usize> {
    const MARK: &[u8] = b"sha256:";
    let begin = text.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    let digits = text.get(begin + DIGITS - NUMBER..begin + DIGITS)?;
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
