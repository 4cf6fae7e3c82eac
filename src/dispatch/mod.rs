//! Dispatch: from the store to one sink. Claims by lease, delivers under a deadline with no transaction open, settles.
//!
//! One [`Dispatcher`] per sink, sharing nothing with the others, so that no sink's failure delays another's deliveries.
//! It knows no wall clock: what is due says the store, and all else is measured here.

mod attempt;
mod circuit;
mod claiming;
mod context;
mod decision;
mod gauges;
mod in_flight;
mod lease;
mod pipeline;
mod poll;
mod prefetch;
mod rate;
mod settling;
mod span;
mod store_health;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use crate::feed::Feed;
use crate::lifecycle::Lifecycle;
use crate::metrics::SinkMetrics;
use crate::sink::{Settings, Sink};
use crate::store::Outbox;
use crate::trace::LiveTracer;
use context::Context;

/// Delivers everything the store holds for one sink.
pub struct Dispatcher(Context);

impl Dispatcher {
    /// A dispatcher of the deliveries to `settings.name` through `sink`.
    #[must_use]
    pub fn new(settings: Settings, sink: Arc<dyn Sink>, outbox: Arc<dyn Outbox>, metrics: SinkMetrics) -> Self {
        Self(Context::new(settings, sink, outbox, metrics))
    }

    /// Tells `feed` what becomes of each attempt.
    #[must_use]
    pub fn telling(mut self, feed: Feed) -> Self {
        self.0.feed = Some(feed);
        self
    }

    /// Has `tracer` take the span of each attempt.
    #[must_use]
    pub fn tracing(mut self, tracer: LiveTracer) -> Self {
        self.0.tracer = tracer;
        self
    }

    /// Delivers until `lifecycle` stops accepting; then begins nothing new, releases what was not begun, and waits for
    /// what is in flight until the cut-off. What is cut off will be delivered again, under the same id.
    pub async fn run(self, lifecycle: Lifecycle) {
        let context = Arc::new(self.0);
        tokio::select! {
            () = pipeline::run(Arc::clone(&context), &lifecycle) => {}
            () = gauges::run(&context) => {}
        }
    }
}
