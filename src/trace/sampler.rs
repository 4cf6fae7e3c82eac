//! Which traces are recorded: as the sender decided, or as we do.

use super::context::TraceContext;

/// Decides by the trace's id and by what its parent decided.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sampler {
    /// Whether the parent's decision holds where there is a parent.
    pub by_parent: bool,
    /// The share of the others that is recorded, from 0 to 1.
    pub ratio: f64,
}

impl Default for Sampler {
    /// Everything but what the sender decided not to record.
    fn default() -> Self {
        Self { by_parent: true, ratio: 1.0 }
    }
}

impl Sampler {
    /// Whether a span of `trace` is recorded that `parent` caused.
    pub(super) fn records(self, trace: TraceContext, parent: Option<TraceContext>) -> bool {
        match parent.filter(|_| self.by_parent) {
            Some(parent) => parent.is_sampled(),
            None => self.draws(trace.trace_id()),
        }
    }

    /// By the lower 56 bits of the id, which are the random ones (W3C Trace Context, level 2): whoever goes by them decides
    /// alike for the whole trace.
    fn draws(self, trace_id: u128) -> bool {
        const RANDOM: u64 = (1 << 56) - 1;
        let number = u64::try_from(trace_id & u128::from(RANDOM)).unwrap_or(RANDOM);
        #[expect(clippy::cast_precision_loss, reason = "a share of 2^56 needs no more than 53 bits of it")]
        let place = number as f64 / (RANDOM + 1) as f64;
        // The highest are recorded, as OpenTelemetry's consistent sampling has it: reject below the threshold.
        place >= 1.0 - self.ratio
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(sampled: bool) -> TraceContext {
        TraceContext::root().sampled(sampled)
    }

    #[test]
    fn the_parents_decision_holds_where_it_is_to() {
        for ratio in [0.0, 1.0] {
            let sampler = Sampler { by_parent: true, ratio };
            for decided in [true, false] {
                assert_eq!(sampler.records(trace(false), Some(trace(decided))), decided);
                let own = Sampler { by_parent: false, ratio };
                assert_eq!(own.records(trace(false), Some(trace(decided))), ratio > 0.5);
            }
            assert_eq!(sampler.records(trace(false), None), ratio > 0.5);
        }
    }

    #[test]
    fn a_share_is_about_that_share_and_the_same_for_the_whole_trace() {
        let sampler = Sampler { by_parent: true, ratio: 0.25 };
        let traces: Vec<TraceContext> = (0..4000).map(|_| trace(false)).collect();
        let recorded = traces.iter().filter(|trace| sampler.records(**trace, None)).count();
        assert!((800..1200).contains(&recorded), "{recorded}");
        let more = Sampler { ratio: 0.5, ..sampler };
        let all = traces.iter().all(|trace| !sampler.records(*trace, None) || more.records(trace.child(), None));
        assert!(all, "who records more records what others do");
    }
}
