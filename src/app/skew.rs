//! Watches this machine's wall clock against the store's time: what decides does not follow it, but senders' timestamps
//! and our own signatures do.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::store::Store;

/// Further apart is worth a warning, and a change by as much is worth another.
const NOTABLE: Duration = Duration::from_secs(5);
/// How often a difference that stays is logged again.
const AGAIN: Duration = Duration::from_hours(1);

/// What was logged last, while the clocks differ.
#[derive(Default)]
pub(super) struct Skew(Option<(SignedDuration, Instant)>);

/// What is to be logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum News {
    None,
    Differs,
    RightAgain,
}

impl Skew {
    /// Measures, sets the gauge, and logs when the clocks part or meet.
    pub(super) async fn watch(&mut self, store: &Store, metrics: &Metrics) {
        let Ok(ahead) = store.maintenance.skew().await else { return };
        metrics.clock_skew.set(ahead.as_secs_f64());
        let ahead_seconds = ahead.as_secs_f64();
        match self.news(ahead, Instant::now()) {
            News::None => {}
            News::Differs => tracing::warn!(
                ahead_seconds,
                "this machine's clock differs from the store's: deliveries and retention do not follow it, but senders' \
                 timestamps are judged by it: if it is wrong, set it right; if it was wrong before and is right now, this \
                 ends with the next boot"
            ),
            News::RightAgain => tracing::info!(ahead_seconds, "this machine's clock agrees with the store's again"),
        }
    }

    fn news(&mut self, ahead: SignedDuration, now: Instant) -> News {
        let differs = ahead.unsigned_abs() > NOTABLE;
        match self.0 {
            None if !differs => News::None,
            Some(_) if !differs => {
                self.0 = None;
                News::RightAgain
            }
            Some((told, at)) if (ahead - told).unsigned_abs() <= NOTABLE && now < at + AGAIN => News::None,
            None | Some(_) => {
                self.0 = Some((ahead, now));
                News::Differs
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
        let mut news = |seconds: i64, after: u64| {
            skew.news(SignedDuration::from_secs(seconds), start + Duration::from_secs(after))
        };
        assert_eq!([news(0, 0), news(5, 2), news(-5, 4)], [News::None; 3]);
        assert_eq!([news(60, 6), news(62, 8), news(58, 10)], [News::Differs, News::None, News::None]);
        assert_eq!([news(-60, 12), news(-60, 14)], [News::Differs, News::None]);
        assert_eq!([news(-60, 3612), news(-60, 3614)], [News::Differs, News::None]);
        assert_eq!([news(1, 3616), news(1, 3618)], [News::RightAgain, News::None]);
    }
}
