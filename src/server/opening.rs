//! A connection before it speaks HTTP: PROXY header, `ClientHello`, its turn, TLS handshake, under one deadline.
//!
//! Until the `ClientHello` is there it costs its sender nothing, so it has no turn and makes room for others where there
//! is none ([`Permit::dismissed`]).

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::accept::Shared;
use super::activity::Activity;
use super::client::{Peer, counted_as};
use super::permits::Permit;
use super::proxy_protocol::{self, ProxyError};
use super::socket::Socket;
use super::tls_failure::Reason;

/// As much of a connection's beginning as tells what it is, where it is not TLS.
const FIRST_BYTES: usize = 16;
/// Longest `ClientHello` taken, bytes of its records. With post-quantum key shares and encrypted names they come to 2 to
/// 4 KiB; the library alone would take 64.
const HELLO_MAX: usize = 16 * 1024;

/// A connection that is about to speak HTTP.
pub(super) type Opened = (Box<TlsStream<Socket>>, Peer);

/// Why it will not; `None` where a client came and left, which load balancers do all day.
type Failed = Option<(Reason, Option<io::Error>)>;

/// A `ClientHello` that is there.
struct Hello {
    start: StartHandshake<Socket>,
    first: Vec<u8>,
}

/// The connection over TLS; `None` where it is to be closed, which has been counted and said.
pub(super) async fn open(
    shared: &Shared,
    stream: TcpStream,
    address: IpAddr,
    permit: &mut Permit,
    activity: &Arc<Activity>,
) -> Option<Opened> {
    let deadline = Instant::now() + shared.server.limits.load().handshake_timeout;
    // Answers are one small write each; waiting for more would only delay them. A failure costs latency, no more.
    let _ = stream.set_nodelay(true);
    let mut peer = address;
    let result = async {
        let hello = said(shared, stream, &mut peer, permit, activity, deadline).await?;
        if !permit.spoke() {
            return Err(Some((Reason::MadeRoom, None)));
        }
        secured(shared, hello, peer, deadline).await
    };
    let failed = match result.await {
        Ok(tls) => {
            shared.server.metrics.handshake(true);
            return Some((tls, Peer(peer)));
        }
        Err(failed) => failed,
    };
    if let Some((reason, error)) = failed {
        if reason.is_handshake() {
            shared.server.metrics.handshake(false);
        }
        shared.failures.note(reason, peer, error.as_ref());
    }
    None
}

/// Waits for what the client has to say first; `peer` becomes the PROXY header's client where there is one.
async fn said(
    shared: &Shared,
    mut stream: TcpStream,
    peer: &mut IpAddr,
    permit: &mut Permit,
    activity: &Arc<Activity>,
    deadline: Instant,
) -> Result<Hello, Failed> {
    let header = claimed(shared, &mut stream, *peer);
    if let Some(client) = unless_dismissed(permit, deadline, header, Reason::NoProxyHeader).await? {
        *peer = client;
        if let Some(holder) = shared.holder(client)
            && !permit.belongs_to(holder)
        {
            return Err(Some((Reason::TooManyConnections, None)));
        }
    }
    let hello = hello(stream, Arc::clone(activity));
    unless_dismissed(permit, deadline, hello, Reason::NoClientHello).await
}

/// `step`, unless it takes too long or its connection is to make room.
async fn unless_dismissed<T>(
    permit: &Permit,
    deadline: Instant,
    step: impl Future<Output = Result<T, Failed>>,
    late: Reason,
) -> Result<T, Failed> {
    tokio::select! {
        biased;
        () = permit.dismissed() => Err(Some((Reason::MadeRoom, None))),
        done = timeout_at(deadline, step) => done.unwrap_or(Err(Some((late, None)))),
    }
}

/// Who a PROXY header says is at the other end; `None` where none is required, or where it says nothing of anybody.
async fn claimed(shared: &Shared, stream: &mut TcpStream, address: IpAddr) -> Result<Option<IpAddr>, Failed> {
    let proxy = shared.server.proxy.load_full();
    let header = if !proxy.required {
        Ok(None)
    } else if proxy.trusted.contains(address) {
        proxy_protocol::read(stream).await
    } else {
        Err(ProxyError::Untrusted)
    };
    header.map_err(|error| Some((Reason::of_proxy(&error), Some(io::Error::other(error)))))
}

/// The `ClientHello`. Memory is set aside for it only once its first byte is there.
async fn hello(stream: TcpStream, activity: Arc<Activity>) -> Result<Hello, Failed> {
    let mut first = [0; FIRST_BYTES];
    let seen = stream.peek(&mut first).await.map_err(|_| None)?;
    let first = first.get(..seen).filter(|seen| !seen.is_empty()).ok_or(None)?.to_vec();
    let socket = Socket::new(stream, activity).with_bound(HELLO_MAX);
    match LazyConfigAcceptor::new(Acceptor::default(), socket).await {
        Ok(mut start) => {
            start.io.lift_bound();
            Ok(Hello { start, first })
        }
        Err(error) => Err(Some((Reason::of(&error, &first), Some(error)))),
    }
}

/// The handshake, when it is its turn.
async fn secured(
    shared: &Shared,
    hello: Hello,
    peer: IpAddr,
    deadline: Instant,
) -> Result<Box<TlsStream<Socket>>, Failed> {
    let late = |_| Some((Reason::Unfinished, None));
    let turn = timeout_at(deadline, shared.turns.take(shared.holder(peer))).await.map_err(late)?;
    let handshake = hello.start.into_stream(shared.server.tls.load_full());
    tokio::select! {
        biased;
        () = turn.revoked() => Err(Some((Reason::Outwaited, None))),
        done = timeout_at(deadline, handshake) => match done.map_err(late)? {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(Some((Reason::of(&error, &hello.first), Some(error)))),
        },
    }
}

impl Shared {
    /// Whom a connection of `ip` counts for; `None` for a trusted proxy, who stands for many.
    pub(super) fn holder(&self, ip: IpAddr) -> Option<IpAddr> {
        (!self.server.proxy.load().trusted.contains(ip)).then(|| counted_as(ip))
    }
}
