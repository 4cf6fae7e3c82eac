//! The listener for probes and operators, with TLS where it has a certificate: few connections, and always one more.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::accept_backoff::{AcceptBackoff, is_out_of_descriptors};
use super::activity::Activity;
use super::client::Peer;
use super::conn::{self, Stage};
use super::head_budget::HeadBudget;
use super::idle_eviction::{EvictableSlot, IdleEviction};
use super::limits::Limits;
use super::service::ConnectionService;
use super::socket::{Io, Socket, Stream};
use crate::lifecycle::Lifecycle;

/// Descriptors kept open for nothing, to be given up one by one when the process has no others left.
const SPARES: usize = 4;
/// How long what is in flight when the listener stops may take. What is answered here takes no time to make.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The TLS of the next connection; none speaks plain HTTP. Exchanged on reload.
pub type AdminTls = Arc<ArcSwapOption<rustls::ServerConfig>>;

/// A listener that is not yet serving.
#[derive(Clone)]
pub struct PlainServer {
    /// How much, and for how long; `max_connections_per_client` means nothing here.
    pub limits: Arc<ArcSwap<Limits>>,
    /// Whether it speaks TLS. What ALPN offers must be HTTP/1.1 alone.
    pub tls: AdminTls,
    /// Stopping, cutting off; owns every task.
    pub lifecycle: Lifecycle,
}

impl PlainServer {
    /// Serves HTTP/1.1 on `listener` until [`Lifecycle::stop_accepting`] is cancelled. Connections without a request in
    /// flight are then closed at once, half a head or not; a request in flight has a second to be answered. `service` has to
    /// be ready at any time.
    ///
    /// A connection beyond the most is served, too: the longest idle one is closed for it. It also gets in when the
    /// process has no descriptors left, because a few are kept back.
    pub async fn serve<S>(self, listener: TcpListener, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let Self { limits, tls, lifecycle } = self;
        let (slots, stage, connections) =
            (Arc::new(IdleEviction::default()), watch::Sender::new(Stage::Open), TaskTracker::new());
        let spares = Arc::new(SpareDescriptors::default());
        let mut listener = SpareListener { listener, spares: Arc::clone(&spares), backoff: AcceptBackoff::of("admin") };
        loop {
            let accepted = tokio::select! {
                biased;
                () = lifecycle.stop_accepting().cancelled() => break,
                () = lifecycle.cut_off().cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Some((stream, address)) = accepted else { continue };
            let activity = Activity::new(Arc::clone(&limits));
            let slot = tokio::select! {
                slot = slots.acquire(limits.load().max_connections, Arc::clone(&activity)) => slot,
                () = lifecycle.stop_accepting().cancelled() => break,
                () = lifecycle.cut_off().cancelled() => break,
            };
            let opening = Opening { stream, address, activity, tls: tls.load_full(), limits: **limits.load() };
            let serving = serving(opening, service.clone(), stage.subscribe(), lifecycle.clone());
            let connection = connection(serving, slot, Arc::clone(&spares));
            drop(lifecycle.spawn(connections.track_future(connection)));
        }

        drop(listener);
        slots.evict_idle();
        stage.send_replace(Stage::Stopping);
        connections.close();
        if timeout(LAST_ANSWERS, connections.wait()).await.is_err() {
            stage.send_replace(Stage::Cut);
            connections.wait().await;
        }
    }
}

/// A connection that was accepted.
struct Opening {
    stream: TcpStream,
    address: SocketAddr,
    activity: Arc<Activity>,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
}

/// The connection, under the same deadlines as every other.
async fn serving<S>(opening: Opening, service: S, mut stage: watch::Receiver<Stage>, lifecycle: Lifecycle)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let Opening { stream, address, activity, tls, limits } = opening;
    // A failure costs latency, no more.
    let _ = stream.set_nodelay(true);
    let socket = Socket::new(stream, Arc::clone(&activity));
    let stream = match tls {
        None => Stream::Plain(socket),
        Some(config) => {
            let handshake = timeout(limits.handshake_timeout, TlsAcceptor::from(config).accept(socket));
            let opened = tokio::select! {
                opened = handshake => opened,
                _ = stage.wait_for(|now| *now >= Stage::Stopping) => return,
            };
            match opened {
                Ok(Ok(tls)) => Stream::Tls(Box::new(tls)),
                Ok(Err(error)) => return tracing::debug!(%error, "admin connection closed: no TLS handshake"),
                Err(_) => return tracing::debug!("admin connection closed: the TLS handshake took too long"),
            }
        }
    };
    activity.opened(false, Instant::now());
    let peer = Peer::of_new_connection(address.ip().to_canonical());
    let head = HeadBudget::new(Arc::default()).reservation(peer.ip, None);
    let io = Io::new(stream, Arc::clone(&activity), head);
    let service = ConnectionService::new(service, peer, Arc::clone(&activity), lifecycle);
    conn::http1(io, service, activity, stage).await;
}

/// Serves until the end of the connection, or until it is evicted.
async fn connection(serving: impl Future<Output = ()>, slot: EvictableSlot, spares: Arc<SpareDescriptors>) {
    tokio::select! {
        () = serving => {}
        () = slot.evicted() => tracing::debug!("admin connection closed: it was idle and another one came"),
    }
    // Its descriptor, before anybody else has it.
    spares.restock();
}

/// A listening socket with spare descriptors.
struct SpareListener {
    listener: TcpListener,
    spares: Arc<SpareDescriptors>,
    backoff: AcceptBackoff,
}

impl SpareListener {
    /// The next connection; `None` after an error, which has been dealt with.
    async fn accept(&mut self) -> Option<(TcpStream, SocketAddr)> {
        self.spares.restock();
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return Some(accepted),
                // Given up just now, it is free for the very next call: others that lack one rest between theirs.
                Err(error) if is_out_of_descriptors(&error) && self.spares.give_up_one() => {}
                Err(error) => {
                    self.backoff.failed(&error).await;
                    return None;
                }
            }
        }
    }
}

/// Descriptors kept open for nothing.
#[derive(Default)]
struct SpareDescriptors(Mutex<Vec<UnixDatagram>>);

impl SpareDescriptors {
    /// All of them again, as far as there are descriptors.
    fn restock(&self) {
        let mut spares = self.lock();
        let missing = SPARES.saturating_sub(spares.len());
        spares.extend(std::iter::repeat_with(UnixDatagram::unbound).take(missing).map_while(io::Result::ok));
    }

    /// Whether there was one to close.
    fn give_up_one(&self) -> bool {
        self.lock().pop().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<UnixDatagram>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
