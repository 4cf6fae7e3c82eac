//! What the last reloads changed, or why they were refused.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// How many are remembered.
const MOST: usize = 20;

/// One reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reload {
    /// When.
    pub(crate) at: Timestamp,
    /// What it changed; or every fault that it was refused for.
    pub(crate) outcome: Result<Vec<String>, Vec<String>>,
}

/// The last ones, newest first.
#[derive(Default)]
pub(crate) struct Reloads(Mutex<VecDeque<Reload>>);

impl Reloads {
    /// Remembers `reload`.
    pub(crate) fn remember(&self, reload: Reload) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.truncate(MOST - 1);
        all.push_front(reload);
    }

    /// Those remembered, newest first.
    pub(super) fn all(&self) -> Vec<Reload> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stand_first_and_the_oldest_go() {
        let reloads = Reloads::default();
        for second in 0..=20 {
            let at = Timestamp::from_second(second).unwrap();
            reloads.remember(Reload { at, outcome: Ok(Vec::new()) });
        }
        let all = reloads.all();
        assert_eq!((all.len(), all[0].at.as_second(), all[19].at.as_second()), (MOST, 20, 1));
    }
}
