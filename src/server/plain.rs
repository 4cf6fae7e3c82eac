//! A listener without TLS, for probes and operators: few connections, and always room for one more.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;
use tower::Service;

use super::Limits;
use super::accept::{self, Episode};
use super::activity::Activity;
use super::answer::Adapted;
use super::client::Peer;
use super::conn::{self, Stage};
use super::heads::Heads;
use super::room::{Room, Seat};
use super::socket::{Io, Socket, Stream};
use crate::lifecycle::Lifecycle;

/// Descriptors kept open for nothing, to be given up one by one when the process has no others left.
const SPARES: usize = 4;
/// How long what is in flight when the listener stops may take. What is answered here takes no time to make.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// A listener to be.
#[derive(Clone)]
pub struct PlainServer {
    /// How much, and for how long; `max_connections_per_client` and `handshake_timeout` mean nothing here.
    pub limits: Arc<ArcSwap<Limits>>,
    /// Stopping, cutting off; owns every task.
    pub lifecycle: Lifecycle,
}

impl PlainServer {
    /// Serves HTTP/1.1 on `listener` until [`Lifecycle::stop_accepting`] is cancelled. Connections without a request in
    /// flight are then closed at once, half a head or not; a request in flight has a second to be answered.
    ///
    /// A connection beyond the most is served, too: the longest idle one is closed for it. It also gets in when the
    /// process has no descriptors left, because a few are kept back.
    pub async fn serve<S>(self, listener: TcpListener, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    {
        let Self { limits, lifecycle } = self;
        let (room, stage, connections) =
            (Arc::new(Room::default()), watch::Sender::new(Stage::Open), TaskTracker::new());
        let spares = Arc::new(Spares::default());
        let mut door = Door { listener, spares: Arc::clone(&spares), episode: Episode::default() };
        loop {
            let accepted = tokio::select! {
                biased;
                () = lifecycle.stop_accepting().cancelled() => break,
                () = lifecycle.cut_off().cancelled() => break,
                accepted = door.next() => accepted,
            };
            let Some((stream, address)) = accepted else { continue };
            let activity = Activity::new(Arc::clone(&limits));
            let seat = tokio::select! {
                seat = room.enter(limits.load().max_connections, Arc::clone(&activity)) => seat,
                () = lifecycle.stop_accepting().cancelled() => break,
                () = lifecycle.cut_off().cancelled() => break,
            };
            let serving = serving(stream, address, activity, service.clone(), stage.subscribe(), &lifecycle);
            let seated = connections.track_future(connection(serving, seat, Arc::clone(&spares)));
            drop(lifecycle.spawn(seated));
        }

        drop(door);
        room.dismiss_idle();
        stage.send_replace(Stage::Stopping);
        connections.close();
        if timeout(LAST_ANSWERS, connections.wait()).await.is_err() {
            stage.send_replace(Stage::Cut);
            connections.wait().await;
        }
    }
}

/// The connection, under the same deadlines as every other.
fn serving<S>(
    stream: TcpStream,
    address: SocketAddr,
    activity: Arc<Activity>,
    service: S,
    stage: watch::Receiver<Stage>,
    lifecycle: &Lifecycle,
) -> conn::Serving
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    // A failure costs latency, no more.
    let _ = stream.set_nodelay(true);
    activity.opened(false, Instant::now());
    let peer = Peer(address.ip().to_canonical());
    let charge = Heads::new(Arc::default()).open(peer.0, None);
    let io = Io::new(Stream::Plain(Socket::new(stream, Arc::clone(&activity))), Arc::clone(&activity), charge);
    let service = Adapted::new(service, peer, Arc::clone(&activity), lifecycle.clone());
    conn::http1(io, service, activity, stage)
}

/// Serves until the end of the connection, or until its seat is wanted for another.
async fn connection(serving: conn::Serving, seat: Seat, spares: Arc<Spares>) {
    tokio::select! {
        () = serving => {}
        () = seat.dismissed() => tracing::debug!("admin connection closed: it was idle, and its place was wanted"),
    }
    // Its descriptor, before anybody else has it.
    spares.restock();
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    spares: Arc<Spares>,
    episode: Episode,
}

impl Door {
    /// The next connection; `None` after a fault, which has been rested upon.
    async fn next(&mut self) -> Option<(TcpStream, SocketAddr)> {
        self.spares.restock();
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return Some(accepted),
                // Given up just now, it is free for the very next call: others that lack one rest between theirs.
                Err(error) if accept::is_out_of_descriptors(&error) && self.spares.give_up_one() => {}
                Err(error) => {
                    self.episode.fault(&error).await;
                    return None;
                }
            }
        }
    }
}

/// Descriptors kept open for nothing.
#[derive(Default)]
struct Spares(Mutex<Vec<UnixDatagram>>);

impl Spares {
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
