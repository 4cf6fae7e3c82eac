//! The accept loop and what happens to a connection before it speaks HTTP.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::activity::Activity;
use super::answer::Adapted;
use super::client::Peer;
use super::conn::{self, Stage};
use super::permits::{Permit, Permits};
use super::socket::{Io, Socket};
use super::{Server, proxy_protocol};
use crate::lifecycle::Lifecycle;

/// Handshakes at once. More would not be faster (signing is what takes the time, and the cores are few) but would
/// hold some 40 KiB each. Above the default share of one client address, so that one host with half-open handshakes
/// cannot keep the others out.
const HANDSHAKES_MAX: usize = 1024;
/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long accepting has to work until its next fault is news. Where connections come and go at the limit it works
/// and fails in turn, many times a second.
const EPISODE_END: Duration = Duration::from_mins(1);

/// What every connection of a listener shares.
struct Shared {
    server: Server,
    permits: Arc<Permits>,
    handshakes: Semaphore,
}

/// See [`Server::serve`].
pub(super) async fn run<S>(server: Server, listener: TcpListener, service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let lifecycle = server.lifecycle.clone();
    let permits = Permits::new(Arc::clone(&server.limits), Arc::clone(&server.metrics));
    let shared = Arc::new(Shared { server, permits, handshakes: Semaphore::new(HANDSHAKES_MAX) });
    let stage = watch::Sender::new(Stage::Open);
    let connections = TaskTracker::new();

    let mut draining = pin!(lifecycle.draining());
    let mut last_fault = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = lifecycle.stop_accepting().cancelled() => break,
            () = lifecycle.cut_off().cancelled() => break,
            () = &mut draining, if *stage.borrow() == Stage::Open => {
                stage.send_replace(Stage::Draining);
                continue;
            }
            accepted = accept(&listener, &mut last_fault) => accepted,
        };
        let Some((stream, address)) = accepted else { continue };
        let Some(permit) = shared.admit(address.ip().to_canonical()) else { continue };
        let connection = connection(Arc::clone(&shared), stream, address, service.clone(), stage.subscribe());
        let counted = connections.track_future(async move {
            connection.await;
            drop::<Permit>(permit);
        });
        drop(lifecycle.spawn(counted));
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

/// The next connection; `None` after a fault, which where it is the listener's own has been rested upon and, once an
/// episode, logged.
async fn accept(listener: &TcpListener, last_fault: &mut Option<Instant>) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => return Some(accepted),
        Err(error) if is_connections_own(&error) => tracing::debug!(%error, "connection lost before it was accepted"),
        Err(error) => {
            let now = Instant::now();
            if last_fault.replace(now).is_none_or(|last| now - last > EPISODE_END) {
                let advice = "out of descriptors? Raise the limit (ulimit -n) or lower max_connections";
                tracing::error!(%error, advice, "cannot accept connections; trying again until it works");
            }
            sleep(ACCEPT_PAUSE).await;
        }
    }
    None
}

/// Whether an accept failed because of the connection that was to be accepted. Linux hands pending network errors of
/// the new socket to `accept`, too (accept(2), "Error handling").
fn is_connections_own(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

impl Shared {
    /// Room for a connection from `ip`; a trusted proxy stands for many clients and is held to no share.
    fn admit(&self, ip: IpAddr) -> Option<Permit> {
        let trusted = self.server.proxy.load().trusted.contains(ip);
        let permit = self.permits.take((!trusted).then_some(ip));
        if permit.is_none() {
            tracing::debug!(peer_ip = %ip, "connection closed: too many are open");
        }
        permit
    }
}

/// One connection, from accept to close.
async fn connection<S>(
    shared: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    service: S,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let activity = Activity::new(Arc::clone(&shared.server.limits));
    // Boxed so that the memory of a handshake does not stay with the connection.
    let opening = Box::pin(open(&shared, stream, address.ip().to_canonical(), &activity));
    let opened = tokio::select! {
        opened = opening => opened,
        _ = stage.wait_for(|now| *now == Stage::Cut) => return,
    };
    let Some((tls, peer)) = opened else { return };
    serving(&shared.server.lifecycle, tls, peer, service, activity, stage).await;
}

/// The connection over `tls`, by the protocol that ALPN chose.
fn serving<S>(
    lifecycle: &Lifecycle,
    tls: Box<TlsStream<Socket>>,
    peer: Peer,
    service: S,
    activity: Arc<Activity>,
    stage: watch::Receiver<Stage>,
) -> conn::Serving
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let is_h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    activity.opened(is_h2, Instant::now());
    let io = Io::new(*tls, Arc::clone(&activity));
    let service = Adapted::new(service, peer, Arc::clone(&activity), lifecycle.clone());
    if is_h2 { conn::http2(io, service, activity, stage, lifecycle) } else { conn::http1(io, service, activity, stage) }
}

/// PROXY header and handshake under one deadline; `None` where the connection is to be closed.
async fn open(
    shared: &Shared,
    mut stream: TcpStream,
    ip: IpAddr,
    activity: &Arc<Activity>,
) -> Option<(Box<TlsStream<Socket>>, Peer)> {
    let deadline = Instant::now() + shared.server.limits.load().handshake_timeout;
    // Answers are one small write each; waiting for more would only delay them. A failure costs latency, no more.
    let _ = stream.set_nodelay(true);
    let peer = match timeout_at(deadline, claimed_peer(shared, &mut stream, ip)).await {
        Ok(Ok(peer)) => peer,
        Ok(Err(error)) => {
            tracing::debug!(peer_ip = %ip, %error, "connection closed");
            return None;
        }
        Err(_) => {
            tracing::debug!(peer_ip = %ip, "connection closed: no PROXY header in time");
            return None;
        }
    };
    let handshake = async {
        // The semaphore is never closed; were it, there would be no cap.
        let _turn = shared.handshakes.acquire().await;
        let acceptor = TlsAcceptor::from(shared.server.tls.load_full());
        acceptor.accept(Socket::new(stream, Arc::clone(activity))).await
    };
    let metrics = &shared.server.metrics;
    match timeout_at(deadline, handshake).await {
        Ok(Ok(tls)) => {
            metrics.handshake(true);
            Some((Box::new(tls), Peer(peer)))
        }
        // A load balancer's probe connects and leaves; that is no handshake.
        Ok(Err(_)) if !activity.heard() => None,
        Ok(Err(error)) => {
            metrics.handshake(false);
            tracing::debug!(peer_ip = %ip, %error, "TLS handshake failed");
            None
        }
        Err(_) => {
            metrics.handshake(false);
            tracing::debug!(peer_ip = %ip, "TLS handshake not done in time");
            None
        }
    }
}

/// Who is at the other end: the socket's address, or the PROXY header's where one is required.
async fn claimed_peer(
    shared: &Shared,
    stream: &mut TcpStream,
    ip: IpAddr,
) -> Result<IpAddr, proxy_protocol::ProxyError> {
    let proxy = shared.server.proxy.load_full();
    if !proxy.required {
        return Ok(ip);
    }
    if !proxy.trusted.contains(ip) {
        return Err(proxy_protocol::ProxyError::Untrusted);
    }
    Ok(proxy_protocol::read(stream).await?.unwrap_or(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_no_reason_to_rest_and_a_lack_of_descriptors_is() {
        // Linux: ECONNABORTED, ECONNRESET, EHOSTUNREACH; EMFILE, ENFILE, ENOBUFS, ENOMEM.
        for own in [103, 104, 113] {
            assert!(is_connections_own(&io::Error::from_raw_os_error(own)), "{own}");
        }
        for listeners in [24, 23, 105, 12] {
            assert!(!is_connections_own(&io::Error::from_raw_os_error(listeners)), "{listeners}");
        }
    }
}
