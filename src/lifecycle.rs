//! Starting, ready, draining: one explicit state that fails closed, the stop signals, and an owner for every task.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::settings::kind::span;
use crate::settings::{Diagnostics, Table, key};

/// What the daemon is doing, as the probes see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Not serving yet.
    Starting,
    /// Serving.
    Ready,
    /// Still serving, but asking to be taken out of the load balancer.
    Draining,
}

/// The state every part shares; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// A number, because every response asks for it: looking takes no lock.
    phase: Arc<AtomicU8>,
    draining: CancellationToken,
    store_healthy: Arc<AtomicBool>,
    stop_accepting: CancellationToken,
    cut_off: CancellationToken,
    tasks: TaskTracker,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            phase: Arc::new(AtomicU8::new(Phase::Starting as u8)),
            draining: CancellationToken::new(),
            store_healthy: Arc::new(AtomicBool::new(false)),
            stop_accepting: CancellationToken::new(),
            cut_off: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }
}

impl Lifecycle {
    /// Moves on to `phase`; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        if phase == Phase::Draining {
            self.draining.cancel();
        }
    }

    /// The phase now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        let now = self.phase.load(Ordering::Acquire);
        [Phase::Starting, Phase::Ready].into_iter().find(|phase| *phase as u8 == now).unwrap_or(Phase::Draining)
    }

    /// Waits until draining begins.
    pub(crate) async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Records whether the store took its last write or probe.
    pub(crate) fn set_store_healthy(&self, healthy: bool) {
        self.store_healthy.store(healthy, Ordering::Release);
    }

    /// Whether new requests should be sent here: serving, not draining, store writable.
    #[must_use]
    pub(crate) fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready && self.store_healthy.load(Ordering::Acquire)
    }

    /// Cancelled when no new connection is to be accepted and open ones are to finish what they are doing.
    #[must_use]
    pub const fn stop_accepting(&self) -> &CancellationToken {
        &self.stop_accepting
    }

    /// Cancelled when whatever still runs is to be cut off.
    #[must_use]
    pub const fn cut_off(&self) -> &CancellationToken {
        &self.cut_off
    }

    /// A part that can be stopped by itself: stops, and is cut off, with the whole, never the other way round. Its tasks
    /// are the whole's.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { stop_accepting: self.stop_accepting.child_token(), cut_off: self.cut_off.child_token(), ..self.clone() }
    }

    /// Starts a task that [`Lifecycle::tasks_done`] waits for.
    #[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task)
    }

    /// Waits until every task has ended; no more may be started after this.
    pub async fn tasks_done(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// `[shutdown]`
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// Not ready any more, still accepting.
    pub drain_delay: Duration,
    /// Then this long to finish.
    pub drain_timeout: Duration,
}

impl Shutdown {
    /// `[shutdown]`
    pub(crate) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        const DELAYS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
        const TIMEOUTS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);
        Self {
            drain_delay: key(
                "drain_delay",
                "Not ready any more but still accepting, so that the load balancer takes us out first.",
                span(DELAYS),
            )
            .or(Duration::from_secs(5), table, diagnostics),
            drain_timeout: key(
                "drain_timeout",
                "Then this long to finish what is in flight; what is cut off makes the exit status 2.",
                span(TIMEOUTS),
            )
            .or(Duration::from_secs(25), table, diagnostics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_needs_a_phase_and_a_store_and_never_returns_from_draining() {
        let lifecycle = Lifecycle::default();
        assert!(!lifecycle.is_ready());
        lifecycle.enter(Phase::Ready);
        assert!(!lifecycle.is_ready());
        lifecycle.set_store_healthy(true);
        assert!(lifecycle.is_ready());
        lifecycle.enter(Phase::Draining);
        lifecycle.enter(Phase::Ready);
        assert!(!lifecycle.is_ready());
    }

    #[test]
    fn a_child_stops_alone_and_with_the_whole() {
        let whole = Lifecycle::default();
        let (first, second) = (whole.child(), whole.child());
        first.stop_accepting().cancel();
        assert!(!whole.stop_accepting().is_cancelled() && !second.stop_accepting().is_cancelled());
        whole.stop_accepting().cancel();
        assert!(second.stop_accepting().is_cancelled() && !second.cut_off().is_cancelled());
        whole.cut_off().cancel();
        assert!(first.cut_off().is_cancelled() && second.cut_off().is_cancelled());
    }
}
