//! OTLP: recorded spans, in batches, to a collector over HTTP. Never in the way of what is traced: a bounded queue drops
//! and counts, and whoever records a span waits for nobody.

mod exporter;
mod message;
mod outage;
mod pairs;
mod settings;
mod target;
mod variables;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::trace::Tracer;

pub use self::exporter::Exporter;
pub use self::settings::Settings;
pub use self::target::Target;

/// Spans that may wait for the collector; some megabytes.
const QUEUE: usize = 8192;

/// Who takes spans for `target`, and who sends them there until nobody has the other any more.
#[must_use]
pub fn begin(target: Arc<Target>, metrics: &Metrics, clock: Clock) -> (Arc<Tracer>, Exporter) {
    let (queue, spans) = mpsc::channel(QUEUE);
    let dropped = metrics.spans_dropped.clone();
    let tracer = Tracer::new(target.sampler(), queue, dropped.clone(), clock.clone());
    (Arc::new(tracer), Exporter::new(target, spans, dropped, clock))
}
