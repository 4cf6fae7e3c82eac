//! The program's own last hour: what the counters stood at, minute by minute. Sampled, so that no request pays for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::lifecycle::Lifecycle;
use crate::metrics::{Metrics, Reading};

const EVERY: Duration = Duration::from_mins(1);
/// An hour, and the sample before it.
const MOST: usize = 61;

/// What counters stood at.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    at: Instant,
    /// By source and outcome.
    pub(super) requests: BTreeMap<(String, String), f64>,
    /// By sink and outcome.
    pub(super) deliveries: BTreeMap<(String, String), f64>,
    /// By source: upper bounds in seconds and how many requests took no longer.
    pub(super) durations: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Totals {
    /// Those of `reading`, which was taken just now.
    pub(super) fn of(reading: &Reading) -> Self {
        let pairs = |name: &str, label: &str| {
            let series = reading.all(name);
            series.map(|one| ((one.label(label).to_owned(), one.label("outcome").to_owned()), one.value)).collect()
        };
        let mut durations = BTreeMap::<String, Vec<(f64, f64)>>::new();
        for bucket in reading.all("gatepost_request_duration_seconds_bucket") {
            let bound = bucket.label("le").parse().unwrap_or(f64::INFINITY);
            durations.entry(bucket.label("source").to_owned()).or_default().push((bound, bucket.value));
        }
        Self {
            at: Instant::now(),
            requests: pairs("gatepost_requests_total", "source"),
            deliveries: pairs("gatepost_deliveries_total", "sink"),
            durations,
        }
    }

    /// How much was counted between `before` and this.
    pub(super) fn since(&self, before: &Self) -> Counted {
        Counted {
            over: self.at.saturating_duration_since(before.at),
            requests: grown(&self.requests, &before.requests),
            deliveries: grown(&self.deliveries, &before.deliveries),
            durations: self
                .durations
                .iter()
                .map(|(source, now)| {
                    let old = before.durations.get(source).map_or(&[][..], Vec::as_slice);
                    let old = old.iter().copied().map(|(_, count)| count).chain(std::iter::repeat(0.0));
                    (
                        source.clone(),
                        now.iter().zip(old).map(|((bound, now), old)| (*bound, (now - old).max(0.0))).collect(),
                    )
                })
                .collect(),
        }
    }
}

/// A counter that is smaller than before began anew.
fn grown(
    now: &BTreeMap<(String, String), f64>,
    before: &BTreeMap<(String, String), f64>,
) -> BTreeMap<(String, String), f64> {
    let old = |key| before.get(key).copied().unwrap_or(0.0);
    now.iter().map(|(key, value)| (key.clone(), if *value < old(key) { *value } else { value - old(key) })).collect()
}

/// What was counted in a while.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// How long that was.
    pub(super) over: Duration,
    pub(super) requests: BTreeMap<(String, String), f64>,
    pub(super) deliveries: BTreeMap<(String, String), f64>,
    pub(super) durations: BTreeMap<String, Vec<(f64, f64)>>,
}

impl Counted {
    /// How many a minute of what is counted under `name` and `outcome`.
    pub(super) fn rate(&self, counts: &BTreeMap<(String, String), f64>, name: &str, outcome: &str) -> f64 {
        let count = counts.get(&(name.to_owned(), outcome.to_owned())).copied().unwrap_or(0.0);
        count * 60.0 / self.over.as_secs_f64().max(1.0)
    }

    /// The bound in seconds under which the share `share` of the requests of `source` stayed.
    pub(super) fn percentile(&self, source: &str, share: f64) -> Option<f64> {
        let buckets = self.durations.get(source)?;
        let all = buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        buckets.iter().find(|(_, count)| *count >= all * share).map(|(bound, _)| *bound)
    }

    /// All of `outcomes`.
    pub(super) fn sum(counts: &BTreeMap<(String, String), f64>, outcomes: &[&str]) -> f64 {
        counts.iter().filter(|((_, outcome), _)| outcomes.contains(&outcome.as_str())).map(|(_, count)| count).sum()
    }
}

/// The samples, oldest first.
#[derive(Default)]
pub(crate) struct History(Mutex<VecDeque<Totals>>);

impl History {
    fn push(&self, totals: Totals) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= MOST {
            samples.pop_front();
        }
        samples.push_back(totals);
    }

    /// What was counted from at least `span` ago until `now`; from the start where that is not so long ago.
    pub(super) fn lately(&self, now: &Totals, span: Duration) -> Option<Counted> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = samples.iter().rev().find(|sample| now.at.saturating_duration_since(sample.at) >= span);
        before.or_else(|| samples.front()).map(|before| now.since(before))
    }

    /// What was counted in each minute, oldest first.
    pub(super) fn minutes(&self) -> Vec<Counted> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().zip(samples.iter().skip(1)).map(|(before, after)| after.since(before)).collect()
    }
}

/// Samples once a minute until `lifecycle` stops.
pub(super) async fn keep(history: Arc<History>, metrics: Arc<Metrics>, lifecycle: Lifecycle) {
    let mut minute = interval(EVERY);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = lifecycle.stop_accepting().cancelled() => return,
            _ = minute.tick() => history.push(Totals::of(&metrics.read())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request_outcome::RequestOutcome;

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_kept_and_rates_are_by_the_minute() {
        let (metrics, history) = (Metrics::new(), History::default());
        let series = metrics.source("a", &[]);
        assert!(history.lately(&Totals::of(&metrics.read()), EVERY).is_none());
        for _ in 0..100 {
            history.push(Totals::of(&metrics.read()));
            series.outcome(RequestOutcome::Accepted).inc_by(6);
            series.duration.observe(0.003);
            tokio::time::advance(EVERY).await;
        }
        let minutes = history.minutes();
        assert_eq!(minutes.len(), 60);
        assert!(minutes.iter().all(|minute| (Counted::sum(&minute.requests, &["accepted"]) - 6.0).abs() < 0.001));
        let lately = history.lately(&Totals::of(&metrics.read()), EVERY * 5).unwrap();
        assert_eq!(lately.over, EVERY * 5);
        assert!((lately.rate(&lately.requests, "a", "accepted") - 6.0).abs() < 0.001);
        assert_eq!(lately.percentile("a", 0.99), Some(0.004));
        assert_eq!(lately.percentile("b", 0.99), None);
    }
}
