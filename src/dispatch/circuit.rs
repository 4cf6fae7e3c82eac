//! The circuit of one sink: after a run of failures it lets only a few deliveries through now and then, until one gets through.
//!
//! It cannot stop for good: open, it ends by itself; probing, it lets a delivery begin whenever fewer than a few probes
//! are under way, and each of these ends within the sink's timeout. What was claimed and not begun plays no part.

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row, of any deliveries, that open it.
const FAILURES: u32 = 20;
/// Deliveries that may be under way as probes.
pub(super) const PROBES: usize = 8;
/// How long it stays open the first time; doubles each time no probe gets through.
const FIRST: Duration = Duration::from_millis(500);
/// It never stays open for longer: a sink that is back is noticed within this.
pub(super) const LONGEST: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

/// What a delivery begins as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    /// One of many.
    Free,
    /// One of the few that find out whether the sink is back.
    Probe,
}

/// Whether a sink is worth trying. Holds no lock and reads no clock.
#[derive(Debug)]
pub(super) struct Circuit {
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
    /// How many deliveries may begin at `now`, with so many `probes` under way.
    pub(super) fn allowance(&mut self, now: Instant, probes: usize) -> usize {
        if let State::Open { until } = self.state
            && now >= until
        {
            self.state = State::Probing;
        }
        match self.state {
            State::Closed { .. } => usize::MAX,
            State::Open { .. } => 0,
            State::Probing => PROBES.saturating_sub(probes),
        }
    }

    /// Lets a delivery begin at `now`, with so many `probes` under way; `None` when it may not.
    pub(super) fn begin(&mut self, now: Instant, probes: usize) -> Option<Pass> {
        let allowed = self.allowance(now, probes) > 0;
        allowed.then_some(if self.state == State::Probing { Pass::Probe } else { Pass::Free })
    }

    /// The sink answered, be it a refusal: it lives. Says whether that closed the circuit.
    pub(super) fn answered(&mut self) -> bool {
        let was_closed = self.is_closed();
        *self = Self::default();
        !was_closed
    }

    /// A delivery that began with `pass` failed in a way that may pass. Says whether that opened the circuit. Failures
    /// of deliveries that began before it opened do not count again.
    pub(super) fn failed(&mut self, now: Instant, pass: Pass) -> bool {
        match &mut self.state {
            State::Open { .. } => return false,
            State::Probing if pass == Pass::Free => return false,
            State::Closed { failures } if *failures + 1 < FAILURES => {
                *failures += 1;
                return false;
            }
            State::Closed { .. } | State::Probing => {}
        }
        let wait = FIRST.saturating_mul(1 << self.openings.min(16)).min(LONGEST);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { until: now + wait };
        self.openings == 1
    }

    /// Whether it lets everything through.
    #[must_use]
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// When it lets something through again, while open.
    #[must_use]
    pub(super) const fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::Probing => None,
        }
    }

    /// What `gatepost_sink_circuit` calls it now.
    #[must_use]
    pub(super) const fn name(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::Probing => "probing",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_opens_after_a_run_of_failures_and_only_a_run() {
        let (mut circuit, start) = (Circuit::default(), Instant::now());
        for _ in 0..3 {
            for _ in 0..FAILURES - 1 {
                assert!(!circuit.failed(start, Pass::Free));
            }
            assert!(!circuit.answered());
        }
        for _ in 0..FAILURES - 1 {
            circuit.failed(start, Pass::Free);
        }
        assert_eq!((circuit.allowance(start, 0), circuit.name()), (usize::MAX, "closed"));
        assert!(circuit.failed(start, Pass::Free));
        assert_eq!((circuit.allowance(start + millis(499), 0), circuit.name()), (0, "open"));
    }

    #[test]
    fn probes_are_few_and_rarer_each_time_until_one_gets_through() {
        let (mut circuit, mut now) = (Circuit::default(), Instant::now());
        (1..FAILURES).for_each(|_| assert!(!circuit.failed(now, Pass::Free)));
        assert!(circuit.failed(now, Pass::Free));
        for wait in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
            assert_eq!(circuit.open_until(), Some(now + millis(wait)));
            now += millis(wait);
            assert_eq!((circuit.allowance(now, 0), circuit.name()), (PROBES, "probing"));
            assert_eq!((circuit.begin(now, PROBES - 1), circuit.begin(now, PROBES)), (Some(Pass::Probe), None));
            assert!(!circuit.failed(now, Pass::Free), "it began before");
            assert_eq!(circuit.name(), "probing");
            (0..PROBES).for_each(|_| assert!(!circuit.failed(now, Pass::Probe)));
        }
        circuit.allowance(now + millis(10_000), 0);
        assert!(circuit.answered());
        assert_eq!(circuit.begin(now, 0), Some(Pass::Free));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Look,
        Claim,
        Begin,
        HandBack,
        End { failed: bool, which: prop::sample::Index },
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => Just(Step::Look),
            1 => Just(Step::Claim),
            4 => Just(Step::Begin),
            1 => Just(Step::HandBack),
            6 => (prop::bool::weighted(0.9), any::<prop::sample::Index>())
                .prop_map(|(failed, which)| Step::End { failed, which }),
            1 => (0..12_000_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        /// Whatever happened: when what is under way has ended, another may begin within the longest opening.
        #[test]
        fn any_sequence_leads_back_to_an_attempt(steps in prop::collection::vec(step(), 0..400)) {
            let (mut circuit, mut now) = (Circuit::default(), Instant::now());
            let (mut claimed, mut under_way) = (0, Vec::new());
            let probes = |under_way: &[Pass]| under_way.iter().filter(|pass| **pass == Pass::Probe).count();
            for step in steps {
                match step {
                    Step::Look => drop(circuit.allowance(now, probes(&under_way))),
                    Step::Claim => claimed += circuit.allowance(now, probes(&under_way)).min(40),
                    Step::Begin if claimed > 0 => {
                        if let Some(pass) = circuit.begin(now, probes(&under_way)) {
                            claimed -= 1;
                            under_way.push(pass);
                        }
                    }
                    Step::HandBack => claimed = 0,
                    Step::End { failed, which } if !under_way.is_empty() => {
                        let pass = under_way.swap_remove(which.index(under_way.len()));
                        if failed { circuit.failed(now, pass); } else { circuit.answered(); }
                    }
                    Step::Begin | Step::End { .. } => {}
                    Step::Pass(time) => now += millis(time),
                }
                prop_assert!(probes(&under_way) <= PROBES);
            }
            for pass in under_way.drain(..) {
                circuit.failed(now, pass);
            }
            let waits = circuit.open_until().is_some_and(|until| until > now + LONGEST);
            prop_assert!(!waits);
            prop_assert!(circuit.begin(now + LONGEST, 0).is_some());
        }
    }
}
