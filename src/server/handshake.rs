//! A connection before it speaks HTTP: PROXY header, `ClientHello`, TLS handshake, under one deadline.
//!
//! Until the `ClientHello` is there it costs its sender nothing, so it takes no handshake slot and is evicted where others
//! need its place ([`ConnectionPermit::evicted`]).

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::activity::Activity;
use super::client::Peer;
use super::connection_failure::FailureReason;
use super::connection_limit::ConnectionPermit;
use super::listener::Listener;
use super::proxy_protocol::{self, ProxyError};
use super::socket::Socket;

/// As much of a connection's beginning as tells what it is, where it is not TLS.
const FIRST_BYTES: usize = 16;
/// Longest `ClientHello` taken, bytes of its records. With post-quantum key shares and encrypted names they come to 2 to
/// 4 KiB; the library alone would take 64.
const HELLO_MAX: usize = 16 * 1024;

/// A connection that is about to speak HTTP.
pub(super) type Secured = (Box<TlsStream<Socket>>, Peer);

/// Why it will not; `None` where a client came and left, which load balancers do all day.
type Failed = Option<(FailureReason, Option<io::Error>)>;

struct ReceivedHello {
    start: StartHandshake<Socket>,
    first: Vec<u8>,
}

/// The connection over TLS; `None` where it is to be closed, which has been counted and logged.
pub(super) async fn accept(
    listener: &Listener,
    stream: TcpStream,
    address: IpAddr,
    permit: &mut ConnectionPermit,
    activity: &Arc<Activity>,
) -> Option<Secured> {
    let deadline = Instant::now() + listener.limits.load().handshake_timeout;
    // Answers are one small write each; waiting for more would only delay them. A failure costs latency, no more.
    let _ = stream.set_nodelay(true);
    let mut peer = address;
    let result = async {
        let hello = read_client_hello(listener, stream, &mut peer, permit, activity, deadline).await?;
        if !permit.client_hello_received() {
            return Err(Some((FailureReason::MadeRoom, None)));
        }
        shake_hands(listener, hello, peer, deadline).await
    };
    let failed = match result.await {
        Ok(tls) => {
            listener.metrics.handshake(true);
            return Some((tls, Peer::of_new_connection(peer)));
        }
        Err(failed) => failed,
    };
    if let Some((reason, error)) = failed {
        if reason.is_handshake() {
            listener.metrics.handshake(false);
        }
        listener.failures.record(reason, peer, error.as_ref());
    }
    None
}

/// Reads what the client has to send first; `peer` becomes the PROXY header's client where there is one.
async fn read_client_hello(
    listener: &Listener,
    mut stream: TcpStream,
    peer: &mut IpAddr,
    permit: &mut ConnectionPermit,
    activity: &Arc<Activity>,
    deadline: Instant,
) -> Result<ReceivedHello, Failed> {
    let header = proxied_client(listener, &mut stream, *peer);
    if let Some(client) = unless_evicted(permit, deadline, header, FailureReason::NoProxyHeader).await? {
        *peer = client;
        if let Some(holder) = listener.holder(client)
            && !permit.assign_to(holder)
        {
            return Err(Some((FailureReason::TooManyConnections, None)));
        }
    }
    let hello = client_hello(stream, Arc::clone(activity));
    unless_evicted(permit, deadline, hello, FailureReason::NoClientHello).await
}

/// `step`, unless it takes too long or its connection is evicted.
async fn unless_evicted<T>(
    permit: &ConnectionPermit,
    deadline: Instant,
    step: impl Future<Output = Result<T, Failed>>,
    late: FailureReason,
) -> Result<T, Failed> {
    tokio::select! {
        biased;
        () = permit.evicted() => Err(Some((FailureReason::MadeRoom, None))),
        done = timeout_at(deadline, step) => done.unwrap_or(Err(Some((late, None)))),
    }
}

/// Who a PROXY header says is at the other end; `None` where none is required, or where it says nothing of anybody.
async fn proxied_client(
    listener: &Listener,
    stream: &mut TcpStream,
    address: IpAddr,
) -> Result<Option<IpAddr>, Failed> {
    let proxy = listener.proxy.load_full();
    let header = if !proxy.required {
        Ok(None)
    } else if proxy.trusted.contains(address) {
        proxy_protocol::read(stream).await
    } else {
        Err(ProxyError::Untrusted)
    };
    header.map_err(|error| Some((FailureReason::of_proxy(&error), Some(io::Error::other(error)))))
}

/// The `ClientHello`. Memory is set aside for it only once its first byte is there.
async fn client_hello(stream: TcpStream, activity: Arc<Activity>) -> Result<ReceivedHello, Failed> {
    let mut first = [0; FIRST_BYTES];
    let seen = stream.peek(&mut first).await.map_err(|_| None)?;
    let first = first.get(..seen).filter(|seen| !seen.is_empty()).ok_or(None)?.to_vec();
    let socket = Socket::new(stream, activity).with_bound(HELLO_MAX);
    match LazyConfigAcceptor::new(Acceptor::default(), socket).await {
        Ok(mut start) => {
            start.io.lift_bound();
            Ok(ReceivedHello { start, first })
        }
        Err(error) => Err(Some((FailureReason::of(&error, &first), Some(error)))),
    }
}

/// The handshake, once there is a slot for it.
async fn shake_hands(
    listener: &Listener,
    hello: ReceivedHello,
    peer: IpAddr,
    deadline: Instant,
) -> Result<Box<TlsStream<Socket>>, Failed> {
    let late = |_| Some((FailureReason::Unfinished, None));
    let slot = timeout_at(deadline, listener.handshakes.acquire(listener.holder(peer))).await.map_err(late)?;
    let handshake = hello.start.into_stream(listener.tls.load_full());
    tokio::select! {
        biased;
        () = slot.revoked() => Err(Some((FailureReason::Outwaited, None))),
        done = timeout_at(deadline, handshake) => match done.map_err(late)? {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(Some((FailureReason::of(&error, &hello.first), Some(error)))),
        },
    }
}
