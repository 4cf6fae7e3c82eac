//! Start: everything built in dependency order and both sockets bound, nothing served yet.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::audit::Auditor;
use crate::clock::Clock;
use crate::config::{Boot, Config};
use crate::feed::Feed;
use crate::ingress::{self, BodyBudget, QuarantineQueue, RequestPermits, Shared, Waiting};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::near_misses::NearMisses;
use crate::server;
use crate::settings::ConfigErrors;
use crate::store::Store;
use crate::telemetry;
use crate::trace::LiveTracer;

use super::assembly::{self, Loader};
use super::dispatchers::Dispatchers;
use super::live::{Fixed, Live};
use super::open_files::OpenFiles;
use super::reload::Reloader;
use super::run::{Daemon, Exit, Listener, Pending};
use super::signals::Signals;

/// Audit records that may wait in memory for the store; beyond it they are counted, not kept.
const AUDIT_QUEUE: usize = 8192;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration cannot be acted on.
    #[error(transparent)]
    ConfigErrors(#[from] ConfigErrors),
    /// The machine did not play along: a taken port, a store that is down.
    #[error("{0}")]
    Runtime(String),
}

/// The daemon, built and bound, not yet serving.
pub struct App {
    daemon: Daemon,
    pending: Pending,
}

impl App {
    /// Builds all there is and binds both sockets, so that whatever is wrong shows before anything is served. A
    /// certificate that is not valid now is reported and served: a restart must not be what takes the daemon down.
    ///
    /// # Errors
    /// [`AppError::ConfigErrors`] for what the operator has to change, [`AppError::Runtime`] for what the machine refuses.
    pub async fn start(loader: Loader, clock: Clock) -> Result<Self, AppError> {
        let draft = loader();
        let watched = Arc::new(draft.watched().clone());
        let parts = assembly::parts(draft, |_| Vec::new())?;
        server::tls::gather_randomness();
        let config = parts.config.clone();
        let Boot { log_format, admin_address, .. } = config.boot;
        let telemetry = telemetry::start(log_format, &config.live.log_filter).map_err(|error| runtime(&error))?;
        let (telemetry, metrics) = (Arc::new(telemetry), Arc::new(Metrics::new()));
        let sources = assembly::sources(&config, &metrics)?;
        let webhook = bind(config.boot.listener.address, server::settings::LISTEN).await?;
        let admin = bind(admin_address, admin::settings::LISTEN).await?;
        let store = assembly::store(&config, &metrics).await.map_err(|error| runtime(&error))?;

        let (front, background) = (Lifecycle::default(), Lifecycle::default());
        front.set_store_healthy(true);
        let (audit_records, to_auditor) = mpsc::channel(AUDIT_QUEUE);
        let (siem, siem_seen) = watch::channel(parts.target.clone());
        let audit_queue = Arc::clone(&store.audit_queue);
        let auditor = Auditor::new(siem_seen, audit_queue, to_auditor, Arc::clone(&metrics), clock.clone());
        let (quarantine_queue, quarantine_writer) =
            ingress::quarantine_queue(Arc::clone(&store.quarantine), clock.clone());
        let feed = Feed::new(clock.clone());
        let (tracer, export) = (LiveTracer::default(), Lifecycle::default());
        let (outbox, series) = (Arc::clone(&store.outbox), Arc::clone(&metrics));
        let fixed = Fixed {
            shared: shared(&config, &store, quarantine_queue, clock.clone(), &metrics, &front),
            audit_records,
            siem,
            dispatchers: Dispatchers::new(outbox, series, feed.clone(), tracer.clone(), background.clone()),
            feed,
            tracer,
            export: export.clone(),
            telemetry: Arc::clone(&telemetry),
            metrics: Arc::clone(&metrics),
            background: background.clone(),
        };
        let live = Arc::new(Live::new(&parts, &sources, fixed));
        let pending = Pending {
            sources: sources.len(),
            open_files: OpenFiles::of(&config),
            sinks: parts.sinks,
            reloader: Reloader {
                live: Arc::clone(&live),
                loader,
                config,
                tls: parts.tls,
                sources,
                watched,
                clock,
                metrics: Arc::clone(&metrics),
            },
            auditor,
            quarantine_writer,
            webhook,
            admin,
        };
        let probes = Lifecycle::default();
        let daemon = Daemon { telemetry, metrics, store, live, front, background, export, probes };
        Ok(Self { daemon, pending })
    }

    /// Where webhooks are taken; tells the port where the configuration said 0.
    #[must_use]
    pub const fn webhook_address(&self) -> SocketAddr {
        self.pending.webhook.address
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.pending.admin.address
    }

    /// Serves until a signal says stop, then drains: not ready at once, still accepting for `drain_delay`, then what
    /// is under way has `drain_timeout` to finish. A second signal stops at once.
    pub async fn run(self, signals: Signals) -> Exit {
        self.daemon.run(self.pending, signals).await
    }
}

/// What all stacks share, with the limits of `config`.
fn shared(
    config: &Config,
    store: &Store,
    quarantine_queue: QuarantineQueue,
    clock: Clock,
    metrics: &Arc<Metrics>,
    front: &Lifecycle,
) -> Shared {
    Shared {
        inbox: Arc::clone(&store.inbox),
        quarantine: Arc::clone(&store.quarantine),
        quarantine_queue,
        requests: Arc::new(RequestPermits::new(config.live.limits.concurrent_requests)),
        waiting: Arc::new(Waiting::new(config.live.limits.concurrent_requests)),
        budget: Arc::new(BodyBudget::new(config.live.limits.body_memory_bytes, Arc::clone(metrics))),
        body_timeout: config.live.limits.body_timeout,
        clock,
        near_misses: NearMisses::default(),
        lifecycle: front.clone(),
    }
}

async fn bind(address: SocketAddr, variable: &str) -> Result<Listener, AppError> {
    let refused = |error: io::Error| {
        AppError::Runtime(format!("cannot listen on {address}: {error}; {variable} sets another address"))
    };
    let socket = TcpListener::bind(address).await.map_err(refused)?;
    Ok(Listener { address: socket.local_addr().map_err(refused)?, socket })
}

fn runtime(error: &dyn Display) -> AppError {
    AppError::Runtime(error.to_string())
}
