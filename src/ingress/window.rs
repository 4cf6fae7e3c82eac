//! The timestamp window, and what the head claims: the last checks before a byte of the body is wanted.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::Either;
use http::{Request, Response, request::Parts};
use tower::{Layer, Service};

use crate::clock::{Clock, UnixSeconds};
use crate::scheme::Claims;

use super::reject::Reject;
use super::source::Source;

/// A request whose head says who signed it and when; nothing of that is proven yet.
pub struct Claimed<B> {
    /// The head.
    pub head: Parts,
    /// What it claims.
    pub claims: Claims,
    /// The body, not read.
    pub body: B,
}

/// Turns a request into a [`Claimed`] one.
#[derive(Clone)]
pub struct WindowLayer {
    /// Whose window and scheme.
    pub source: Arc<Source>,
    /// The time.
    pub clock: Clock,
}

impl<S> Layer<S> for WindowLayer {
    type Service = Window<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Window { layer: self.clone(), inner }
    }
}

/// See [`WindowLayer`].
#[derive(Clone)]
pub struct Window<S> {
    layer: WindowLayer,
    inner: S,
}

impl<S, B> Service<Request<B>> for Window<S>
where
    S: Service<Claimed<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<std::future::Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        match self.layer.claims(&head) {
            Ok(claims) => Either::Right(self.inner.call(Claimed { head, claims, body })),
            Err(reject) => Either::Left(std::future::ready(Ok(reject.into_response()))),
        }
    }
}

impl WindowLayer {
    fn claims(&self, head: &Parts) -> Result<Claims, Reject> {
        let source = &self.source;
        if let Some(claimed) = source.scheme.timestamp(head)? {
            let now = UnixSeconds::from(self.clock.now());
            if claimed.abs_diff(now) > source.config.max_drift.as_secs() {
                return Err(Reject::TimestampExpired(source.config.stale_status));
            }
        }
        Ok(source.scheme.read(head)?)
    }
}
