//! Load limits: how many requests, and how many bytes of bodies, may be in flight at once. Beyond that, 503 at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use futures_util::future::Either;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use crate::metrics::Metrics;

use super::reject::Reject;

/// Turns requests away while `concurrent_requests` others are in flight; never queues them.
#[derive(Clone)]
pub struct LoadLayer(pub Arc<Semaphore>);

impl<S> Layer<S> for LoadLayer {
    type Service = Load<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Load { permits: Arc::clone(&self.0), inner }
    }
}

/// See [`LoadLayer`].
#[derive(Clone)]
pub struct Load<S> {
    permits: Arc<Semaphore>,
    inner: S,
}

impl<S> Service<Request<Body>> for Load<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Either<std::future::Ready<Result<Response<Body>, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => {
                // Lives as long as the request does: whoever takes the request apart keeps its extensions.
                request.extensions_mut().insert(Arc::new(permit));
                Either::Right(self.inner.call(request))
            }
            Err(_) => Either::Left(std::future::ready(Ok(Reject::Overloaded.into_response()))),
        }
    }
}

/// The memory that all bodies in flight share.
pub struct BodyBudget {
    limit: usize,
    used: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl BodyBudget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize, metrics: Arc<Metrics>) -> Self {
        Self { limit, used: AtomicUsize::new(0), metrics }
    }

    /// A charge of nothing yet.
    #[must_use]
    pub const fn open(self: Arc<Self>) -> Charge {
        Charge { budget: self, bytes: 0 }
    }
}

/// What one body holds of the budget; given back when dropped.
pub struct Charge {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl Charge {
    /// Raises the charge to `bytes` in all.
    ///
    /// # Errors
    /// [`Reject::Overloaded`] where the budget has no room; the charge stays as it was.
    pub fn raise_to(&mut self, bytes: usize) -> Result<(), Reject> {
        let more = bytes.saturating_sub(self.bytes);
        let budget = &self.budget;
        let room = |used: usize| used.checked_add(more).filter(|total| *total <= budget.limit);
        budget.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).map_err(|_| Reject::Overloaded)?;
        budget.metrics.body_memory.inc_by(signed(more));
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.metrics.body_memory.dec_by(signed(self.bytes));
    }
}

/// Memory sizes fit an `i64`.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_counts_once_and_comes_back() {
        let metrics = Arc::new(Metrics::new());
        let budget = Arc::new(BodyBudget::new(100, Arc::clone(&metrics)));
        let mut one = Arc::clone(&budget).open();
        assert!(one.raise_to(60).is_ok());
        assert!(one.raise_to(60).is_ok());
        let mut two = Arc::clone(&budget).open();
        assert_eq!(two.raise_to(41), Err(Reject::Overloaded));
        assert!(two.raise_to(40).is_ok());
        assert_eq!(metrics.body_memory.get(), 100);
        drop(one);
        assert!(two.raise_to(100).is_ok());
        drop(two);
        assert_eq!(metrics.body_memory.get(), 0);
    }
}
