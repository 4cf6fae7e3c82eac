//! One HTTP connection from its first byte to its last, HTTP/1.1 or HTTP/2, under our deadlines.
//!
//! hyper's protocol detection is not used: it waits for the first bytes without limit.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::server::conn::http1;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use super::activity::{Activity, Look};
use super::http2::Http2Connection;
use super::rewrite_errors::RewriteErrors;
use super::service::{ConnectionService, Unreadable};
use super::socket::Io;
use crate::lifecycle::Lifecycle;

/// Largest HTTP/1.1 head. Above what the service takes (32 KiB of headers, a target of 8,000 bytes), so that refusing
/// mostly is its part; it grows only as bytes arrive, and is the most that a connection buffers.
const HEAD_MAX: usize = 48 * 1024;
/// How long a client may take to leave after it was told that the connection was idle for too long.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// How long a connection on which nothing is in flight may stay once the listener stops: HTTP/2 clients are asked to leave
/// and some never answer, half a head may never become one.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// What the listener tells its connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    /// Serve.
    Open,
    /// Serve, but ask clients to leave.
    Draining,
    /// Finish what is in flight, then close.
    Stopping,
    /// Drop everything.
    Cut,
}

/// A connection that is being served; ready at its end. Boxed, and made by a function that is not async itself: a task
/// keeps room for everything that its futures ever move, and there are many idle connections.
pub(super) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// HTTP/1.1.
pub(super) fn http1<S>(
    io: Io,
    service: ConnectionService<S>,
    activity: Arc<Activity>,
    stage: watch::Receiver<Stage>,
) -> Serving
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let mut builder = http1::Builder::new();
    // A sender that closes its write side after the request still wants the answer.
    // The buffer alone is a soft bound: it may come out larger than asked for, and a head that fits would pass.
    builder.half_close(true).max_buf_size(HEAD_MAX).max_header_size(HEAD_MAX);
    // Head and small body in one buffer make one TLS record and one packet.
    builder.writev(false);
    // Deadlines are ours: hyper's own would also run while a kept-alive connection is idle.
    builder.header_read_timeout(None);
    let connection = builder.serve_connection(RewriteErrors::new(io, service.clone()), service.clone());
    Box::pin(drive(Box::new(Http1 { connection, service }), activity, stage))
}

/// HTTP/2.
pub(super) fn http2<S>(
    io: Io,
    service: ConnectionService<S>,
    activity: Arc<Activity>,
    stage: watch::Receiver<Stage>,
    lifecycle: &Lifecycle,
) -> Serving
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let connection = Http2Connection::new(io, service, Arc::clone(&activity), lifecycle);
    Box::pin(drive(Box::new(connection), activity, stage))
}

/// Either kind of connection.
trait Connection: Unpin {
    /// Whether closing gracefully loses no request that is on its way. Then a client that has been served is asked to
    /// close as soon as draining begins (one that has only just connected is served first); otherwise its next response
    /// carries `Connection: close`.
    const CLOSES_WITHOUT_LOSS: bool;
    type Error: std::error::Error;

    /// Goes on, until the connection has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Finishes what is in flight, then ends.
    fn close_gracefully(&mut self);
}

/// hyper's connection, and whom to tell of what it does not answer.
struct Http1<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    connection: http1::Connection<RewriteErrors<S>, ConnectionService<S>>,
    service: ConnectionService<S>,
}

impl<S> Connection for Http1<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    const CLOSES_WITHOUT_LOSS: bool = false;
    type Error = hyper::Error;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        let end = Pin::new(&mut self.connection).poll(cx);
        // HTTP/2 where HTTP/1.1 was agreed: the one error in a head that hyper does not respond to.
        if let Poll::Ready(Err(error)) = &end
            && error.is_parse_version_h2()
        {
            drop(self.service.unreadable(Unreadable::Http2, cx));
        }
        end
    }

    fn close_gracefully(&mut self) {
        Pin::new(&mut self.connection).graceful_shutdown();
    }
}

impl<S> Connection for Http2Connection<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    const CLOSES_WITHOUT_LOSS: bool = true;
    type Error = h2::Error;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        self.poll(cx)
    }

    fn close_gracefully(&mut self) {
        self.close_gracefully();
    }
}

/// Polls a connection to its end, to a deadline of its activity or to the end of the listener's patience.
async fn drive<C: Connection>(mut conn: Box<C>, activity: Arc<Activity>, mut stage: watch::Receiver<Stage>) {
    let mut deadline = Deadline { timer: pin!(sleep_until(Instant::now())), idle_since: None };
    let mut closing = false;
    // When to look whether something is still in flight, once the listener stops.
    let mut check_at = None;
    loop {
        let now = *stage.borrow_and_update();
        if now >= Stage::Stopping {
            check_at.get_or_insert_with(|| Instant::now() + STOP_GRACE);
        }
        if !closing
            && (now >= Stage::Stopping || (C::CLOSES_WITHOUT_LOSS && now == Stage::Draining && activity.served()))
        {
            conn.close_gracefully();
            closing = true;
        }
        if now == Stage::Cut {
            return;
        }
        let leaving = C::CLOSES_WITHOUT_LOSS && now == Stage::Draining && !closing;
        let step = poll_fn(|cx| {
            if let Poll::Ready(end) = conn.poll(cx) {
                return Poll::Ready(Step::Ended(end));
            }
            if leaving && activity.served() {
                return Poll::Ready(Step::Again);
            }
            deadline.poll(cx, &activity)
        });
        let step = tokio::select! {
            biased;
            step = step => step,
            changed = stage.changed() => if changed.is_ok() { Step::Again } else { return },
            () = sleep_until(check_at.unwrap_or_else(Instant::now)), if check_at.is_some() => {
                if activity.idle_since().is_some() {
                    return tracing::debug!("connection closed: the listener stops and nothing is in flight");
                }
                check_at = Some(Instant::now() + STOP_GRACE);
                Step::Again
            }
        };
        match step {
            Step::Again => {}
            Step::Idle => {
                conn.close_gracefully();
                closing = true;
            }
            Step::Overdue => return tracing::debug!("connection cut: the client was too slow"),
            Step::Ended(Ok(())) => return,
            Step::Ended(Err(error)) => return tracing::debug!(%error, "connection ended"),
        }
    }
}

enum Step<E> {
    Again,
    Idle,
    Overdue,
    Ended(Result<(), E>),
}

/// One timer for all deadlines, armed again only where one comes earlier: a request that arrives in one piece costs
/// no timer operation at all.
struct Deadline<'a> {
    timer: Pin<&'a mut Sleep>,
    /// When the connection was found idle and told so.
    idle_since: Option<Instant>,
}

impl Deadline<'_> {
    fn poll<E>(&mut self, cx: &mut Context<'_>, activity: &Activity) -> Poll<Step<E>> {
        loop {
            let now = Instant::now();
            let until = match activity.look(now) {
                Look::Until(until) => until,
                Look::Overdue => return Poll::Ready(Step::Overdue),
                Look::Idle => match self.idle_since {
                    None => {
                        self.idle_since = Some(now);
                        return Poll::Ready(Step::Idle);
                    }
                    Some(since) if since + CLOSE_GRACE <= now => return Poll::Ready(Step::Overdue),
                    Some(since) => since + CLOSE_GRACE,
                },
            };
            let armed = self.timer.deadline();
            if until < armed || armed <= now {
                self.timer.as_mut().reset(until);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
