//! Running and stopping: every task started here, waited for here, and cut off here when it takes too long.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::admin::{self, Admin};
use crate::audit::Auditor;
use crate::ingress::QuarantineWriter;
use crate::lifecycle::Shutdown;
use crate::lifecycle::{Lifecycle, Phase};
use crate::metrics::Metrics;
use crate::server::Server;
use crate::store::Store;
use crate::telemetry::Telemetry;

use super::assembly::BuiltSink;
use super::live::Live;
use super::open_files::OpenFiles;
use super::reload::Reloader;
use super::signals::{Signal, Signals};
use super::{maintenance, orphans};

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

/// What lives to the end, in the sides that stop one after the other.
pub(super) struct Daemon {
    pub telemetry: Arc<Telemetry>,
    pub metrics: Arc<Metrics>,
    pub store: Store,
    pub live: Arc<Live>,
    /// What takes webhooks; its readiness is the daemon's.
    pub front: Lifecycle,
    /// What stands behind the store; stops after the front.
    pub background: Lifecycle,
    /// What sends the spans of both; stops after them.
    pub export: Lifecycle,
    /// The admin listener; stops last.
    pub probes: Lifecycle,
}

/// What is built and not running yet.
pub(super) struct Pending {
    pub sources: usize,
    pub open_files: OpenFiles,
    pub sinks: Vec<BuiltSink>,
    pub reloader: Reloader,
    pub auditor: Auditor,
    pub quarantine_writer: QuarantineWriter,
    pub webhook: Listener,
    pub admin: Listener,
}

/// A socket that is bound and not yet served, and where.
pub(super) struct Listener {
    pub address: SocketAddr,
    pub socket: TcpListener,
}

impl Daemon {
    /// See [`super::App::run`].
    pub(super) async fn run(self, pending: Pending, mut signals: Signals) -> Exit {
        let reload = Arc::new(Notify::new());
        announce(&pending);
        // Every series is there from the start.
        maintenance::measure(&self.store, &self.metrics).await;
        self.start(pending, &reload);
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

    /// Starts every task: the dispatchers, the front, what stands behind the store, the probes.
    fn start(&self, pending: Pending, reload: &Arc<Notify>) {
        let (front, background, live) = (&self.front, &self.background, &self.live);
        live.dispatch_to(pending.sinks);
        let server = Server {
            tls: Arc::clone(&live.tls),
            proxy: Arc::clone(&live.proxy),
            limits: Arc::clone(&live.limits),
            lifecycle: front.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        front.spawn(server.serve(pending.webhook.socket, live.ingress.clone()));
        front.spawn(pending.reloader.run(Arc::clone(reload), front.clone()));

        background.spawn(pending.auditor.run(background.clone()));
        background.spawn(pending.quarantine_writer.run(background.clone()));
        let (telemetry, metrics) = (Arc::clone(&self.telemetry), Arc::clone(&self.metrics));
        background.spawn(maintenance::probe(self.store.clone(), front.clone(), background.clone()));
        background.spawn(maintenance::prune(self.store.clone(), background.clone()));
        background.spawn(maintenance::sizes(self.store.clone(), Arc::clone(&self.metrics), background.clone()));
        background.spawn(maintenance::gauges(self.store.clone(), telemetry, metrics, background.clone()));
        let (outbox, dispatchers) = (Arc::clone(&self.store.outbox), live.dispatchers().clone());
        background.spawn(orphans::watch(outbox, dispatchers, background.clone()));

        let (lifecycle, metrics) = (front.clone(), Arc::clone(&self.metrics));
        let (view, reloads) = (Arc::clone(&live.admin), Arc::clone(&live.reloads));
        let (store, clock, feed) = (self.store.clone(), live.clock().clone(), live.feed().clone());
        let admin = Admin::new(lifecycle, metrics, store, clock, feed, view, reloads);
        let admin = admin.showing(live.near_misses().clone());
        let tls = Arc::clone(&live.admin_tls);
        self.probes.spawn(admin::serve(pending.admin.socket, admin, tls, self.probes.clone()));
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
            self.export.stop_accepting().cancel();
            self.export.tasks_done().await;
            self.probes.stop_accepting().cancel();
            self.probes.tasks_done().await;
        };
        if tokio::time::timeout(timeout, finished).await.is_ok() { Exit::Drained } else { Exit::CutOff }
    }

    /// Cuts off what is left, closes the store, writes the last lines.
    async fn end(self, exit: Exit) -> Exit {
        let sides = [&self.front, &self.background, &self.export, &self.probes];
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

/// What an operator or a test wants to know first: the warnings, then one record with where and what.
fn announce(pending: &Pending) {
    pending.open_files.warn();
    pending.reloader.report_warnings();
    tracing::info!(
        webhook = %pending.webhook.address,
        admin = %pending.admin.address,
        version = env!("CARGO_PKG_VERSION"),
        sources = pending.sources,
        sinks = pending.sinks.len(),
        "listening"
    );
    pending.reloader.report_certificates();
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
