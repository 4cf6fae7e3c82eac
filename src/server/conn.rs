//! One HTTP connection from its first byte to its last: hyper h1 or h2 by what ALPN chose, under our deadlines.
//!
//! hyper's protocol detection is not used: it waits for the first bytes without limit.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::Service as HyperService;
use hyper_util::rt::TokioTimer;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::activity::{Activity, Look};
use super::answer::{Answer, Answering};
use super::socket::Io;
use crate::lifecycle::Lifecycle;

/// Largest HTTP/1.1 head. Well above hyper's longest target (65,534 bytes), so that one that is too long is a 414 and
/// not a 431; it grows only as bytes arrive, and is the most that a connection buffers.
const HEAD_MAX: usize = 112 * 1024;
/// Most streams at once on an HTTP/2 connection.
const STREAMS_MAX: u32 = 128;
/// Largest header list of an HTTP/2 request, bytes (RFC 9113 section 6.5.2). Also bounds CONTINUATION frames.
const HEADER_LIST_MAX: u32 = 16 * 1024;
/// What one HTTP/2 stream may send before its body is read (RFC 9113 section 5.2).
const STREAM_WINDOW: u32 = 64 * 1024;
/// What all streams of a connection together may.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Answers are small; no more than this waits in a stream.
const SEND_BUFFER_MAX: usize = 16 * 1024;
/// Streams the client reset before we looked at them (CVE-2023-44487); beyond it the connection ends.
const PENDING_RESETS_MAX: usize = 20;
/// Streams we had to reset because of the client's faults (CVE-2025-8671) over a connection's life.
const LOCAL_RESETS_MAX: usize = 256;
/// How often an HTTP/2 client is asked whether it is there, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to leave after it was told that the connection was idle for too long.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

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
pub(super) fn http1<S>(io: Io, service: S, activity: Arc<Activity>, stage: watch::Receiver<Stage>) -> Serving
where
    S: HyperService<Request<Incoming>, Response = http::Response<Answer>, Error = Infallible, Future = Answering>
        + Send
        + 'static,
{
    let mut builder = http1::Builder::new();
    // A sender that closes its write side after the request still wants the answer.
    // The buffer alone is a soft bound: it may come out larger than asked for, and a head that fits would pass.
    builder.half_close(true).max_buf_size(HEAD_MAX).max_header_size(HEAD_MAX);
    // Head and small body in one buffer make one TLS record and one packet.
    builder.writev(false);
    // Deadlines are ours: hyper's own would also run while a kept-alive connection is idle.
    builder.header_read_timeout(None);
    Box::pin(drive(Box::pin(builder.serve_connection(io, service)), activity, stage))
}

/// HTTP/2.
pub(super) fn http2<S>(
    io: Io,
    service: S,
    activity: Arc<Activity>,
    stage: watch::Receiver<Stage>,
    lifecycle: &Lifecycle,
) -> Serving
where
    S: HyperService<Request<Incoming>, Response = http::Response<Answer>, Error = Infallible, Future = Answering>
        + Send
        + 'static,
{
    let mut builder = http2::Builder::new(Streams(lifecycle.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(LOCAL_RESETS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    Box::pin(drive(Box::pin(builder.serve_connection(io, service)), activity, stage))
}

/// Spawns HTTP/2 streams under the lifecycle's eyes; they end with their connection or when everything is cut off.
#[derive(Clone)]
struct Streams(Lifecycle);

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let cut_off = self.0.cut_off().clone();
        drop(self.0.spawn(cut_off.run_until_cancelled_owned(stream)));
    }
}

/// Either kind of hyper's connections.
trait Connection: Future<Output = Result<(), hyper::Error>> {
    /// Whether closing gracefully loses no request that is on its way. Then a client that has been served is asked to
    /// leave as soon as draining begins (one that has only just come is served first); otherwise its next answer
    /// carries `Connection: close`.
    const LEAVES_POLITELY: bool;

    /// Finishes what is in flight, then ends.
    fn close_gracefully(self: Pin<&mut Self>);
}

impl<S> Connection for http1::Connection<Io, S>
where
    S: HyperService<Request<Incoming>, Response = http::Response<Answer>, Error = Infallible, Future = Answering>,
{
    const LEAVES_POLITELY: bool = false;

    fn close_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Connection for http2::Connection<Io, S, Streams>
where
    S: HyperService<Request<Incoming>, Response = http::Response<Answer>, Error = Infallible, Future = Answering>,
{
    const LEAVES_POLITELY: bool = true;

    fn close_gracefully(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls a connection to its end, to a deadline of its activity or to the end of the listener's patience.
async fn drive<C: Connection>(mut conn: Pin<Box<C>>, activity: Arc<Activity>, mut stage: watch::Receiver<Stage>) {
    let mut deadline = Deadline { timer: pin!(sleep_until(Instant::now())), idle_since: None };
    let mut closing = false;
    loop {
        let now = *stage.borrow_and_update();
        if !closing && (now >= Stage::Stopping || (C::LEAVES_POLITELY && now == Stage::Draining && activity.served())) {
            conn.as_mut().close_gracefully();
            closing = true;
        }
        if now == Stage::Cut {
            return;
        }
        let leaving = C::LEAVES_POLITELY && now == Stage::Draining && !closing;
        let step = poll_fn(|cx| {
            if let Poll::Ready(end) = conn.as_mut().poll(cx) {
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
        };
        match step {
            Step::Again => {}
            Step::Idle => {
                conn.as_mut().close_gracefully();
                closing = true;
            }
            Step::Overdue => return tracing::debug!("connection cut: the client was too slow"),
            Step::Ended(Ok(())) => return,
            Step::Ended(Err(error)) => return tracing::debug!(%error, "connection ended"),
        }
    }
}

enum Step {
    Again,
    Idle,
    Overdue,
    Ended(Result<(), hyper::Error>),
}

/// One timer for all deadlines, armed again only where one comes earlier: a request that arrives in one piece costs
/// no timer operation at all.
struct Deadline<'a> {
    timer: Pin<&'a mut Sleep>,
    /// When the connection was found idle and told so.
    idle_since: Option<Instant>,
}

impl Deadline<'_> {
    fn poll(&mut self, cx: &mut Context<'_>, activity: &Activity) -> Poll<Step> {
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
