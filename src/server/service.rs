//! The service as one connection calls it: requests are marked with their peer, responses followed to the last byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service as HyperService;
use tokio::time::Instant;
use tower::Service;

use super::activity::{Activity, InFlight};
use super::client::Peer;
use super::client_certificate::ClientCertificate;
use crate::lifecycle::{Lifecycle, Phase};

/// A head that the HTTP library refused by itself. The service gets a request that stands for it (target `*`, no
/// headers, this in its extensions), so that it is counted, recorded and answered like every other one that is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unreadable {
    /// Not HTTP/1.1 as RFC 9112 has it: 400.
    Malformed,
    /// A target beyond what is read at all: 414.
    TargetTooLong,
    /// A head beyond what is read at all: 431. Over HTTP/2 the library answers by itself, without a body.
    HeadTooLarge,
    /// HTTP/2 streams beyond the most at once. The library has reset the stream (`REFUSED_STREAM`); no answer of the
    /// service's is sent.
    TooManyStreams,
    /// HTTP/2 that breaks RFC 9113. The library has reset the stream or closed the connection; no answer of the
    /// service's is sent.
    Http2,
}

impl Unreadable {
    /// Whether the client gets the status that the service answers with, and not just a reset.
    #[must_use]
    pub(crate) const fn is_answered(self) -> bool {
        !matches!(self, Self::TooManyStreams | Self::Http2)
    }
}

/// As long as it lives, the response has not been handed over whole.
pub(super) struct ResponseBody {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Boxed, because there is room for one in every connection, busy or not.
pub(super) type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

/// See the head of this file.
#[derive(Clone)]
pub(super) struct ConnectionService<S> {
    /// Ready at any time: it is called without being asked, so that a request is not kept for that.
    service: S,
    peer: Peer,
    /// The client's, where it showed one.
    certificate: Option<Arc<ClientCertificate>>,
    activity: Arc<Activity>,
    // Its tokens are locked when they are cloned; a request needs only to look.
    lifecycle: Arc<Lifecycle>,
}

// The service is never pinned where it stands.
impl<S> Unpin for ConnectionService<S> {}

impl<S> ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    pub(super) fn new(service: S, peer: Peer, activity: Arc<Activity>, lifecycle: Lifecycle) -> Self {
        Self { service, peer, certificate: None, activity, lifecycle: Arc::new(lifecycle) }
    }

    /// The same for a client that showed `certificate`.
    pub(super) fn with_certificate(self, certificate: Option<Arc<ClientCertificate>>) -> Self {
        Self { certificate, ..self }
    }

    /// Calls the service with `request`, which is in flight from now on.
    pub(super) fn respond_to(&self, mut request: Request<Body>) -> ResponseFuture {
        let in_flight = self.activity.begin();
        request.extensions_mut().insert(self.peer);
        if let Some(certificate) = &self.certificate {
            request.extensions_mut().insert(Arc::clone(certificate));
        }
        let (version, is_head) = (request.version(), request.method() == Method::HEAD);
        let response = self.service.clone().call(request);
        let lifecycle = Arc::clone(&self.lifecycle);
        Box::pin(async move {
            let mut response = response.await?;
            if is_head {
                response = headers_only(response);
            }
            // Draining: still serving, but asking clients to leave (HTTP/2: GOAWAY). hyper closes when it sees this.
            if version < Version::HTTP_2 && lifecycle.phase() == Phase::Draining {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            in_flight.answered(Instant::now());
            Ok(response.map(|body| ResponseBody { body, _in_flight: in_flight }))
        })
    }

    /// The service's response to a head that it does not get to see. It is polled once: `None` where it is not ready then.
    pub(super) fn unreadable(&self, what: Unreadable, cx: &mut Context<'_>) -> Option<Response<Body>> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static("*");
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(what);
        let mut response = Box::pin(self.service.clone().call(request));
        match response.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Some(response),
            Poll::Pending => None,
        }
    }
}

impl<S> HyperService<Request<Incoming>> for ConnectionService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        self.respond_to(request.map(Body::new))
    }
}

/// The response to HEAD: the length of a body that does not come (RFC 9110 section 9.3.2).
fn headers_only(mut response: Response<Body>) -> Response<Body> {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| length.into());
    }
    response.map(|_| Body::empty())
}
