//! tower-http's body limit, whose own 413 is told from our answers by type.
//!
//! It answers in plain text, without a reason and a record. So whatever happens beneath it travels as its error, and
//! nothing beneath it can make the response that it passes on: any response of its own is the 413.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::Map;
use http::{Request, Response};
use http_body::Frame;
use tower::{Layer, Service};
use tower_http::limit::{RequestBodyLimit, ResponseBody, ResponseFuture};

use super::refused::{Capped, Refused};
use super::reject::Reject;
use super::request_end::Answered;

/// Refuses bodies that are declared larger than so many bytes, and cuts the others there.
#[derive(Clone, Copy)]
pub(super) struct BodyLimitLayer(pub usize);

impl<S> Layer<S> for BodyLimitLayer {
    type Service = BodyLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        BodyLimit(RequestBodyLimit::new(AsError(inner), self.0))
    }
}

/// See [`BodyLimitLayer`].
#[derive(Clone)]
pub(super) struct BodyLimit<S>(RequestBodyLimit<AsError<S>>);

type Ours = Result<Answered, Box<Refused>>;
type Beneath = Result<Response<Never>, Ours>;
type Above = Result<Response<ResponseBody<Never>>, Ours>;

impl<S> Service<Request<Body>> for BodyLimit<S>
where
    S: Service<Request<Capped>, Response = Answered, Error = Box<Refused>>,
{
    type Response = Answered;
    type Error = Box<Refused>;
    type Future = Map<ResponseFuture<Map<S::Future, fn(Ours) -> Beneath>>, fn(Above) -> Ours>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Box<Refused>>> {
        self.0.get_mut().0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map(|above| above.map_or_else(|ours| ours, |_413| Err(Reject::PayloadTooLarge.into())))
    }
}

/// Has every ending of the inner service travel as an error.
#[derive(Clone)]
struct AsError<S>(S);

impl<S> Service<Request<Capped>> for AsError<S>
where
    S: Service<Request<Capped>, Response = Answered, Error = Box<Refused>>,
{
    type Response = Response<Never>;
    type Error = Ours;
    type Future = Map<S::Future, fn(Ours) -> Beneath>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ours>> {
        self.0.poll_ready(cx).map_err(Err)
    }

    fn call(&mut self, request: Request<Capped>) -> Self::Future {
        self.0.call(request).map(Err)
    }
}

/// The body of a response that cannot be made.
pub(super) enum Never {}

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match *self {}
    }
}
