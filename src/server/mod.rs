//! Sockets: accept, handshake, connections, deadlines, drain. Knows nothing of webhooks.
//!
//! [`Server::serve`] turns a listening socket into calls of one `tower` service, each request marked with its
//! [`client::Peer`]. A connection passes: permits ([`permits`]), the PROXY header where required
//! ([`proxy_protocol`]), the `ClientHello` ([`opening`]), its turn ([`turns`]), the TLS handshake ([`tls`]), HTTP/1.1 or
//! HTTP/2 ([`conn`]) under the deadlines that [`activity`] keeps. Routing, limits on bodies and answers are the service's.
//! [`PlainServer`] is the same without TLS and without strangers: few connections, and room for every next one.
//!
//! Memory of an idle connection: hyper's first read buffer (8 KiB, its least), rustls's session and buffers, and a few
//! small boxed futures; 18 KiB before and 21 KiB after a request, 24 KiB for HTTP/2 (development build). To measure:
//! note `VmRSS` in `/proc/PID/status`, open 1000 idle TLS connections from another process, divide the difference.

mod accept;
mod activity;
mod answer;
pub mod client;
mod conn;
mod heads;
mod http2;
pub mod networks;
mod opening;
mod permits;
mod plain;
mod proxy_protocol;
mod room;
pub(crate) mod settings;
mod socket;
pub mod tls;
mod tls_failure;
mod turns;
mod worded;

pub use answer::Unreadable;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::{Request, Response};
use tokio::net::TcpListener;
use tower::Service;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use networks::Networks;

pub use plain::PlainServer;
pub use settings::{CertificateFiles, Connections, Deadlines, Listener, Tls};

/// How much, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open connections at once. For one more the longest silent (without a whole `ClientHello`) makes room; where there
    /// is none it is closed at once, so that its sender tries again elsewhere or later.
    pub max_connections: usize,
    /// The same by client address: the socket's or the PROXY header's, an IPv6 /64 being one. Not applied to trusted
    /// proxies, which stand for many.
    pub max_connections_per_client: usize,
    /// From accept to handshake done, PROXY header and waiting for a turn included.
    pub handshake_timeout: Duration,
    /// From the first byte of a head to its last; with HTTP/2 of any frame but DATA, the preface included.
    pub header_timeout: Duration,
    /// Longest time with nothing in flight; also the longest time for a client to take an answer.
    pub idle_timeout: Duration,
}

/// Whom to believe about where a connection comes from; swapped on reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// Whether every connection must begin with a PROXY header (v1 or v2) from a trusted proxy.
    pub required: bool,
    /// The trusted proxies.
    pub trusted: Networks,
}

/// A listener to be; every field is shared with whoever changes it.
#[derive(Clone)]
pub struct Server {
    /// The certificates of the next handshake; live connections keep theirs.
    pub tls: Arc<ArcSwap<rustls::ServerConfig>>,
    /// The rule for the next connection.
    pub proxy: Arc<ArcSwap<Proxy>>,
    /// For the next connection; deadlines for live ones too.
    pub limits: Arc<ArcSwap<Limits>>,
    /// Draining, stopping, cutting off; owns every task.
    pub lifecycle: Lifecycle,
    /// `gatepost_connections`, `gatepost_tls_handshakes_total`.
    pub metrics: Arc<Metrics>,
}

impl Server {
    /// Serves `listener` until [`Lifecycle::stop_accepting`] is cancelled and every connection has ended, or until
    /// [`Lifecycle::cut_off`] is cancelled, which drops the connections as they are. The listening socket is closed
    /// as soon as accepting stops.
    ///
    /// Every request carries a [`client::Peer`] and a [`client::ConnectionId`] extension. What the HTTP library refuses
    /// by itself reaches the service as a request with an [`Unreadable`] extension, to be answered at once: of that
    /// answer, headers and body are sent over HTTP/1.1. Answers to HEAD lose their body. A body given up unread closes its HTTP/1.1 connection
    /// after the answer, lingering so that the answer arrives. From `Phase::Draining` on, HTTP/1.1 answers carry
    /// `Connection: close` and HTTP/2 clients get a GOAWAY after their first request.
    pub async fn serve<S>(self, listener: TcpListener, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        accept::run(self, listener, service).await;
    }
}
