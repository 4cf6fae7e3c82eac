//! One HTTP/2 connection: hands its requests to the service, and tells it of those that h2 refuses by itself.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, Connection, Handshake};
use http::{Request, Response};
use tower::Service;

use super::frames::{FrameCounts, Frames};
use super::keep_alive::KeepAlive;
use super::stream;
use crate::lifecycle::Lifecycle;
use crate::server::activity::Activity;
use crate::server::service::{ConnectionService, Unreadable};
use crate::server::socket::Io;

/// Most streams at once on a connection.
const STREAMS_MAX: u32 = 128;
/// Largest header list of a request, bytes (RFC 9113 section 6.5.2). Also bounds CONTINUATION frames.
const HEADER_LIST_MAX: u32 = 16 * 1024;
/// What one stream may send before its body is read (RFC 9113 section 5.2).
const STREAM_WINDOW: u32 = 64 * 1024;
/// What all streams of a connection together may.
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Responses are small; no more than this waits in a stream.
const SEND_BUFFER_MAX: usize = 16 * 1024;
/// Streams the client reset before we looked at them (CVE-2023-44487); beyond it the connection ends.
const PENDING_RESETS_MAX: usize = 20;
/// Streams we had to reset because of the client's faults (CVE-2025-8671) over a connection's life.
const LOCAL_RESETS_MAX: usize = 256;

/// A connection, ready at its end.
pub(in crate::server) struct Http2Connection<S> {
    state: State,
    service: ConnectionService<S>,
    lifecycle: Lifecycle,
    counts: Arc<FrameCounts>,
    /// Requests that reached the service, and requests that h2 refused and the service was told of.
    served: u64,
    refused: u64,
    closing: bool,
}

enum State {
    Handshake(Handshake<Frames, Bytes>),
    Open(Connection<Frames, Bytes>, Option<KeepAlive>),
}

impl<S> Http2Connection<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(in crate::server) fn new(
        io: Io,
        service: ConnectionService<S>,
        activity: Arc<Activity>,
        lifecycle: &Lifecycle,
    ) -> Self {
        let (frames, counts) = Frames::new(io, activity);
        let handshake = Builder::new()
            .max_concurrent_streams(STREAMS_MAX)
            .max_header_list_size(HEADER_LIST_MAX)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER_MAX)
            .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
            .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
            .handshake(frames);
        let (state, lifecycle) = (State::Handshake(handshake), lifecycle.clone());
        Self { state, service, lifecycle, counts, served: 0, refused: 0, closing: false }
    }

    /// Announces that no more requests are taken; the connection ends with the last that is under way.
    pub(in crate::server) fn close_gracefully(&mut self) {
        self.closing = true;
        if let State::Open(connection, _) = &mut self.state {
            connection.graceful_shutdown();
        }
    }

    pub(in crate::server) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let end = self.poll_streams(cx);
        match &end {
            // h2 has understood all that it has read, and written what it has to say to that.
            Poll::Pending if !self.counts.is_blocked() => self.report_refused(cx),
            Poll::Ready(Err(error)) if error.is_library() => {
                self.report_refused(cx);
                // It broke the protocol before there was a request to refuse.
                if self.refused == 0 {
                    self.report(Unreadable::Http2, cx);
                }
            }
            Poll::Pending | Poll::Ready(_) => {}
        }
        end
    }

    /// Tells the service of every request whose head has come whole and that h2 has not handed over: it refused it.
    /// Once the client was told to leave it also ignores new ones (RFC 9113 section 6.8), and nothing tells those apart.
    fn report_refused(&mut self, cx: &mut Context<'_>) {
        while !self.closing && self.counts.heads() > self.served + self.refused {
            self.refused += 1;
            self.report(self.counts.take_refusal(), cx);
        }
    }

    fn report(&self, what: Unreadable, cx: &mut Context<'_>) {
        // h2 has answered in its own way.
        drop(self.service.unreadable(what, cx));
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            match &mut self.state {
                State::Handshake(handshake) => {
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
                            self.counts.handed_over(respond.stream_id().as_u32());
                            // It ends with the connection: h2 fails every stream of one that is dropped.
                            drop(self.lifecycle.spawn(stream::serve(&self.service, request, respond)));
                        }
                        Some(Err(error)) => return Poll::Ready(Err(error)),
                        None => return Poll::Ready(Ok(())),
                    }
                }
            }
        }
    }
}
