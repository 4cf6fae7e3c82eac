//! The composition root: builds everything in dependency order, binds its sockets, runs it, stops it.
//!
//! The only place that sees every concrete type; imported by `main` and `cli` alone.

mod assembly;
mod descriptors;
mod reload;
mod run;
mod signals;
mod upkeep;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::audit::Auditor;
use crate::clock::Clock;
use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::fault::Faults;
use crate::ingress::{self, BodyBudget, Shared, Shelver, Waiting};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::telemetry::{self, Telemetry};
use crate::verdict::Verdict;

use self::reload::Live;

pub use self::assembly::check;
pub use self::run::Exit;
pub use self::signals::{Signal, Signals};

/// Reads the configuration again, on reload.
pub type Loader = Box<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// Audit records that may wait in memory for the store; beyond it they are counted, not kept.
const AUDIT_QUEUE: usize = 8192;

/// Why the daemon did not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration cannot be acted on.
    #[error(transparent)]
    Faults(#[from] Faults),
    /// The machine did not play along: a taken port, a store that is down.
    #[error("{0}")]
    Runtime(String),
}

/// The daemon, built and bound, not yet serving.
pub struct App {
    config: Config,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    /// The side that takes webhooks; its readiness is the daemon's.
    front: Lifecycle,
    /// What stands behind the store; stops after the front.
    background: Lifecycle,
    /// The admin listener; stops last.
    probes: Lifecycle,
    metrics: Arc<Metrics>,
    store: Store,
    live: Arc<Live>,
    dispatchers: Vec<Dispatcher>,
    auditor: Option<Auditor>,
    shelver: Option<Shelver>,
    webhook: Bound,
    admin: Bound,
}

/// A socket that is bound and not yet served, and where.
struct Bound {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl App {
    /// Builds all there is and binds both sockets, so that whatever is wrong shows before anything is served.
    ///
    /// # Errors
    /// [`AppError::Faults`] for what the operator has to change, [`AppError::Runtime`] for what the machine refuses.
    pub async fn start(config: Config, loader: Loader, clock: Clock) -> Result<Self, AppError> {
        let telemetry = telemetry::start(config.log.json, &config.log.filter).map_err(|e| runtime(&e))?;
        let front = Lifecycle::default();
        let metrics = Arc::new(Metrics::new());
        let sinks = assembly::sinks(&config)?;
        let tls = assembly::tls(&config.tls, clock.now())?;
        let sources = assembly::sources(&config, &metrics)?;
        let webhook = bind(config.listener.address, "GATEPOST_LISTEN").await?;
        let admin = bind(config.admin.address, "GATEPOST_ADMIN_LISTEN").await?;
        let store = assembly::store(&config, &metrics).await.map_err(|fault| runtime(&fault))?;
        front.set_store_healthy(true);
        let (auditor, verdicts) = auditor(&config, &store, &metrics, &clock)?.unzip();
        let (intake, shelver) = ingress::intake(Arc::clone(&store.quarantine), clock.clone());
        let shared = Shared {
            inbox: Arc::clone(&store.inbox),
            quarantine: Arc::clone(&store.quarantine),
            intake,
            requests: Arc::new(Semaphore::new(config.limits.concurrent_requests)),
            waiting: Arc::new(Waiting::new(config.limits.concurrent_requests)),
            budget: Arc::new(BodyBudget::new(config.limits.body_memory_bytes, Arc::clone(&metrics))),
            body_timeout: config.limits.body_timeout,
            clock: clock.clone(),
            lifecycle: front.clone(),
        };
        let dispatcher = |(settings, sink): (crate::sink::Settings, _)| {
            let series = metrics.sink(&settings.name);
            Dispatcher::new(settings, sink, Arc::clone(&store.outbox), series, clock.clone())
        };
        let dispatchers = sinks.into_iter().map(dispatcher).collect();
        let live = Live::new(&config, loader, shared, verdicts, &sources, tls, Arc::clone(&metrics));
        Ok(Self {
            live: Arc::new(live),
            telemetry: Arc::new(telemetry),
            config,
            clock,
            front,
            background: Lifecycle::default(),
            probes: Lifecycle::default(),
            metrics,
            store,
            dispatchers,
            auditor,
            shelver: Some(shelver),
            webhook,
            admin,
        })
    }

    /// Where webhooks are taken; tells the port where the configuration said 0.
    #[must_use]
    pub const fn webhook_address(&self) -> SocketAddr {
        self.webhook.address
    }

    /// Where probes and metrics are served.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }
}

/// The way of audit records to the SIEM, where one is configured.
fn auditor(
    config: &Config,
    store: &Store,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> Result<Option<(Auditor, mpsc::Sender<Verdict>)>, AppError> {
    let Some(siem) = &config.siem else { return Ok(None) };
    let (verdicts, records) = mpsc::channel(AUDIT_QUEUE);
    let auditor = Auditor::new(siem, Arc::clone(&store.audit_queue), records, Arc::clone(metrics), clock.clone())
        .map_err(|faults| Faults(faults.into_iter().map(|fault| fault.under("siem")).collect()))?;
    Ok(Some((auditor, verdicts)))
}

async fn bind(address: SocketAddr, variable: &str) -> Result<Bound, AppError> {
    let refused = |error: io::Error| {
        AppError::Runtime(format!("cannot listen on {address}: {error}; {variable} sets another address"))
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    Ok(Bound { address: listener.local_addr().map_err(refused)?, listener: Some(listener) })
}

fn runtime(error: &dyn std::fmt::Display) -> AppError {
    AppError::Runtime(error.to_string())
}
