//! Between hyper and the service: marks every request with its peer and follows its answer to the last byte.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::{Service as HyperService, service_fn};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::activity::{Activity, Flight};
use super::client::{ConnectionId, Peer};
use crate::lifecycle::{Lifecycle, Phase};

/// An answer's body; as long as it lives, the answer has not been handed over.
pub(super) struct Answer {
    body: Body,
    _flight: Flight,
}

impl http_body::Body for Answer {
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

/// A request being answered. Boxed, because hyper keeps room for one in every connection, busy or not.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

/// `service` as hyper calls it for one connection.
pub(super) fn adapt<S>(
    service: S,
    peer: Peer,
    activity: Arc<Activity>,
    lifecycle: Lifecycle,
) -> impl HyperService<Request<Incoming>, Response = Response<Answer>, Error = Infallible, Future = Answering> + Send + 'static
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    // Its tokens are locked when they are cloned; a request needs only to look.
    let lifecycle = Arc::new(lifecycle);
    let id = ConnectionId(fastrand::u64(..));
    service_fn(move |mut request: Request<Incoming>| -> Answering {
        let flight = activity.begin();
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(id);
        let version = request.version();
        let answer = service.clone().oneshot(request);
        let lifecycle = Arc::clone(&lifecycle);
        Box::pin(async move {
            let mut response = answer.await?;
            // Draining: we still answer, but ask to be left (h2 gets a GOAWAY instead). hyper closes when it sees it.
            if version < Version::HTTP_2 && lifecycle.phase() == Phase::Draining {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            flight.answered(Instant::now());
            Ok(response.map(|body| Answer { body, _flight: flight }))
        })
    })
}
