//! Begins spans and takes them when they have ended; never waits for whoever sends them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::context::TraceContext;
use super::parent::Parent;
use super::sampler::Sampler;
use super::span::{Attribute, Kind, Span};
use crate::clock::Clock;

/// Begins spans and takes them.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: mpsc::Sender<Span>,
    dropped: Counter,
    clock: Clock,
}

/// The tracer of the moment, which a reload exchanges; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LiveTracer(Arc<ArcSwapOption<Tracer>>);

impl LiveTracer {
    /// The tracer; `None` while nothing is traced.
    #[must_use]
    pub fn load(&self) -> Option<Arc<Tracer>> {
        self.0.load_full()
    }

    /// Puts `tracer` in the place of the one before, which is gone once its last user is.
    pub fn replace(&self, tracer: Option<Arc<Tracer>>) {
        self.0.store(tracer);
    }
}

/// A span that has begun, recorded or not.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Itself.
    pub context: TraceContext,
    parent: Option<u64>,
    state: Option<Box<str>>,
    kind: Kind,
    start: Instant,
}

impl Tracer {
    /// Takes what `sampler` records into `queue`; what does not fit is counted in `dropped`.
    #[must_use]
    pub const fn new(sampler: Sampler, queue: mpsc::Sender<Span>, dropped: Counter, clock: Clock) -> Self {
        Self { sampler, queue, dropped, clock }
    }

    /// Begins the span of a request with these headers.
    #[must_use]
    pub fn serve(&self, headers: &HeaderMap) -> Begun {
        self.begin(Kind::Server, Parent::of(headers))
    }

    /// Begins the span of a call that `traceparent` caused.
    #[must_use]
    pub fn call(&self, traceparent: Option<&str>) -> Begun {
        let context = traceparent.and_then(TraceContext::parse);
        self.begin(Kind::Client, context.map(|context| Parent { context, state: None }))
    }

    fn begin(&self, kind: Kind, parent: Option<Parent>) -> Begun {
        let caused = parent.as_ref().map(|parent| parent.context);
        let context = caused.map_or_else(TraceContext::root, TraceContext::child);
        let context = context.sampled(self.sampler.records(context, caused));
        let (parent, state) = (caused.map(TraceContext::span_id), parent.and_then(|parent| parent.state));
        Begun { context, parent, state, kind, start: Instant::now() }
    }

    /// Takes `begun`, which ends now, with what `told` says of it: its name, its attributes, and why it failed. Nobody is
    /// asked where it is not recorded, nor where there is no room.
    pub fn end(&self, begun: &Begun, told: impl FnOnce() -> (String, Vec<Attribute>, Option<String>)) {
        if !begun.context.is_sampled() {
            return;
        }
        let Ok(place) = self.queue.try_reserve() else {
            self.dropped.inc();
            return;
        };
        // By the wall clock when it ends and by how long it took: the clock may be set meanwhile.
        let end = u64::try_from(self.clock.now().as_nanosecond()).unwrap_or_default();
        let (name, attributes, failed) = told();
        place.send(Span {
            context: begun.context,
            parent: begun.parent,
            state: begun.state.clone(),
            kind: begun.kind,
            name,
            start: end.saturating_sub(nanos(begun.start.elapsed())),
            end,
            attributes,
            failed,
        });
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(room: usize, ratio: f64) -> (Tracer, mpsc::Receiver<Span>, Counter) {
        let (queue, spans) = mpsc::channel(room);
        let dropped = Counter::default();
        let clock = Clock::manual("2026-01-02T03:04:05Z".parse().unwrap());
        (Tracer::new(Sampler { by_parent: true, ratio }, queue, dropped.clone(), clock), spans, dropped)
    }

    fn nothing() -> (String, Vec<Attribute>, Option<String>) {
        (String::new(), Vec::new(), None)
    }

    #[test]
    fn an_attempt_is_the_child_of_the_request_that_brought_the_event() {
        let (tracer, mut spans, _) = tracer(2, 1.0);
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
        headers.insert("tracestate", "a=1".parse().unwrap());
        let request = tracer.serve(&headers);
        let attempt = tracer.call(Some(&request.context.header()));
        tracer.end(&attempt, nothing);
        tracer.end(&request, nothing);
        let (attempt, request) = (spans.try_recv().unwrap(), spans.try_recv().unwrap());
        assert_eq!((request.parent, request.state.as_deref()), (Some(0x00f0_67aa_0ba9_02b7), Some("a=1")));
        assert_eq!(attempt.parent, Some(request.context.span_id()));
        assert_eq!(attempt.context.trace_id(), request.context.trace_id());
        assert_eq!((request.kind, attempt.kind), (Kind::Server, Kind::Client));
        assert!(request.start <= request.end);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let (tracer, _spans, dropped) = tracer(1, 1.0);
        for _ in 0..3 {
            tracer.end(&tracer.call(None), nothing);
        }
        assert_eq!(dropped.get(), 2);
    }

    #[test]
    fn of_what_is_not_recorded_nothing_is_made_and_the_next_is_told_so() {
        let (tracer, mut spans, dropped) = tracer(1, 0.0);
        let begun = tracer.call(None);
        tracer.end(&begun, || unreachable!("not recorded"));
        assert!(begun.context.header().ends_with("-02"));
        assert!(!tracer.call(Some(&begun.context.header())).context.is_sampled());
        assert!(spans.try_recv().is_err() && dropped.get() == 0);
    }
}
