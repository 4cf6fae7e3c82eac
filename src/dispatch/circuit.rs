//! The circuit of one sink: after a run of failures it lets only a few deliveries through now and then, until one gets through.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::later;

/// Failures in a row, of any deliveries, that open it.
const FAILURES: u32 = 20;
/// Deliveries that may try when it has been open long enough.
const PROBES: usize = 8;
/// How long it stays open the first time; doubles each time no probe gets through.
const FIRST: Duration = Duration::from_millis(500);
/// It never stays open for longer: a sink that is back is noticed within this.
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    Probing { left: usize },
}

/// Whether a sink is worth trying. Holds no lock and reads no clock.
#[derive(Debug)]
pub struct Circuit {
    state: State,
    /// How often it opened since something last got through.
    openings: u32,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { state: State::Closed { failures: 0 }, openings: 0 }
    }
}

impl Circuit {
    /// How many deliveries may begin at `now`.
    pub fn allowance(&mut self, now: Timestamp) -> usize {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.state = State::Probing { left: PROBES };
        }
        match self.state {
            State::Closed { .. } => usize::MAX,
            State::Open { .. } => 0,
            State::Probing { left } => left,
        }
    }

    /// Deliveries begin.
    pub fn began(&mut self, deliveries: usize) {
        if let State::Probing { left } = &mut self.state {
            *left = left.saturating_sub(deliveries);
        }
    }

    /// The sink answered, be it a refusal: it lives. Says whether that closed the circuit.
    pub fn answered(&mut self) -> bool {
        let was_closed = matches!(self.state, State::Closed { .. });
        *self = Self::default();
        !was_closed
    }

    /// A delivery failed in a way that may pass. Says whether that opened the circuit. Failures of deliveries that
    /// began before it opened do not count again.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        match &mut self.state {
            State::Open { .. } => return false,
            State::Closed { failures } if *failures + 1 < FAILURES => {
                *failures += 1;
                return false;
            }
            State::Closed { .. } | State::Probing { .. } => {}
        }
        let wait = FIRST.saturating_mul(1 << self.openings.min(16)).min(LONGEST);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: later(now, wait) };
        self.openings == 1
    }

    /// When it lets something through again, while open.
    #[must_use]
    pub const fn open_until(&self) -> Option<Timestamp> {
        match self.state {
            State::Open { until } => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn it_opens_after_a_run_of_failures_and_only_a_run() {
        let mut circuit = Circuit::default();
        for _ in 0..3 {
            for _ in 0..FAILURES - 1 {
                assert!(!circuit.failed(at(0)));
            }
            assert!(!circuit.answered());
        }
        for _ in 0..FAILURES - 1 {
            circuit.failed(at(0));
        }
        assert_eq!(circuit.allowance(at(0)), usize::MAX);
        assert!(circuit.failed(at(0)));
        assert_eq!(circuit.allowance(at(499)), 0);
    }

    #[test]
    fn probes_are_few_and_rarer_each_time_until_one_gets_through() {
        let mut circuit = Circuit::default();
        (1..FAILURES).for_each(|_| assert!(!circuit.failed(at(0))));
        assert!(circuit.failed(at(0)));
        let mut now = 0;
        for wait in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert_eq!(circuit.open_until(), Some(at(now + wait)));
            now += wait;
            assert_eq!(circuit.allowance(at(now)), PROBES);
            circuit.began(PROBES);
            assert_eq!(circuit.allowance(at(now)), 0);
            (0..PROBES).for_each(|_| assert!(!circuit.failed(at(now))));
        }
        circuit.allowance(at(now + 10_000));
        assert!(circuit.answered());
        assert_eq!(circuit.allowance(at(now + 10_000)), usize::MAX);
    }
}
