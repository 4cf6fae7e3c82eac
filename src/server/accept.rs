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
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::activity::Activity;
use super::answer::Adapted;
use super::client::Peer;
use super::conn::{self, Stage};
use super::heads::Heads;
use super::permits::{Permit, Permits};
use super::socket::{Io, Socket, Stream};
use super::tls_failure::FailureLog;
use super::turns::Turns;
use super::{Server, opening};

/// Handshakes at once, from `ClientHello` to done. More would not be faster (signing is what takes the time, and the cores
/// are few) but would hold some 40 KiB each.
const HANDSHAKES_MAX: usize = 1024;
/// How long accepting rests when the system is out of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long accepting has to work until its next fault is news. Where connections come and go at the limit it works
/// and fails in turn, many times a second.
const EPISODE_END: Duration = Duration::from_mins(1);

/// What every connection of a listener shares.
pub(super) struct Shared {
    pub(super) server: Server,
    pub(super) turns: Arc<Turns>,
    pub(super) failures: Arc<FailureLog>,
    heads: Arc<Heads>,
    permits: Arc<Permits>,
}

/// See [`Server::serve`].
pub(super) async fn run<S>(server: Server, listener: TcpListener, service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let lifecycle = server.lifecycle.clone();
    let permits = Permits::new(Arc::clone(&server.limits), Arc::clone(&server.metrics));
    let (turns, failures) = (Turns::new(HANDSHAKES_MAX), Arc::<FailureLog>::default());
    let heads = Heads::new(Arc::clone(&failures));
    let shared = Arc::new(Shared { server, turns, failures, heads, permits });
    let stage = watch::Sender::new(Stage::Open);
    let connections = TaskTracker::new();

    let mut draining = pin!(lifecycle.draining());
    let mut episode = Episode::default();
    loop {
        let accepted = tokio::select! {
            biased;
            () = lifecycle.stop_accepting().cancelled() => break,
            () = lifecycle.cut_off().cancelled() => break,
            () = &mut draining, if *stage.borrow() == Stage::Open => {
                stage.send_replace(Stage::Draining);
                continue;
            }
            accepted = accept(&listener, &mut episode) => accepted,
        };
        let Some((stream, address)) = accepted else { continue };
        let address = address.ip().to_canonical();
        let Some(permit) = shared.admit(address).await else { continue };
        let connection = connection(Arc::clone(&shared), stream, address, permit, service.clone(), stage.subscribe());
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

/// The next connection; `None` after a fault, which has been rested upon.
async fn accept(listener: &TcpListener, episode: &mut Episode) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            episode.fault(&error).await;
            None
        }
    }
}

/// A listener that cannot accept, for a while.
#[derive(Default)]
pub(super) struct Episode {
    last: Option<Instant>,
}

impl Episode {
    /// Rests, where the fault is the listener's own, and says so once an episode.
    pub(super) async fn fault(&mut self, error: &io::Error) {
        if is_connections_own(error) {
            return tracing::debug!(%error, "connection lost before it was accepted");
        }
        let now = Instant::now();
        if self.last.replace(now).is_none_or(|last| now - last > EPISODE_END) {
            let advice = "out of descriptors? Raise the limit (ulimit -n) or lower max_connections";
            tracing::error!(%error, advice, "cannot accept connections; trying again until it works");
        }
        sleep(ACCEPT_PAUSE).await;
    }
}

/// EMFILE, ENFILE: the process, or the machine, may open no more.
pub(super) fn is_out_of_descriptors(error: &io::Error) -> bool {
    let raw = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(raw, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
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
    /// Room for a connection from `address`.
    async fn admit(&self, address: IpAddr) -> Option<Permit> {
        let permit = self.permits.take(self.holder(address)).await;
        if permit.is_none() {
            tracing::debug!(peer_ip = %address, "connection closed: too many are open");
        }
        permit
    }
}

/// One connection, from accept to close.
async fn connection<S>(
    shared: Arc<Shared>,
    stream: TcpStream,
    address: IpAddr,
    mut permit: Permit,
    service: S,
    mut stage: watch::Receiver<Stage>,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let activity = Activity::new(Arc::clone(&shared.server.limits));
    // Boxed so that the memory of a handshake does not stay with the connection.
    let opening = Box::pin(opening::open(&shared, stream, address, &mut permit, &activity));
    // One that has said nothing asks for nothing, so it does not hold up a stop.
    let over = async {
        let _ = stage.wait_for(|now| *now >= Stage::Stopping).await;
        if activity.heard() {
            let _ = stage.wait_for(|now| *now == Stage::Cut).await;
        }
    };
    let opened = tokio::select! {
        opened = opening => opened,
        () = over => return,
    };
    let Some((tls, peer)) = opened else { return };
    serving(&shared, tls, peer, service, activity, stage).await;
    drop(permit);
}

/// The connection over `tls`, by the protocol that ALPN chose.
fn serving<S>(
    shared: &Shared,
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
    let lifecycle = &shared.server.lifecycle;
    let charge = Arc::clone(&shared.heads).open(peer.0, shared.holder(peer.0));
    let io = Io::new(Stream::Tls(tls), Arc::clone(&activity), charge);
    let service = Adapted::new(service, peer, Arc::clone(&activity), lifecycle.clone());
    if is_h2 { conn::http2(io, service, activity, stage, lifecycle) } else { conn::http1(io, service, activity, stage) }
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
        let out = [24, 23, 105, 12].map(|code| is_out_of_descriptors(&io::Error::from_raw_os_error(code)));
        assert_eq!(out, [true, true, false, false]);
    }
}
