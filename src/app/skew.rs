//! Watches this machine's wall clock against the store's time: what decides does not follow it, but senders' timestamps
//! and our own signatures do.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::store::Store;

/// Further apart is worth a warning, and a change by as much is worth another.
const NOTABLE: Duration = Duration::from_secs(5);
/// How often a difference that stays is told again.
const AGAIN: Duration = Duration::from_hours(1);

/// What was told last, while the clocks differ.
#[derive(Default)]
pub(super) struct Skew(Option<(SignedDuration, Instant)>);

/// What is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Nothing,
    Differs,
    RightAgain,
}

impl Skew {
    /// Measures, sets the gauge, and says when the clocks part or meet.
    pub(super) async fn watch(&mut self, store: &Store, metrics: &Metrics) {
        let Ok(ahead) = store.maintenance.skew().await else { return };
        metrics.clock_skew.set(ahead.as_secs_f64());
        let ahead_seconds = ahead.as_secs_f64();
        match self.word(ahead, Instant::now()) {
            Word::Nothing => {}
            Word::Differs => tracing::warn!(
                ahead_seconds,
                "this machine's clock differs from the store's: deliveries and retention do not follow it, but senders' \
                 timestamps are judged by it: if it is wrong, set it right; if it was wrong before and is right now, this \
                 ends with the next boot"
            ),
            Word::RightAgain => tracing::info!(ahead_seconds, "this machine's clock agrees with the store's again"),
        }
    }

    fn word(&mut self, ahead: SignedDuration, now: Instant) -> Word {
        let differs = ahead.unsigned_abs() > NOTABLE;
        match self.0 {
            None if !differs => Word::Nothing,
            Some(_) if !differs => {
                self.0 = None;
                Word::RightAgain
            }
            Some((told, at)) if (ahead - told).unsigned_abs() <= NOTABLE && now < at + AGAIN => Word::Nothing,
            None | Some(_) => {
                self.0 = Some((ahead, now));
                Word::Differs
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_when_it_comes_changes_and_goes() {
        let (mut skew, start) = (Skew::default(), Instant::now());
        let mut word = |seconds: i64, after: u64| {
            skew.word(SignedDuration::from_secs(seconds), start + Duration::from_secs(after))
        };
        assert_eq!([word(0, 0), word(5, 2), word(-5, 4)], [Word::Nothing; 3]);
        assert_eq!([word(60, 6), word(62, 8), word(58, 10)], [Word::Differs, Word::Nothing, Word::Nothing]);
        assert_eq!([word(-60, 12), word(-60, 14)], [Word::Differs, Word::Nothing]);
        assert_eq!([word(-60, 3612), word(-60, 3614)], [Word::Differs, Word::Nothing]);
        assert_eq!([word(1, 3616), word(1, 3618)], [Word::RightAgain, Word::Nothing]);
    }
}
