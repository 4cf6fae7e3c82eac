//! Which stack a request goes to: that of the source with its very path, and what is left to axum's router.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use tower::Service;

/// A response in the making.
pub(super) type RouteFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A stack that requests are handed to by reference; a router clones its stack into a box for each of them.
type Stack = Box<dyn Fn(Request<Body>) -> RouteFuture + Send + Sync>;

/// Copies of a stack that take turns: a request needs one only until its future is made, and a copy is made by counting
/// some forty references up and down, a fiftieth of what a refused request costs.
struct Copies<S> {
    stack: S,
    free: Mutex<Vec<Box<S>>>,
}

impl<S: Clone> Copies<S> {
    const fn of(stack: S) -> Self {
        Self { stack, free: Mutex::new(Vec::new()) }
    }

    /// What `call` makes of one that nobody else has meanwhile.
    fn with_one<T>(&self, call: impl FnOnce(&mut S) -> T) -> T {
        // A list is whole whatever panicked while it was held.
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = free().pop();
        let mut stack = taken.unwrap_or_else(|| Box::new(self.stack.clone()));
        let result = call(&mut stack);
        free().push(stack);
        result
    }
}

/// All that the webhook listener serves. A source's path is text without parameters, so that looking it up is enough.
pub struct Routes {
    sources: HashMap<String, Stack>,
    others: Router,
}

impl Routes {
    /// `others` for every path that no source has.
    pub(super) fn new(others: Router) -> Self {
        Self { sources: HashMap::new(), others }
    }

    /// Hands requests for exactly `path` to `stack`, which is ready for them at any time.
    pub(super) fn source<S>(mut self, path: &str, stack: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        let copies = Copies::of(stack);
        let call = move |request| -> RouteFuture { Box::pin(copies.with_one(|stack| stack.call(request))) };
        self.sources.insert(path.to_owned(), Box::new(call));
        self
    }

    /// The response to `request`.
    pub(super) fn call(&self, request: Request<Body>) -> RouteFuture {
        match self.sources.get(request.uri().path()) {
            Some(stack) => stack(request),
            None => Box::pin(self.others.clone().call(request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it was cloned.
    struct Counted(Arc<AtomicUsize>);

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(&self.0))
        }
    }

    #[test]
    fn a_copy_is_made_only_where_all_are_taken() {
        let made = Arc::new(AtomicUsize::new(0));
        let (copies, count) = (Copies::of(Counted(Arc::clone(&made))), || made.load(Ordering::SeqCst));
        for _ in 0..3 {
            copies.with_one(|_| assert_eq!(count(), 1));
        }
        copies.with_one(|_| copies.with_one(|_| assert_eq!(count(), 2)));
        copies.with_one(|_| copies.with_one(|_| assert_eq!(count(), 2)));
    }
}
