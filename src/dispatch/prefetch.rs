//! How many deliveries to claim ahead of free slots: few for a slow sink, whose claims would run out waiting; many for a
//! fast one, so that claiming and settling cost one transaction per hundreds, not per delivery.

use std::time::Duration;

use tokio::time::Instant;

/// Deliveries waiting ahead at most.
const MOST: usize = 512;
/// Bytes of bodies waiting ahead at most, by the largest body seen lately.
const BYTES: usize = 16 << 20;
/// What waits ahead is begun within about this.
const AHEAD: Duration = Duration::from_millis(250);
/// How often the rate is measured.
const WINDOW: Duration = Duration::from_millis(200);

/// Measures how fast a sink takes deliveries.
#[derive(Debug)]
pub(super) struct Prefetch {
    since: Instant,
    ended: u32,
    ahead: usize,
    largest: usize,
}

impl Prefetch {
    /// A sink of which nothing is known is taken for slow.
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, ended: 0, ahead: 0, largest: 0 }
    }

    /// A delivery ended.
    pub(super) fn ended(&mut self, now: Instant) {
        self.ended = self.ended.saturating_add(1);
        let elapsed = now.duration_since(self.since);
        if elapsed >= WINDOW {
            let ahead = AHEAD.as_micros() * u128::from(self.ended) / elapsed.as_micros();
            self.ahead = usize::try_from(ahead).unwrap_or(MOST).min(MOST);
            (self.since, self.ended) = (now, 0);
        }
    }

    /// Bodies of these lengths were claimed.
    pub(super) fn claimed(&mut self, lengths: impl Iterator<Item = usize>) {
        self.largest = lengths.max().unwrap_or(self.largest);
    }

    /// How many to have waiting.
    pub(super) const fn ahead(&self) -> usize {
        let fit = BYTES / if self.largest == 0 { 1 } else { self.largest };
        if self.ahead < fit { self.ahead } else { fit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_sinks_get_more_ahead_and_large_bodies_less() {
        let start = Instant::now();
        let mut prefetch = Prefetch::new(start);
        assert_eq!(prefetch.ahead(), 0);
        (1..=1000).for_each(|n| prefetch.ended(start + Duration::from_millis(n)));
        assert_eq!(prefetch.ahead(), 250);
        (1..=9000).for_each(|n| prefetch.ended(start + Duration::from_secs(1) + Duration::from_micros(n * 100)));
        assert_eq!(prefetch.ahead(), MOST);
        prefetch.claimed([10, 4 << 20].into_iter());
        assert_eq!(prefetch.ahead(), 4);
        prefetch.ended(start + Duration::from_hours(1));
        prefetch.claimed([10].into_iter());
        assert_eq!(prefetch.ahead(), 0);
    }
}
