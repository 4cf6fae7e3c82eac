//! One HTTP/2 connection: h2's streams as requests to the service, and its answers as frames.
//!
//! hyper's server for HTTP/2 is not used: it cannot send 100 (Continue), so a client that waits for it waits for ever,
//! and it says nothing of requests that h2 refuses by itself.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep, sleep};
use tower::Service;

use super::activity::Activity;
use super::answer::{Adapted, Answer, Answering, Unreadable};
use super::frames::{Frames, Seen};
use super::socket::Io;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// Most streams at once on a connection.
pub(super) const STREAMS_MAX: u32 = 128;
/// Largest header list of a request, bytes (RFC 9113 section 6.5.2). Also bounds CONTINUATION frames.
const HEADER_LIST_MAX: u32 = 16 * 1024;
/// What one stream may send before its body is read (RFC 9113 section 5.2).
const STREAM_WINDOW: u32 = 64 * 1024;
/// What all streams of a connection together may.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Answers are small; no more than this waits in a stream.
const SEND_BUFFER_MAX: usize = 16 * 1024;
/// Streams the client reset before we looked at them (CVE-2023-44487); beyond it the connection ends.
const PENDING_RESETS_MAX: usize = 20;
/// Streams we had to reset because of the client's faults (CVE-2025-8671) over a connection's life.
const LOCAL_RESETS_MAX: usize = 256;
/// How often a client is asked whether it is there, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection, ready at its end.
pub(super) struct Http2<S> {
    state: State,
    service: Adapted<S>,
    activity: Arc<Activity>,
    lifecycle: Lifecycle,
    seen: Arc<Seen>,
    /// Requests that reached the service.
    served: u64,
    /// Whether the service knows of one that did not; once a connection is enough.
    told: bool,
    closing: bool,
}

enum State {
    Opening(Handshake<Frames, Bytes>),
    Open(Connection<Frames, Bytes>, Option<KeepAlive>),
}

impl<S> Http2<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(io: Io, service: Adapted<S>, activity: Arc<Activity>, lifecycle: &Lifecycle) -> Self {
        let (frames, seen) = Frames::new(io, Arc::clone(&activity));
        let handshake = Builder::new()
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_MAX)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER_MAX)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
            .handshake(frames);
        let (state, lifecycle) = (State::Opening(handshake), lifecycle.clone());
        Self { state, service, activity, lifecycle, seen, served: 0, told: false, closing: false }
    }

    /// Announces that no more requests are taken; the connection ends with the last that is under way.
    pub(super) fn close_gracefully(&mut self) {
        self.closing = true;
        if let State::Open(connection, _) = &mut self.state {
            connection.graceful_shutdown();
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let end = self.poll_streams(cx);
        let refused = match &end {
            Poll::Ready(Err(error)) => error.is_library(),
            Poll::Ready(Ok(())) => false,
            // All that has been read is understood by now. Beyond the most streams, h2 refuses what is well-formed.
            Poll::Pending => {
                !self.closing
                    && self.seen.heads().is_some_and(|heads| heads > self.served)
                    && self.activity.in_flight() < usize::try_from(STREAMS_MAX).unwrap_or(usize::MAX)
            }
        };
        if refused && !std::mem::replace(&mut self.told, true) {
            drop(self.service.unreadable(Unreadable::Http2, cx));
        }
        end
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.state {
                State::Opening(handshake) => {
                    let mut connection = std::task::ready!(Pin::new(handshake).poll(cx))?;
                    if self.closing {
                        connection.graceful_shutdown();
                    }
                    let keep_alive = connection.ping_pong().map(KeepAlive::new);
                    self.state = State::Open(connection, keep_alive);
                }
                State::Open(connection, keep_alive) => {
                    if keep_alive.as_mut().is_some_and(|keep_alive| keep_alive.poll(cx).is_ready()) {
                        tracing::debug!("connection closed: the client does not answer pings");
                        connection.abrupt_shutdown(Reason::NO_ERROR);
                        *keep_alive = None;
                    }
                    match std::task::ready!(connection.poll_accept(cx)) {
                        Some(Ok((request, respond))) => {
                            self.served += 1;
                            let stream = answer(&self.service, request, respond);
                            let cut_off = self.lifecycle.cut_off().clone();
                            drop(self.lifecycle.spawn(cut_off.run_until_cancelled_owned(stream)));
                        }
                        Some(Err(error)) => return Poll::Ready(Err(error)),
                        None => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}

/// Begins to answer `request`; what this gives goes on with it.
fn answer<S>(
    service: &Adapted<S>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> + Send + 'static
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let waits = !request.body().is_end_stream() && expects_continue(request.headers());
    let wanted = waits.then(Arc::<AtomicBool>::default);
    let body = |stream| Body::new(Upload { stream, wanted: wanted.clone(), read: false });
    let answering = service.answer(request.map(body));
    async move {
        if let Err(error) = stream(answering, respond, wanted).await {
            tracing::debug!(%error, "stream ended");
        }
    }
}

/// RFC 9110 section 10.1.1: the only expectation there is.
fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// One stream from its request to the end of its answer, or until the client resets it. 100 (Continue) goes out once
/// the service has asked for a body that is not there.
async fn stream(
    mut answering: Answering,
    mut respond: SendResponse<Bytes>,
    mut wanted: Option<Arc<AtomicBool>>,
) -> Result<(), h2::Error> {
    let response = poll_fn(|cx| {
        if let Poll::Ready(Ok(response)) = answering.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(response)));
        }
        // The service reads the body in its own future, so after a poll of that is when to look.
        if let Some(wanted) = wanted.take_if(|wanted| wanted.load(Ordering::Relaxed)) {
            drop(wanted);
            let mut go_on = Response::new(());
            *go_on.status_mut() = StatusCode::CONTINUE;
            respond.send_informational(go_on)?;
        }
        respond.poll_reset(cx).map(|reset| reset.map(|_| None))
    })
    .await?;
    match response {
        Some(response) => send(response, respond).await,
        None => Ok(()),
    }
}

async fn send(response: Response<Answer>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let (mut head, body) = response.into_parts();
    // RFC 9113 section 8.2.2: of one connection of HTTP/1.1, and malformed here.
    head.headers.remove(CONNECTION);
    if !head.headers.contains_key(DATE)
        && let Some(date) = date()
    {
        head.headers.insert(DATE, date);
    }
    let is_empty = body.is_end_stream();
    if let (false, Some(length)) = (is_empty, body.size_hint().exact()) {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    let mut stream = respond.send_response(Response::from_parts(head, ()), is_empty)?;
    if is_empty {
        return Ok(());
    }
    let mut body = pin!(body);
    loop {
        // Room first: an answer that the client leaves no room for has not been handed over.
        stream.reserve_capacity(1);
        let frame = poll_fn(|cx| {
            std::task::ready!(room(&mut stream, cx))?;
            body.as_mut().poll_frame(cx).map(Ok::<_, h2::Error>)
        })
        .await?;
        match frame {
            Some(Ok(frame)) => {
                let is_last = body.is_end_stream();
                stream.send_data(frame.into_data().unwrap_or_default(), is_last)?;
                if is_last {
                    return Ok(());
                }
            }
            None => return stream.send_data(Bytes::new(), true),
            Some(Err(_)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
}

/// Ready when the client takes more, or takes no more at all.
fn room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
    if let Poll::Ready(reset) = stream.poll_reset(cx) {
        return Poll::Ready(Err(reset?.into()));
    }
    while stream.capacity() == 0 {
        match std::task::ready!(stream.poll_capacity(cx)) {
            Some(capacity) => drop(capacity?),
            None => return Poll::Ready(Err(Reason::CANCEL.into())),
        }
    }
    Poll::Ready(Ok(()))
}

/// The time of day: an origin server with a clock sends it (RFC 9110 section 6.6.1).
fn date() -> Option<HeaderValue> {
    let seconds = u64::try_from(Clock::system().now().as_second()).ok()?;
    HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))).ok()
}

/// The body of a request.
struct Upload {
    stream: RecvStream,
    /// Told when the body is asked for and not there; `None` where nobody waits to be asked.
    wanted: Option<Arc<AtomicBool>>,
    /// All data has been read; trailers may follow.
    read: bool,
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if !self.read {
            match self.stream.poll_data(cx) {
                Poll::Pending => {
                    if let Some(wanted) = self.wanted.take() {
                        wanted.store(true, Ordering::Relaxed);
                    }
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(data))) => {
                    // It has come by itself.
                    self.wanted = None;
                    // Fails only where the stream is gone.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => self.read = true,
            }
        }
        self.stream.poll_trailers(cx).map(|trailers| trailers.transpose().map(|all| all.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

/// Asks the client now and then whether it is there.
struct KeepAlive {
    pings: PingPong,
    timer: Pin<Box<Sleep>>,
    asked: bool,
}

impl KeepAlive {
    fn new(pings: PingPong) -> Self {
        Self { pings, timer: Box::pin(sleep(PING_INTERVAL)), asked: false }
    }

    /// Ready where the client has not answered in time.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.asked && matches!(self.pings.poll_pong(cx), Poll::Ready(Ok(_))) {
                self.asked = false;
                self.timer.as_mut().reset(Instant::now() + PING_INTERVAL);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if self.asked {
                return Poll::Ready(());
            }
            // Fails only where the connection has ended, which shows by itself.
            let _ = self.pings.send_ping(Ping::opaque());
            self.asked = true;
            self.timer.as_mut().reset(Instant::now() + PING_TIMEOUT);
        }
    }
}
