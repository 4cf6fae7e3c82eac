//! What all connections of a listener share.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::client::counted_as;
use super::connection_failure::FailureLog;
use super::handshake_queue::HandshakeQueue;
use super::head_budget::HeadBudget;
use super::limits::{Limits, Proxy};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

/// See the head of this file.
pub(super) struct Listener {
    pub(super) tls: Arc<ArcSwap<rustls::ServerConfig>>,
    pub(super) proxy: Arc<ArcSwap<Proxy>>,
    pub(super) limits: Arc<ArcSwap<Limits>>,
    pub(super) lifecycle: Lifecycle,
    pub(super) metrics: Arc<Metrics>,
    pub(super) handshakes: Arc<HandshakeQueue>,
    pub(super) failures: Arc<FailureLog>,
    pub(super) heads: Arc<HeadBudget>,
}

impl Listener {
    /// Whom a connection of `ip` counts for; `None` for a trusted proxy, which stands for many.
    pub(super) fn holder(&self, ip: IpAddr) -> Option<IpAddr> {
        (!self.proxy.load().trusted.contains(ip)).then(|| counted_as(ip))
    }
}
