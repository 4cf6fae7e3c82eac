//! How many deliveries may begin: no more than the sink's rate within any second or minute, however they are spread in it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::Rate;

/// What is claimed is begun within this, as far as the rate goes: less than any time that a rate is for.
const AHEAD: Duration = Duration::from_millis(500);

/// Remembers what began for as long as it counts.
pub(super) struct RateLimit {
    rate: Option<Rate>,
    /// When the last ones began, oldest first; never more than the rate's number.
    begun: VecDeque<Instant>,
}

impl RateLimit {
    /// Nothing has begun yet. Without a rate everything may begin at once.
    pub(super) const fn new(rate: Option<Rate>) -> Self {
        Self { rate, begun: VecDeque::new() }
    }

    /// From now on `rate` counts, also for those that have begun. Says whether that is another one.
    pub(super) fn set(&mut self, rate: Option<Rate>) -> bool {
        if self.rate == rate {
            return false;
        }
        self.rate = rate;
        let most = rate.map_or(0, |rate| rate.count);
        self.begun.drain(..self.begun.len().saturating_sub(most));
        true
    }

    /// Whether there is a rate.
    pub(super) const fn is_limited(&self) -> bool {
        self.rate.is_some()
    }

    /// When the next one may begin, where that is not now.
    pub(super) fn wait_until(&self, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        let oldest = self.begun.front().filter(|_| self.begun.len() >= rate.count)?;
        Some(*oldest + rate.per).filter(|at| *at > now)
    }

    /// One began.
    pub(super) fn begin(&mut self, now: Instant) {
        let Some(rate) = self.rate else { return };
        while self.begun.len() >= rate.count {
            self.begun.pop_front();
        }
        self.begun.push_back(now);
    }

    /// How many more to claim beside those that are `waiting` to begin.
    ///
    /// # Errors
    /// When to ask again, where that is none, or so few that they are not worth a poll while others wait.
    pub(super) fn room(&self, now: Instant, waiting: usize) -> Result<usize, Instant> {
        let Some(rate) = self.rate else { return Ok(usize::MAX) };
        let until = now + AHEAD;
        let counting = self.begun.len() - self.begun.partition_point(|begun| *begun + rate.per <= until);
        let room = rate.count.saturating_sub(counting + waiting);
        let enough = if waiting == 0 { 1 } else { worth_a_poll(rate) };
        if room >= enough {
            return Ok(room);
        }
        // The one that has to stop counting for that; none has begun that could, where more wait than the rate allows.
        let last = (self.begun.len() + waiting + enough).checked_sub(rate.count + 1).and_then(|at| self.begun.get(at));
        Err(last.map_or(until, |begun| *begun + rate.per - AHEAD))
    }
}

/// Half of what begins within [`AHEAD`] when evenly spread.
fn worth_a_poll(rate: Rate) -> usize {
    let parts = usize::try_from(rate.per.as_millis() / AHEAD.as_millis()).unwrap_or(usize::MAX);
    (rate.count / parts / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn per_second(count: usize) -> RateLimit {
        RateLimit::new(Some(Rate { count, per: SECOND }))
    }

    #[test]
    fn without_a_rate_there_is_no_end() {
        let (now, mut limit) = (Instant::now(), RateLimit::new(None));
        (0..1000).for_each(|_| limit.begin(now));
        assert_eq!((limit.wait_until(now), limit.room(now, 1000)), (None, Ok(usize::MAX)));
        assert!(limit.begun.is_empty());
    }

    #[test]
    fn no_second_has_more_than_the_number_wherever_it_begins() {
        let (start, mut limit) = (Instant::now(), per_second(10));
        let (mut now, mut begun) = (start, Vec::new());
        while now < start + 5 * SECOND {
            // In bursts: whatever may begin does, every 70 ms.
            while limit.wait_until(now).is_none() {
                limit.begin(now);
                begun.push(now);
            }
            now += Duration::from_millis(70);
        }
        assert!(begun.len() >= 45, "{}", begun.len());
        for first in &begun {
            let within = begun.iter().filter(|at| (*first..*first + SECOND).contains(at)).count();
            assert!(within <= 10, "{within}");
        }
        assert_eq!(limit.begun.len(), 10);
    }

    #[test]
    fn it_says_when_the_next_may_begin_and_that_is_true() {
        let (now, mut limit) = (Instant::now(), per_second(2));
        limit.begin(now);
        assert_eq!(limit.wait_until(now), None);
        limit.begin(now + SECOND / 4);
        assert_eq!(limit.wait_until(now + SECOND / 2), Some(now + SECOND));
        assert_eq!(limit.wait_until(now + SECOND), None);
        limit.begin(now + SECOND);
        assert_eq!(limit.wait_until(now + SECOND), Some(now + SECOND + SECOND / 4));
    }

    #[test]
    fn no_more_is_claimed_than_may_begin_soon() {
        let (now, mut limit) = (Instant::now(), per_second(100));
        assert_eq!((limit.room(now, 0), limit.room(now, 60)), (Ok(100), Ok(40)));
        (0..100).for_each(|_| limit.begin(now));
        assert_eq!(limit.room(now, 0), Err(now + SECOND / 2));
        assert_eq!(limit.room(now + SECOND / 2, 0), Ok(100));
        assert_eq!(limit.room(now + SECOND / 2, 80), Err(now + SECOND), "too few while others wait");
        let mut slow = RateLimit::new(Some(Rate { count: 1, per: 60 * SECOND }));
        assert_eq!(slow.room(now, 0), Ok(1));
        assert_eq!(slow.room(now, 1), Err(now + AHEAD));
        slow.begin(now);
        let due = now + 60 * SECOND - AHEAD;
        assert_eq!((slow.room(now, 0), slow.room(due, 0)), (Err(due), Ok(1)));
    }
}
