//! The TLS listener: the accept loop, and each connection from accept to close.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::accept_backoff::AcceptBackoff;
use super::activity::Activity;
use super::client::Peer;
use super::client_certificate::ClientCertificate;
use super::conn::{self, Stage};
use super::connection_failure::FailureLog;
use super::connection_limit::{ConnectionLimit, ConnectionPermit};
use super::handshake;
use super::handshake_queue::HandshakeQueue;
use super::head_budget::HeadBudget;
use super::limits::{Limits, Proxy};
use super::listener::Listener;
use super::service::ConnectionService;
use super::socket::{Io, Socket, Stream};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;

/// Handshakes at once, from `ClientHello` to done. More would not be faster (signing is what takes the time, and the cores
/// are few) but would hold some 40 KiB each.
const HANDSHAKES_MAX: usize = 1024;

/// A listener that is not yet serving; every field is shared with whoever changes it.
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
    /// as soon as accepting stops. `service` has to be ready at any time: it is called without being asked.
    ///
    /// Every request carries a [`Peer`] extension, and an `Arc<ClientCertificate>` where its client showed a certificate,
    /// which then was a good one. What the HTTP library refuses by itself reaches the service as a request with an
    /// `Unreadable` extension, to be answered at once: of that answer, headers and body are sent over HTTP/1.1. Responses
    /// to HEAD lose their body. A body given up unread closes its HTTP/1.1 connection after the response, lingering so
    /// that the response arrives. From `Phase::Draining` on, HTTP/1.1 responses carry `Connection: close` and HTTP/2
    /// clients get a GOAWAY after their first request.
    pub async fn serve<S>(self, listener: TcpListener, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let (lifecycle, limits) = (self.lifecycle.clone(), Arc::clone(&self.limits));
        let permits = ConnectionLimit::new(limits, Arc::clone(&self.metrics));
        let shared = Arc::new(self.shared());
        let stage = watch::Sender::new(Stage::Open);
        let connections = TaskTracker::new();

        let mut draining = pin!(lifecycle.draining());
        let mut backoff = AcceptBackoff::of("webhook");
        loop {
            let accepted = tokio::select! {
                biased;
                () = lifecycle.stop_accepting().cancelled() => break,
                () = lifecycle.cut_off().cancelled() => break,
                () = &mut draining, if *stage.borrow() == Stage::Open => {
                    stage.send_replace(Stage::Draining);
                    continue;
                }
                accepted = accept(&listener, &mut backoff) => accepted,
            };
            let Some((stream, address)) = accepted else { continue };
            let address = address.ip().to_canonical();
            let Some(permit) = permits.acquire(shared.holder(address)).await else {
                tracing::debug!(peer_ip = %address, "connection closed: too many are open");
                continue;
            };
            let (shared, stage) = (Arc::clone(&shared), stage.subscribe());
            let connection = connection(shared, stream, address, permit, service.clone(), stage);
            drop(lifecycle.spawn(connections.track_future(connection)));
        }

        drop(listener);
        stage.send_replace(Stage::Stopping);
        connections.close();
        tokio::select! {
            () = connections.wait() => {}
            () = lifecycle.cut_off().cancelled() => {
                stage.send_replace(Stage::Cut);
                connections.wait().await;
            }
        }
    }

    fn shared(self) -> Listener {
        let Self { tls, proxy, limits, lifecycle, metrics } = self;
        let failures = Arc::<FailureLog>::default();
        let (handshakes, heads) = (HandshakeQueue::new(HANDSHAKES_MAX), HeadBudget::new(Arc::clone(&failures)));
        Listener { tls, proxy, limits, lifecycle, metrics, handshakes, failures, heads }
    }
}

/// The next connection; `None` after an error, which has been dealt with.
async fn accept(listener: &TcpListener, backoff: &mut AcceptBackoff) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            backoff.failed(&error).await;
            None
        }
    }
}

/// One connection, from accept to close.
async fn connection<S>(
    listener: Arc<Listener>,
    stream: TcpStream,
    address: IpAddr,
    mut permit: ConnectionPermit,
    service: S,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let activity = Activity::new(Arc::clone(&listener.limits));
    // Boxed so that the memory of a handshake does not stay with the connection.
    let handshake = Box::pin(handshake::accept(&listener, stream, address, &mut permit, &activity));
    // One that has said nothing asks for nothing, so it does not hold up a stop.
    let over = async {
        let _ = stage.wait_for(|now| *now >= Stage::Stopping).await;
        if activity.heard() {
            let _ = stage.wait_for(|now| *now == Stage::Cut).await;
        }
    };
    let opened = tokio::select! {
        opened = handshake => opened,
        () = over => return,
    };
    let Some((tls, peer)) = opened else { return };
    serving(&listener, tls, peer, service, activity, stage).await;
    drop(permit);
}

/// The connection over `tls`, by the protocol that ALPN chose.
fn serving<S>(
    listener: &Listener,
    tls: Box<TlsStream<Socket>>,
    peer: Peer,
    service: S,
    activity: Arc<Activity>,
    stage: watch::Receiver<Stage>,
) -> conn::Serving
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let session = tls.get_ref().1;
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let certificate = shown.and_then(ClientCertificate::read).map(Arc::new);
    activity.opened(is_h2, Instant::now());
    let lifecycle = &listener.lifecycle;
    let head = Arc::clone(&listener.heads).reservation(peer.ip, listener.holder(peer.ip));
    let io = Io::new(Stream::Tls(tls), Arc::clone(&activity), head);
    let service = ConnectionService::new(service, peer, Arc::clone(&activity), lifecycle.clone());
    let service = service.with_certificate(certificate);
    if is_h2 { conn::http2(io, service, activity, stage, lifecycle) } else { conn::http1(io, service, activity, stage) }
}
