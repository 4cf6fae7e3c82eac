//! What every handler of the admin listener stands on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::access::{Attempts, Sessions};
use super::history::History;
use super::reloads::Reloads;
use super::ticker::Ticker;
use super::view::View;
use crate::clock::Clock;
use crate::feed::Feed;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::near_misses::NearMisses;
use crate::operations::{Operations, UNSEEN};
use crate::store::Store;

/// What the admin listener shows and does; cheap to clone.
#[derive(Clone)]
pub(crate) struct Admin {
    /// What the probes tell.
    pub(crate) lifecycle: Lifecycle,
    /// What `/metrics` shows.
    pub(crate) metrics: Arc<Metrics>,
    /// Everything that was received.
    pub(crate) store: Store,
    /// For people to read.
    pub(crate) clock: Clock,
    /// What `/api/v1/tail` tells.
    pub(crate) feed: Feed,
    /// Requests to paths that are nearly some source's.
    pub(crate) near_misses: NearMisses,
    /// Of the configuration in use.
    pub(crate) view: Arc<ArcSwap<View>>,
    /// What became of reloads.
    pub(crate) reloads: Arc<Reloads>,
    pub(super) started: Timestamp,
    pub(super) sessions: Arc<Sessions>,
    pub(super) attempts: Arc<Attempts>,
    pub(super) history: Arc<History>,
    pub(super) ticker: Arc<Ticker>,
}

impl Admin {
    /// With nobody signed in.
    pub(crate) fn new(
        lifecycle: Lifecycle,
        metrics: Arc<Metrics>,
        store: Store,
        clock: Clock,
        feed: Feed,
        view: Arc<ArcSwap<View>>,
        reloads: Arc<Reloads>,
    ) -> Self {
        Self {
            lifecycle,
            metrics,
            store,
            started: clock.now(),
            clock,
            feed,
            near_misses: NearMisses::default(),
            view,
            reloads,
            sessions: Arc::default(),
            attempts: Arc::default(),
            history: Arc::default(),
            ticker: Arc::default(),
        }
    }

    /// The same, which shows what is in `near_misses`.
    pub(crate) fn showing(self, near_misses: NearMisses) -> Self {
        Self { near_misses, ..self }
    }

    /// What operators do, by the configuration of `view`.
    pub(super) fn operations<'a>(&'a self, view: &'a View) -> Operations<'a> {
        let (sources, sinks) = (&view.sources, &view.sinks);
        Operations { store: &self.store, sources, sinks, siem: view.siem, clock: &self.clock, progress: UNSEEN }
    }
}
