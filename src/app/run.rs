//! Running and stopping: every task started here, waited for here, and cut off here when it takes too long.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::Notify;

use crate::admin::{self, Admin};
use crate::lifecycle::Phase;
use crate::lifecycle::Shutdown;
use crate::server::Server;

use super::signals::{Signal, Signals};
use super::{App, First, maintenance, orphans};

/// After the deadline, how long what has been cut off may take to notice, and the store to close: 3 s in all.
const NOTICE_WAIT: Duration = Duration::from_secs(1);
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Everything under way was finished.
    Drained,
    /// Something was cut off at the deadline.
    CutOff,
}

impl App {
    /// Serves until a signal says stop, then drains: not ready at once, still accepting for `drain_delay`, then what
    /// is under way has `drain_timeout` to finish. A second signal stops at once.
    pub async fn run(mut self, mut signals: Signals) -> Exit {
        let reload = Arc::new(Notify::new());
        self.begin();
        self.start_front(&reload);
        self.start_background();
        self.front.enter(Phase::Ready);
        tell_systemd(NotifyState::Ready);
        while let Signal::Reload = signals.next().await {
            // Several that come while one is under way are one more: it reads what the last of them was about.
            reload.notify_one();
        }
        let exit = tokio::select! {
            exit = self.drain() => exit,
            () = second_stop(&mut signals) => {
                tracing::warn!("stopping at once: a second signal came while draining");
                Exit::CutOff
            }
        };
        self.end(exit).await
    }

    /// One record with everything an operator or a test wants to know first; the first sinks begin.
    fn begin(&mut self) {
        let Some(First { warnings, sources, descriptors, sinks }) = self.first.take() else { return };
        descriptors.warn();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(
            webhook = %self.webhook_address(),
            admin = %self.admin_address(),
            version = env!("CARGO_PKG_VERSION"),
            sources,
            sinks = sinks.len(),
            "listening"
        );
        if let Some(reloader) = &self.reloader {
            reloader.tell_certificates();
        }
        self.live.deliver(sinks);
    }

    /// The side that takes webhooks; the first to stop.
    fn start_front(&mut self, reload: &Arc<Notify>) {
        let server = Server {
            tls: Arc::clone(&self.live.tls),
            proxy: Arc::clone(&self.live.proxy),
            limits: Arc::clone(&self.live.limits),
            lifecycle: self.front.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        if let Some(listener) = self.webhook.listener.take() {
            self.front.spawn(server.serve(listener, self.live.ingress.clone()));
        }
        if let Some(reloader) = self.reloader.take() {
            self.front.spawn(reloader.run(Arc::clone(reload), self.front.clone()));
        }
    }

    /// Everything behind the store, and the probes: stops when the front has finished.
    fn start_background(&mut self) {
        let background = &self.background;
        if let Some(auditor) = self.auditor.take() {
            background.spawn(auditor.run(background.clone()));
        }
        if let Some(writer) = self.quarantine_writer.take() {
            background.spawn(writer.run(background.clone()));
        }
        let (store, front) = (self.store.clone(), self.front.clone());
        background.spawn(maintenance::probe(store.clone(), front, background.clone()));
        background.spawn(maintenance::prune(store.clone(), background.clone()));
        let (telemetry, metrics) = (Arc::clone(&self.telemetry), Arc::clone(&self.metrics));
        background.spawn(maintenance::gauges(store, telemetry, metrics, background.clone()));
        let (outbox, deliveries) = (Arc::clone(&self.store.outbox), self.live.deliveries().clone());
        background.spawn(orphans::watch(outbox, deliveries, background.clone()));
        let admin = Admin {
            lifecycle: self.front.clone(),
            metrics: Arc::clone(&self.metrics),
            token: Arc::clone(&self.live.admin_token),
        };
        if let Some(listener) = self.admin.listener.take() {
            self.probes.spawn(admin::serve(listener, admin, self.probes.clone()));
        }
    }

    /// Front first, then what stands behind the store; each finishes what it has begun. The probes answer to the end.
    async fn drain(&self) -> Exit {
        let Shutdown { drain_delay: delay, drain_timeout: timeout } = **self.live.shutdown.load();
        self.front.enter(Phase::Draining);
        tell_systemd(NotifyState::Stopping);
        tracing::info!(delay_seconds = delay.as_secs_f64(), "draining: not ready, still accepting");
        tokio::time::sleep(delay).await;
        tracing::info!(timeout_seconds = timeout.as_secs_f64(), "no longer accepting; finishing what is under way");
        let finished = async {
            self.front.stop_accepting().cancel();
            self.front.tasks_done().await;
            self.background.stop_accepting().cancel();
            self.background.tasks_done().await;
            self.probes.stop_accepting().cancel();
            self.probes.tasks_done().await;
        };
        if tokio::time::timeout(timeout, finished).await.is_ok() { Exit::Drained } else { Exit::CutOff }
    }

    /// Cuts off what is left, closes the store, writes the last lines.
    async fn end(self, exit: Exit) -> Exit {
        let sides = [&self.front, &self.background, &self.probes];
        for side in sides {
            side.enter(Phase::Draining);
            side.stop_accepting().cancel();
            side.cut_off().cancel();
        }
        // What has been cut off ends at its next await; a task that computes is not waited for.
        let ended = async {
            for side in sides {
                side.tasks_done().await;
            }
        };
        if tokio::time::timeout(NOTICE_WAIT, ended).await.is_err() {
            tracing::warn!("something did not stop in time");
        }
        // Whatever still runs: a store that is closed needs no recovery, and takes nothing more from stragglers.
        match tokio::time::timeout(CLOSE_WAIT, self.store.maintenance.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the store did not close cleanly; it recovers at the next start"),
            Err(_) => tracing::warn!("the store did not close in time; it recovers at the next start"),
        }
        tracing::info!(cut_off = exit == Exit::CutOff, "stopped");
        exit
    }
}

/// Tells the service manager, where there is one.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "could not notify systemd");
    }
}

/// Waits for another stop; further reloads are pointless now.
async fn second_stop(signals: &mut Signals) {
    while let Signal::Reload = signals.next().await {}
}
