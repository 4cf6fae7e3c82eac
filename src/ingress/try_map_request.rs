//! The layer that most of the stack is made of: a step that makes something of a request, or refuses it.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::request::Parts;
use tower::{Layer, Service};

use super::arrival::Arrived;
use super::refused::Refused;
use super::reject::Reject;

/// What makes something of a request, or refuses it.
pub(super) trait Step<R, N>: Fn(R) -> Result<N, Box<Refused>> + Clone {}

impl<R, N, F> Step<R, N> for F where F: Fn(R) -> Result<N, Box<Refused>> + Clone {}

/// Passes on what `F` makes of a request, or fails with its refusal.
#[derive(Clone)]
pub(super) struct TryMapRequestLayer<F>(F);

/// A step that makes something of a request.
pub(super) const fn try_map<R, N, F: Step<R, N>>(step: F) -> TryMapRequestLayer<F> {
    TryMapRequestLayer(step)
}

/// A step that only looks at the head of a request.
pub(super) fn check<B, F>(rule: F) -> TryMapRequestLayer<impl Step<Arrived<B>, Arrived<B>>>
where
    F: Fn(&Parts) -> Result<(), Reject> + Clone,
{
    try_map(move |request: Arrived<B>| match rule(&request.head) {
        Ok(()) => Ok(request),
        Err(reject) => Err(reject.into()),
    })
}

impl<F: Clone, S> Layer<S> for TryMapRequestLayer<F> {
    type Service = TryMapRequest<F, S>;

    fn layer(&self, inner: S) -> Self::Service {
        TryMapRequest { step: self.0.clone(), inner }
    }
}

/// See [`TryMapRequestLayer`].
#[derive(Clone)]
pub(super) struct TryMapRequest<F, S> {
    step: F,
    inner: S,
}

impl<R, N, F, S> Service<R> for TryMapRequest<F, S>
where
    F: Fn(R) -> Result<N, Box<Refused>>,
    S: Service<N, Error = Box<Refused>>,
{
    type Response = S::Response;
    type Error = Box<Refused>;
    type Future = Either<Ready<Result<S::Response, Box<Refused>>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refused>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match (self.step)(request) {
            Ok(next) => Either::Right(self.inner.call(next)),
            Err(refused) => Either::Left(ready(Err(refused))),
        }
    }
}
