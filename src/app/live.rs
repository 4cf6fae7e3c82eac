//! What can change while the daemon runs, as handles that its users hold; exchanged together.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, watch};

use crate::audit::Target;
use crate::audit_record::AuditRecord;
use crate::config::{Config, Listener, Shutdown};
use crate::event::Name;
use crate::ingress::{self, Ingress, Recorder, Shared, Source};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::server::{Limits, Proxy};
use crate::telemetry::Telemetry;

use super::assembly::{BuiltSink, Parts};
use super::certificates;
use super::deliveries::Deliveries;
use super::descriptors::Need;

/// The handles.
pub(super) struct Live {
    /// Behind every connection.
    pub ingress: Ingress,
    /// For every handshake.
    pub tls: Arc<ArcSwap<rustls::ServerConfig>>,
    /// For every accepted connection.
    pub proxy: Arc<ArcSwap<Proxy>>,
    /// For every connection.
    pub limits: Arc<ArcSwap<Limits>>,
    /// For the admin listener.
    pub admin_token: Arc<ArcSwapOption<Secret>>,
    /// For the end.
    pub shutdown: ArcSwap<Shutdown>,
    deliveries: Deliveries,
    targets: watch::Sender<Option<Arc<Target>>>,
    to: Outside,
}

/// What the handles reach into; lives as long as the daemon.
pub(super) struct Outside {
    /// What all stacks share.
    pub shared: Shared,
    /// The way to the auditor.
    pub verdicts: mpsc::Sender<AuditRecord>,
    /// The log.
    pub telemetry: Arc<Telemetry>,
    /// All series.
    pub metrics: Arc<Metrics>,
    /// Owns what is done meanwhile.
    pub background: Lifecycle,
}

impl Live {
    /// The first set of handles. Nothing is delivered before [`Live::deliver`].
    pub(super) fn new(
        parts: &Parts,
        sources: &[Arc<Source>],
        deliveries: Deliveries,
        targets: watch::Sender<Option<Arc<Target>>>,
        to: Outside,
    ) -> Self {
        let config = &parts.config;
        let recorder = recorder(config, &to);
        Self {
            ingress: Ingress::new(ingress::router(&to.shared, &recorder, sources)),
            tls: Arc::new(ArcSwap::new(Arc::clone(&parts.tls.config))),
            proxy: Arc::new(ArcSwap::from_pointee(proxy(&config.listener))),
            limits: Arc::new(ArcSwap::from_pointee(limits(config))),
            admin_token: Arc::new(ArcSwapOption::new(config.admin.token.clone().map(Arc::new))),
            shutdown: ArcSwap::from_pointee(config.shutdown),
            deliveries,
            targets,
            to,
        }
    }

    /// The stores' and requests' bounds, sources, certificates, SIEM and sinks of `parts` take the place of those
    /// before. Waits for nothing. Returns the sinks that began or changed.
    pub(super) fn exchange(&self, before: &Config, parts: Parts, sources: &[Arc<Source>]) -> Vec<Name> {
        let Parts { config, tls, sinks, target } = parts;
        self.bounds(before, &config);
        let shared = Shared { body_timeout: config.limits.body_timeout, ..self.to.shared.clone() };
        // The SIEM before the sources: what they tell is sent to the right one.
        self.targets.send_replace(target);
        self.ingress.replace(ingress::router(&shared, &recorder(&config, &self.to), sources));
        certificates::tell(&tls, &config.tls, &shared.clock, &self.to.metrics);
        self.tls.store(tls.config);
        self.proxy.store(Arc::new(proxy(&config.listener)));
        self.admin_token.store(config.admin.token.clone().map(Arc::new));
        self.shutdown.store(Arc::new(config.shutdown));
        self.deliver(sinks)
    }

    /// The dispatchers.
    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    /// Makes `sinks` the ones that are delivered to; returns those that began or changed.
    pub(super) fn deliver(&self, sinks: Vec<BuiltSink>) -> Vec<Name> {
        self.deliveries.exchange(sinks)
    }

    fn bounds(&self, before: &Config, config: &Config) {
        let shared = &self.to.shared;
        self.limits.store(Arc::new(limits(config)));
        shared.requests.set_limit(config.limits.concurrent_requests);
        shared.waiting.set_limit(config.limits.concurrent_requests);
        shared.budget.set_limit(config.limits.body_memory_bytes);
        if Need::of(config) != Need::of(before) {
            Need::of(config).warn();
        }
        if config.log.filter != before.log.filter
            && let Err(error) = self.to.telemetry.set_filter(&config.log.filter)
        {
            tracing::error!(%error, "the log's filter stays as it was");
        }
        let (quarantine, bounds) = (Arc::clone(&shared.quarantine), config.store.quarantine);
        let old = before.store.quarantine;
        if (bounds.max_entries, bounds.max_bytes) != (old.max_entries, old.max_bytes) {
            self.to.background.spawn(async move {
                if let Err(error) = quarantine.resize(bounds).await {
                    tracing::warn!(%error, "the quarantine makes room with the next entry: the store did not do it now");
                }
            });
        }
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: Need::of(config).connections(),
        max_connections_per_client: config.listener.max_connections_per_client,
        handshake_timeout: config.limits.handshake_timeout,
        header_timeout: config.limits.header_timeout,
        idle_timeout: config.limits.idle_timeout,
    }
}

fn proxy(listener: &Listener) -> Proxy {
    Proxy { required: listener.proxy_protocol, trusted: listener.trusted_proxies.clone() }
}

fn recorder(config: &Config, to: &Outside) -> Arc<Recorder> {
    Arc::new(Recorder {
        clock: to.shared.clock.clone(),
        trusted: config.listener.trusted_proxies.clone(),
        unrouted: ingress::unrouted(&to.metrics),
        audit: config.siem.is_some().then(|| to.verdicts.clone()),
    })
}
