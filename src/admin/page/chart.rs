//! Bars of the last hour, one a minute, as SVG that the stylesheet colours.

use crate::admin::history::Counted;

const MINUTES: usize = 60;
const HEIGHT: f64 = 40.0;
const STEP: f64 = 4.0;

/// One bar in two parts, from the bottom up.
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) good_y: String,
    pub(super) good: String,
    pub(super) bad_y: String,
    pub(super) bad: String,
}

/// A chart and what it says in words.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    pub(super) words: String,
}

impl Chart {
    /// What came in, and what of it was refused.
    pub(super) fn of_requests(minutes: &[Counted]) -> Self {
        let good = |minute: &Counted| Counted::sum(&minute.requests, &["accepted", "duplicate", "handshake"]);
        let bad = |minute: &Counted| Counted::sum(&minute.requests, &["refused", "quarantined", "shed", "failed"]);
        Self::of(minutes, good, bad, "accepted", "refused")
    }

    /// What went out, and which attempts failed.
    pub(super) fn of_deliveries(minutes: &[Counted]) -> Self {
        let good = |minute: &Counted| Counted::sum(&minute.deliveries, &["delivered"]);
        let bad = |minute: &Counted| Counted::sum(&minute.deliveries, &["retried", "dead"]);
        Self::of(minutes, good, bad, "delivered", "failed")
    }

    fn of(
        minutes: &[Counted],
        good: impl Fn(&Counted) -> f64,
        bad: impl Fn(&Counted) -> f64,
        good_word: &str,
        bad_word: &str,
    ) -> Self {
        let counts: Vec<(f64, f64)> = minutes.iter().map(|minute| (good(minute), bad(minute))).collect();
        let most = counts.iter().map(|(good, bad)| good + bad).fold(1.0, f64::max);
        let (all_good, all_bad) = counts.iter().fold((0.0, 0.0), |(a, b), (good, bad)| (a + good, b + bad));
        let words = if counts.is_empty() {
            "Nothing to show yet: the first minute is not over".to_owned()
        } else {
            format!(
                "The last {} minutes: {all_good:.0} {good_word}, {all_bad:.0} {bad_word}, at most {most:.0} a minute",
                counts.len()
            )
        };
        let mut at = STEP * f64::from(u32::try_from(MINUTES.saturating_sub(counts.len())).unwrap_or(0));
        let mut bars = Vec::new();
        for (good, bad) in counts {
            let (good, bad) = (good * HEIGHT / most, bad * HEIGHT / most);
            bars.push(Bar {
                x: format!("{at:.0}"),
                good_y: format!("{:.1}", HEIGHT - good),
                good: format!("{good:.1}"),
                bad_y: format!("{:.1}", HEIGHT - good - bad),
                bad: format!("{bad:.1}"),
            });
            at += STEP;
        }
        Self { bars, words }
    }
}
