//! The timestamp window, and what the head claims: the last checks before a byte of the body is wanted.
//!
//! What they refuse is looked at for a moment, for the quarantine: at a bounded rate, and never where the sender waits
//! to be asked for its body.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response, header::EXPECT, request::Parts};
use tower::{BoxError, Layer, Service};

use crate::clock::{Clock, UnixSeconds};
use crate::scheme::Claims;

use super::load::BodyBudget;
use super::quarantine::Keeper;
use super::reject::Reject;
use super::source::Source;
use super::verify::glimpse;

/// A request whose head says who signed it and when; nothing of that is proven yet.
pub(super) struct Claimed<B> {
    /// The head.
    pub head: Parts,
    /// What it claims.
    pub claims: Claims,
    /// The body, not read.
    pub body: B,
}

/// Turns a request into a [`Claimed`] one.
#[derive(Clone)]
pub(super) struct WindowLayer {
    /// Whose window and scheme.
    pub source: Arc<Source>,
    /// The time.
    pub clock: Clock,
    /// Where what is refused is kept.
    pub keeper: Arc<Keeper>,
    /// What all bodies share.
    pub budget: Arc<BodyBudget>,
}

impl<S> Layer<S> for WindowLayer {
    type Service = Window<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Window { layer: self.clone(), inner }
    }
}

/// See [`WindowLayer`].
#[derive(Clone)]
pub(super) struct Window<S> {
    layer: WindowLayer,
    inner: S,
}

/// An answer, made in the time that a look at the body takes.
type Kept<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<S, B> Service<Request<B>> for Window<S>
where
    S: Service<Claimed<B>, Response = Response<Body>>,
    B: http_body::Body<Data = Bytes, Error = BoxError> + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<Either<Ready<Result<Response<Body>, S::Error>>, Kept<S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let reject = match self.layer.claims(&head) {
            Ok(claims) => return Either::Right(self.inner.call(Claimed { head, claims, body })),
            Err(reject) => reject,
        };
        // A sender that waits for 100 (Continue) must not get it: asking for its body would send it.
        let leave = if head.headers.contains_key(EXPECT) { None } else { self.layer.keeper.leave(&reject) };
        Either::Left(match leave {
            None => Either::Left(ready(Ok(reject.into_response()))),
            Some(leave) => {
                let budget = Arc::clone(&self.layer.budget);
                Either::Right(Box::pin(async move {
                    if let Some(body) = glimpse(&head.headers, body, budget).await {
                        leave.keep(&reject, &head, body);
                    }
                    Ok(reject.into_response())
                }))
            }
        })
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
