//! One HTTP/2 stream: the request's body as the service reads it, 100 (Continue) when it asks, and its response as frames.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use tower::Service;

use crate::clock::Clock;
use crate::server::service::{ConnectionService, ResponseBody, ResponseFuture};

/// Calls the service with `request`; what this gives is to be awaited for the response to go out.
pub(super) fn serve<S>(
    service: &ConnectionService<S>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> + Send + use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    let waits = !request.body().is_end_stream() && expects_continue(request.headers());
    let wanted = waits.then(Arc::<AtomicBool>::default);
    let body = |stream| Body::new(RequestBody { stream, wanted: wanted.clone(), read: false });
    let response = service.respond_to(request.map(body));
    async move {
        if let Err(error) = respond_to(response, respond, wanted).await {
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
async fn respond_to(
    mut response: ResponseFuture,
    mut respond: SendResponse<Bytes>,
    mut wanted: Option<Arc<AtomicBool>>,
) -> Result<(), h2::Error> {
    let response = poll_fn(|cx| {
        if let Poll::Ready(Ok(response)) = response.as_mut().poll(cx) {
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

async fn send(response: Response<ResponseBody>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
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
        // Capacity first: a response that the client leaves no room for has not been handed over.
        stream.reserve_capacity(1);
        let frame = poll_fn(|cx| {
            std::task::ready!(poll_capacity(&mut stream, cx))?;
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
fn poll_capacity(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
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

struct RequestBody {
    stream: RecvStream,
    /// Told when the body is asked for and not there; `None` where nobody waits to be asked.
    wanted: Option<Arc<AtomicBool>>,
    /// All data has been read; trailers may follow.
    read: bool,
}

impl http_body::Body for RequestBody {
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
