//! The composition root: builds everything in dependency order, binds its sockets, runs it, stops it.
//!
//! The only place that sees every concrete type; imported by `main` and `cli` alone.

mod assembly;
mod certificates;
mod deliveries;
mod descriptors;
mod fingerprint;
mod live;
pub mod orphans;
mod reload;
mod run;
mod signals;
mod skew;
mod upkeep;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::audit::{Auditor, Target};
use crate::audit_record::AuditRecord;
use crate::clock::Clock;
use crate::config::{Config, Draft};
use crate::config_error::ConfigErrors;
use crate::ingress::{self, BodyBudget, QuarantineQueue, QuarantineWriter, RequestPermits, Shared, Waiting};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::telemetry::{self, Telemetry};

use self::assembly::BuiltSink;
use self::deliveries::Deliveries;
use self::descriptors::Need;
use self::live::{Live, Outside};
use self::reload::Reloader;

pub use self::assembly::check;
pub use self::run::Exit;
pub use self::signals::{OnHangup, Signal, Signals};

/// Reads the configuration, at start and on every reload. Blocking.
pub type Loader = Arc<dyn Fn() -> Draft + Send + Sync>;

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
    reloader: Option<Reloader>,
    auditor: Option<Auditor>,
    quarantine_writer: Option<QuarantineWriter>,
    first: Option<First>,
    webhook: Bound,
    admin: Bound,
}

/// What the first configuration brings and nothing has taken yet.
struct First {
    warnings: Vec<String>,
    sources: usize,
    descriptors: Need,
    sinks: Vec<BuiltSink>,
}

/// A socket that is bound and not yet served, and where.
struct Bound {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

impl App {
    /// Builds all there is and binds both sockets, so that whatever is wrong shows before anything is served. A
    /// certificate that is not valid now is said and served: a restart must not be what takes the daemon down.
    ///
    /// # Errors
    /// [`AppError::ConfigErrors`] for what the operator has to change, [`AppError::Runtime`] for what the machine refuses.
    pub async fn start(loader: Loader, clock: Clock) -> Result<Self, AppError> {
        let draft = loader();
        let watched = Arc::new(draft.watched().clone());
        let mut parts = assembly::parts(draft, |_| Vec::new())?;
        let (config, tls) = (parts.config.clone(), parts.tls.clone());
        let telemetry = telemetry::start(config.log.json, &config.log.filter).map_err(|e| runtime(&e))?;
        let telemetry = Arc::new(telemetry);
        let (front, background) = (Lifecycle::default(), Lifecycle::default());
        let metrics = Arc::new(Metrics::new());
        let sources = assembly::sources(&config, &metrics)?;
        let webhook = bind(config.listener.address, "GATEPOST_LISTEN").await?;
        let admin = bind(config.admin.address, "GATEPOST_ADMIN_LISTEN").await?;
        let store = assembly::store(&config, &metrics).await.map_err(|fault| runtime(&fault))?;
        front.set_store_healthy(true);
        let (auditor, verdicts, targets) = auditor(&store, parts.target.take(), &metrics, &clock);
        let (quarantine_queue, quarantine_writer) =
            ingress::quarantine_queue(Arc::clone(&store.quarantine), clock.clone());
        let shared = shared(&config, &store, quarantine_queue, clock.clone(), &metrics, &front);
        let outbox = Arc::clone(&store.outbox);
        let deliveries = Deliveries::new(outbox, Arc::clone(&metrics), background.clone());
        let to = Outside {
            shared,
            verdicts,
            telemetry: Arc::clone(&telemetry),
            metrics: Arc::clone(&metrics),
            background: background.clone(),
        };
        let first = First {
            warnings: config.warnings.clone(),
            sources: sources.len(),
            descriptors: Need::of(&config),
            sinks: std::mem::take(&mut parts.sinks),
        };
        let live = Arc::new(Live::new(&parts, &sources, deliveries, targets, to));
        let reloader = Reloader {
            live: Arc::clone(&live),
            loader,
            config,
            tls,
            sources,
            watched,
            clock,
            metrics: Arc::clone(&metrics),
        };
        Ok(Self {
            telemetry,
            front,
            background,
            probes: Lifecycle::default(),
            metrics,
            store,
            live,
            reloader: Some(reloader),
            auditor: Some(auditor),
            quarantine_writer: Some(quarantine_writer),
            first: Some(first),
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

/// The way of audit records to the SIEM: who goes it, where it begins, and where it ends.
fn auditor(
    store: &Store,
    target: Option<Arc<Target>>,
    metrics: &Arc<Metrics>,
    clock: &Clock,
) -> (Auditor, mpsc::Sender<AuditRecord>, watch::Sender<Option<Arc<Target>>>) {
    let (verdicts, records) = mpsc::channel(AUDIT_QUEUE);
    let (targets, seen) = watch::channel(target);
    let auditor = Auditor::new(seen, Arc::clone(&store.audit_queue), records, Arc::clone(metrics), clock.clone());
    (auditor, verdicts, targets)
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
        requests: Arc::new(RequestPermits::new(config.limits.concurrent_requests)),
        waiting: Arc::new(Waiting::new(config.limits.concurrent_requests)),
        budget: Arc::new(BodyBudget::new(config.limits.body_memory_bytes, Arc::clone(metrics))),
        body_timeout: config.limits.body_timeout,
        clock,
        lifecycle: front.clone(),
    }
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
