//! What is said of a collector that does not take spans: once a minute, and once that it does again.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is said.
const EVERY: Duration = Duration::from_mins(1);

/// Whether it is time to say something.
#[derive(Debug, Default)]
pub(super) struct Outage {
    said: Option<Instant>,
    /// Whether it is still to be said that it is over.
    lasts: bool,
}

impl Outage {
    /// It goes on at `now`; whether that is to be said.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        let due = self.said.is_none_or(|said| now.saturating_duration_since(said) >= EVERY);
        if due {
            (self.said, self.lasts) = (Some(now), true);
        }
        due
    }

    /// It is over; whether that is to be said.
    pub(super) fn ends(&mut self) -> bool {
        std::mem::take(&mut self.lasts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_comes_and_goes_is_told_of_once_a_minute() {
        let (begin, mut outage) = (Instant::now(), Outage::default());
        assert!(!outage.ends());
        let said = (0..180_u64).filter(|second| {
            let said = outage.goes_on(begin + Duration::from_secs(*second));
            assert_eq!(outage.ends(), said);
            said
        });
        assert_eq!(said.collect::<Vec<_>>(), [0, 60, 120]);
    }
}
