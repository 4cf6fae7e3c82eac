//! The dispatchers that run, one a sink: begun, stopped and succeeded as the configuration changes.
//!
//! A sink that did not change goes on untouched. One that changed gets a new dispatcher once the old one has finished
//! what was under way, handed back the rest and settled all of it: so nothing is lost and nothing is delivered twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::dispatch::Dispatcher;
use crate::event::Name;
use crate::feed::Feed;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::sink::Fingerprint;
use crate::store::Outbox;
use crate::trace::LiveTracer;

use super::assembly::BuiltSink;

/// How long a successor waits for a sink that is slow. Then it begins beside the old dispatcher, which only finishes what
/// it has begun: leases keep the two apart, as they do replicas. A sink that hangs must not hold up its own mending.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(15);

/// The dispatchers of this process.
#[derive(Clone)]
pub(super) struct Dispatchers(Arc<Inner>);

struct Inner {
    outbox: Arc<dyn Outbox>,
    metrics: Arc<Metrics>,
    feed: Feed,
    tracer: LiveTracer,
    /// What they stop with; owns their tasks.
    background: Lifecycle,
    running: Mutex<BTreeMap<Name, Running>>,
}

struct Running {
    /// Tells this one from others of the same name.
    number: u64,
    fingerprint: Fingerprint,
    part: Lifecycle,
    task: JoinHandle<()>,
    /// Whether the sink is gone from the configuration.
    leaving: bool,
}

impl Dispatchers {
    pub(super) fn new(
        outbox: Arc<dyn Outbox>,
        metrics: Arc<Metrics>,
        feed: Feed,
        tracer: LiveTracer,
        background: Lifecycle,
    ) -> Self {
        Self(Arc::new(Inner { outbox, metrics, feed, tracer, background, running: Mutex::default() }))
    }

    /// Makes `sinks` the ones that are delivered to; returns the names of those that are new or changed. Waits for
    /// nothing.
    pub(super) fn exchange(&self, sinks: Vec<BuiltSink>) -> Vec<Name> {
        let mut running = self.lock();
        for (name, gone) in &mut *running {
            if !sinks.iter().any(|built| built.settings.name == *name) {
                gone.leaving = true;
                gone.part.stop_accepting().cancel();
            }
        }
        let mut begun = Vec::new();
        for BuiltSink { settings, fingerprint, sink } in sinks {
            let name = settings.name.clone();
            let before = match running.remove(&name) {
                Some(same) if !same.leaving && same.fingerprint == fingerprint => {
                    running.insert(name, same);
                    continue;
                }
                before => before,
            };
            let number = before.as_ref().map_or(0, |before| before.number + 1);
            let predecessor = before.map(|before| {
                before.part.stop_accepting().cancel();
                before.task
            });
            let inner = &self.0;
            let series = inner.metrics.sink(&name);
            let dispatcher = Dispatcher::new(settings, sink, Arc::clone(&inner.outbox), series);
            let dispatcher = dispatcher.telling(inner.feed.clone()).tracing(inner.tracer.clone());
            let part = inner.background.child();
            let (all, stopped) = (self.clone(), part.clone());
            let of = name.clone();
            let task = inner.background.spawn(async move {
                run_after(predecessor, dispatcher, stopped).await;
                all.ended(&of, number).await;
            });
            running.insert(name.clone(), Running { number, fingerprint, part, task, leaving: false });
            begun.push(name);
        }
        begun
    }

    /// Whether sink `name` has a dispatcher, be it one that is about to end.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.lock().contains_key(name)
    }

    /// Does `what` to the series of sink `name`, unless it has a dispatcher, which would lose them; none begins meanwhile.
    pub(super) fn without(&self, name: &Name, what: impl FnOnce(&Metrics)) {
        let running = self.lock();
        if !running.contains_key(name) {
            what(&self.0.metrics);
        }
    }

    /// The dispatcher `number` of sink `name` has ended. Where the sink is gone, its series go unless there is something
    /// to show; `orphans.rs` reports that.
    async fn ended(&self, name: &Name, number: u64) {
        let left = |running: &BTreeMap<Name, Running>| {
            running.get(name).is_some_and(|running| running.number == number && running.leaving)
        };
        if !left(&self.lock()) {
            return;
        }
        let backlog = self.0.outbox.backlog(name).await.unwrap_or_default();
        let mut running = self.lock();
        if !left(&running) {
            return;
        }
        running.remove(name);
        self.0.metrics.forget_sink(name, backlog.pending + backlog.dead > 0);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Running>> {
        // Nothing in here panics half-way.
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `dispatcher` after its predecessor.
async fn run_after(predecessor: Option<JoinHandle<()>>, dispatcher: Dispatcher, part: Lifecycle) {
    if let Some(predecessor) = predecessor {
        // One that panicked has ended, too; what it had claimed passes on with its leases.
        let _ = tokio::time::timeout(PREDECESSOR_TIMEOUT, predecessor).await;
    }
    if !part.stop_accepting().is_cancelled() {
        dispatcher.run(part).await;
    }
}
