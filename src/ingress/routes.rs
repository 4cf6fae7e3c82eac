//! Which stack a request goes to: that of the source with its very path, and what is left to axum's router.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use tower::Service;

/// A response in the making.
pub(super) type RouteFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A stack that requests are handed to by reference; a router clones its stack into a box for each of them.
type Stack = Box<dyn Fn(Request<Body>) -> RouteFuture + Send + Sync>;

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
        self.sources.insert(path.to_owned(), Box::new(move |request| Box::pin(stack.clone().call(request))));
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
