//! How many requests may be in flight at once. Beyond that, 503 at once.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::future::Either;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::refused::Refused;
use super::reject::Reject;

/// The requests in flight, and how many there may be; the limit can change while they are.
#[derive(Debug)]
pub struct RequestPermits {
    limit: AtomicUsize,
    used: AtomicUsize,
}

impl RequestPermits {
    /// Room for `limit` requests.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit: AtomicUsize::new(limit), used: AtomicUsize::new(0) }
    }

    /// Room for `limit` requests from now on. Those in flight stay; a lower limit lets no further one in until enough
    /// have ended.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
    }

    /// Room for one request, or none.
    fn take(self: &Arc<Self>) -> Option<RequestPermit> {
        let limit = self.limit.load(Ordering::Acquire);
        let room = |used| (used < limit).then_some(used + 1);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(RequestPermit(Arc::clone(self)))
    }
}

/// One request in flight; gives its room back when dropped.
pub(super) struct RequestPermit(Arc<RequestPermits>);

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Turns requests away while `concurrent_requests` others are in flight; never queues them.
#[derive(Clone)]
pub(super) struct ConcurrencyLimitLayer(pub Arc<RequestPermits>);

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit { permits: Arc::clone(&self.0), inner }
    }
}

/// See [`ConcurrencyLimitLayer`].
#[derive(Clone)]
pub(super) struct ConcurrencyLimit<S> {
    permits: Arc<RequestPermits>,
    inner: S,
}

impl<R, S> Service<R> for ConcurrencyLimit<S>
where
    S: Service<R, Error = Box<Refused>>,
{
    type Response = S::Response;
    type Error = Box<Refused>;
    type Future = Either<Ready<Result<S::Response, Box<Refused>>>, Permitted<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refused>>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match self.permits.take() {
            Some(permit) => Either::Right(Permitted { inner: self.inner.call(request), _permit: permit }),
            None => Either::Left(ready(Err(Reject::Overloaded.into()))),
        }
    }
}

pin_project! {
    /// A request in flight, up to its answer or until nobody waits for that any more.
    pub(super) struct Permitted<F> {
        #[pin]
        inner: F,
        _permit: RequestPermit,
    }
}

impl<F: Future> Future for Permitted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().inner.poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_can_change_while_requests_are_in_flight() {
        let permits = Arc::new(RequestPermits::new(2));
        let (first, second) = (permits.take(), permits.take());
        assert!(first.is_some() && second.is_some() && permits.take().is_none());
        permits.set_limit(3);
        let third = permits.take();
        assert!(third.is_some() && permits.take().is_none());
        permits.set_limit(1);
        drop((first, second));
        assert!(permits.take().is_none(), "one is still in flight");
        drop(third);
        assert!(permits.take().is_some());
    }
}
