//! What a reload exchanges, as handles that its users hold.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, watch};

use crate::admin;
use crate::audit::Target;
use crate::audit_record::AuditRecord;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::Name;
use crate::feed::Feed;
use crate::ingress::{self, Ingress, Recorder, Shared, Source};
use crate::lifecycle::Lifecycle;
use crate::lifecycle::Shutdown;
use crate::metrics::Metrics;
use crate::near_misses::NearMisses;
use crate::otlp;
use crate::server::{AdminTls, Limits, Proxy};
use crate::telemetry::Telemetry;
use crate::trace::LiveTracer;

use super::assembly::{BuiltSink, Parts};
use super::certificates;
use super::dispatchers::Dispatchers;
use super::open_files::OpenFiles;

/// The handles.
pub(super) struct Live {
    pub ingress: Ingress,
    pub tls: Arc<ArcSwap<rustls::ServerConfig>>,
    pub proxy: Arc<ArcSwap<Proxy>>,
    pub limits: Arc<ArcSwap<Limits>>,
    pub admin: Arc<ArcSwap<admin::View>>,
    pub admin_tls: AdminTls,
    pub reloads: Arc<admin::Reloads>,
    pub shutdown: ArcSwap<Shutdown>,
    fixed: Fixed,
}

/// What no reload exchanges: who is told of the new configuration.
pub(super) struct Fixed {
    /// What all stacks share.
    pub shared: Shared,
    pub audit_records: mpsc::Sender<AuditRecord>,
    pub siem: watch::Sender<Option<Arc<Target>>>,
    pub dispatchers: Dispatchers,
    pub feed: Feed,
    pub tracer: LiveTracer,
    /// Owns what sends spans; stops after all that makes them.
    pub export: Lifecycle,
    pub telemetry: Arc<Telemetry>,
    pub metrics: Arc<Metrics>,
    /// Owns what takes longer than the exchange.
    pub background: Lifecycle,
}

impl Live {
    /// The first set of handles. Nothing is delivered before [`Live::dispatch_to`].
    pub(super) fn new(parts: &Parts, sources: &[Arc<Source>], fixed: Fixed) -> Self {
        let Parts { config, tls, admin_tls, .. } = parts;
        fixed.trace_to(parts.traces.clone());
        Self {
            ingress: Ingress::new(ingress::routes(&fixed.shared, &recorder(config, &fixed), sources)),
            tls: Arc::new(ArcSwap::new(Arc::clone(&tls.config))),
            proxy: Arc::new(ArcSwap::from_pointee(proxy(config))),
            limits: Arc::new(ArcSwap::from_pointee(limits(config))),
            admin: Arc::new(ArcSwap::from_pointee(view(config))),
            admin_tls: Arc::new(ArcSwapOption::new(admin_tls.clone())),
            reloads: Arc::default(),
            shutdown: ArcSwap::from_pointee(config.live.shutdown),
            fixed,
        }
    }

    /// Limits, sources, certificates, SIEM and sinks of `parts` take the place of those before. Waits for nothing. Returns
    /// the sinks that are new or changed.
    pub(super) fn exchange(&self, before: &Config, parts: Parts, sources: &[Arc<Source>]) -> Vec<Name> {
        let Parts { config, tls, admin_tls, sinks, target, traces } = parts;
        self.apply_limits(before, &config);
        self.apply_log_filter(before, &config);
        let shared = Shared { body_timeout: config.live.limits.body_timeout, ..self.fixed.shared.clone() };
        // The SIEM and the collector before the sources: their records are sent to the right one.
        self.fixed.siem.send_replace(target);
        self.fixed.trace_to(traces);
        self.ingress.replace(ingress::routes(&shared, &recorder(&config, &self.fixed), sources));
        certificates::report(&tls, &config.live.tls, &shared.clock, &self.fixed.metrics);
        self.tls.store(tls.config);
        self.proxy.store(Arc::new(proxy(&config)));
        self.admin.store(Arc::new(view(&config)));
        self.admin_tls.store(admin_tls);
        self.shutdown.store(Arc::new(config.live.shutdown));
        self.dispatch_to(sinks)
    }

    /// What is told to those who follow.
    pub(super) const fn feed(&self) -> &Feed {
        &self.fixed.feed
    }

    /// Requests to paths that are nearly some source's.
    pub(super) const fn near_misses(&self) -> &NearMisses {
        &self.fixed.shared.near_misses
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.fixed.shared.clock
    }

    pub(super) const fn dispatchers(&self) -> &Dispatchers {
        &self.fixed.dispatchers
    }

    /// Makes `sinks` the ones that are delivered to; returns those that are new or changed.
    pub(super) fn dispatch_to(&self, sinks: Vec<BuiltSink>) -> Vec<Name> {
        self.fixed.dispatchers.exchange(sinks)
    }

    fn apply_limits(&self, before: &Config, config: &Config) {
        let shared = &self.fixed.shared;
        self.limits.store(Arc::new(limits(config)));
        shared.requests.set_limit(config.live.limits.concurrent_requests);
        shared.waiting.set_limit(config.live.limits.concurrent_requests);
        shared.budget.set_limit(config.live.limits.body_memory_bytes);
        if OpenFiles::of(config) != OpenFiles::of(before) {
            OpenFiles::of(config).warn();
        }
        let (quarantine, bounds) = (Arc::clone(&shared.quarantine), config.live.quarantine);
        let old = before.live.quarantine;
        if (bounds.max_entries, bounds.max_bytes) != (old.max_entries, old.max_bytes) {
            self.fixed.background.spawn(async move {
                if let Err(error) = quarantine.resize(bounds).await {
                    tracing::warn!(%error, "the quarantine makes room with the next entry: the store did not do it now");
                }
            });
        }
    }

    fn apply_log_filter(&self, before: &Config, config: &Config) {
        if config.live.log_filter != before.live.log_filter
            && let Err(error) = self.fixed.telemetry.set_filter(&config.live.log_filter)
        {
            tracing::error!(%error, "log.filter stays as it was");
        }
    }
}

impl Fixed {
    /// Spans go to `target` from now on. Those that were for another still get there, without anybody waiting for that.
    fn trace_to(&self, target: Option<Arc<otlp::Target>>) {
        let tracer = target.map(|target| {
            let (tracer, exporter) = otlp::begin(target, &self.metrics, self.shared.clock.clone());
            self.export.spawn(exporter.run(self.export.clone()));
            tracer
        });
        self.tracer.replace(tracer);
    }
}

fn view(config: &Config) -> admin::View {
    admin::View {
        address: config.boot.admin_address,
        credentials: admin::View::credentials(&config.live.admin_access),
        tls: config.live.admin_certificate.is_some(),
        trusted: config.live.connections.trusted_proxies.clone(),
        sources: config.live.sources.clone(),
        sinks: config.live.sinks.clone(),
        proxy_variables: config.live.proxy_variables.clone(),
        siem: config.live.siem.is_some(),
        sections: Arc::clone(config.sections()),
        warnings: config.warnings.clone(),
    }
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_connections: OpenFiles::of(config).connections(),
        max_connections_per_client: config.live.connections.max_per_client,
        handshake_timeout: config.live.deadlines.handshake,
        header_timeout: config.live.deadlines.header,
        idle_timeout: config.live.deadlines.idle,
    }
}

fn proxy(config: &Config) -> Proxy {
    Proxy { required: config.boot.listener.proxy_protocol, trusted: config.live.connections.trusted_proxies.clone() }
}

fn recorder(config: &Config, fixed: &Fixed) -> Arc<Recorder> {
    Arc::new(Recorder {
        clock: fixed.shared.clock.clone(),
        trusted: config.live.connections.trusted_proxies.clone(),
        feed: fixed.feed.clone(),
        unrouted: ingress::unrouted(&fixed.metrics),
        audit: config.live.siem.is_some().then(|| fixed.audit_records.clone()),
        tracer: fixed.tracer.load(),
    })
}
