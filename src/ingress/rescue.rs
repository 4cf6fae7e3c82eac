//! The one rescue: whatever a layer beneath fails with is offered to the quarantine here, and becomes an answer here.
//!
//! A request that was refused by its head is looked at for its body for a moment, at a bounded rate, and never where the
//! sender waits to be asked for it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use futures_util::future::Either;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use pin_project_lite::pin_project;
use serde::Serialize;
use tower::{Layer, Service};

use crate::flat_json;
use crate::scheme::Challenge;

use super::body::peek_body;
use super::body_budget::BodyBudget;
use super::quarantine::SourceQuarantine;
use super::refused::{Refused, Rest, RestBody};
use super::reject::Reject;
use super::request_end::{Answered, RequestEnd};

/// Seconds after which a sender may try again: long enough to shed load, short enough for the shortest retry schedule.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// RFC 9110 11.6.1 wants a challenge on every 401; there is no registered scheme for signed webhooks.
const SIGNATURE: HeaderValue = HeaderValue::from_static("Signature realm=\"webhooks\"");
/// Some clients send a password only once they were asked for it (RFC 7617, section 2).
const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"webhooks\", charset=\"UTF-8\"");
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"webhooks\"");

/// Makes [`Rescue`].
#[derive(Clone)]
pub(super) struct RescueLayer(Arc<Rescuer>);

struct Rescuer {
    quarantine: Option<Arc<SourceQuarantine>>,
    budget: Arc<BodyBudget>,
    token_challenge: Challenge,
}

impl RescueLayer {
    /// Offers to `quarantine`, where there is one, what a source refused; bodies that are peeked at share `budget`.
    pub(super) fn new(quarantine: Option<Arc<SourceQuarantine>>, budget: Arc<BodyBudget>) -> Self {
        Self(Arc::new(Rescuer { quarantine, budget, token_challenge: Challenge::Signature }))
    }

    /// The same for a source whose senders are asked for a token with `challenge`.
    pub(super) fn challenging(self, challenge: Option<Challenge>) -> Self {
        let Rescuer { quarantine, budget, token_challenge } = &*self.0;
        let (quarantine, budget) = (quarantine.clone(), Arc::clone(budget));
        Self(Arc::new(Rescuer { quarantine, budget, token_challenge: challenge.unwrap_or(*token_challenge) }))
    }
}

impl<S> Layer<S> for RescueLayer {
    type Service = Rescue<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Rescue { rescuer: Arc::clone(&self.0), inner }
    }
}

/// See [`RescueLayer`].
#[derive(Clone)]
pub(super) struct Rescue<S> {
    rescuer: Arc<Rescuer>,
    inner: S,
}

impl<S, R> Service<R> for Rescue<S>
where
    S: Service<R, Response = Box<Answered>, Error = Box<Refused>>,
{
    type Response = Box<Answered>;
    type Error = Infallible;
    type Future = Rescued<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // No layer beneath waits to be ready: what has no room is refused.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        Rescued { inner: self.inner.call(request), rescuer: Arc::clone(&self.rescuer), peek: None }
    }
}

/// An answer in the time that a look at the body takes.
type Peek = Pin<Box<dyn Future<Output = Box<Answered>> + Send>>;

pin_project! {
    /// The answer to what the inner service takes or refuses.
    pub(super) struct Rescued<F> {
        #[pin]
        inner: F,
        rescuer: Arc<Rescuer>,
        peek: Option<Peek>,
    }
}

impl<F> Future for Rescued<F>
where
    F: Future<Output = Result<Box<Answered>, Box<Refused>>>,
{
    type Output = Result<Box<Answered>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(peek) = this.peek {
            return peek.as_mut().poll(cx).map(Ok);
        }
        let refused = match ready!(this.inner.poll(cx)) {
            Ok(answered) => return Poll::Ready(Ok(answered)),
            Err(refused) => refused,
        };
        match this.rescuer.rescue(*refused) {
            Either::Left(answered) => Poll::Ready(Ok(answered)),
            Either::Right(peek) => this.peek.insert(peek).as_mut().poll(cx).map(Ok),
        }
    }
}

impl Rescuer {
    fn rescue(&self, refused: Refused) -> Either<Box<Answered>, Peek> {
        let bytes = refused.bytes();
        let Refused { reject, rest, event } = refused;
        let end = RequestEnd {
            outcome: reject.outcome(),
            reason: Some(reject.reason()),
            validated: reject.validated(),
            bytes,
            event,
            quarantine_id: None,
        };
        let answered = Box::new(Answered { response: answer(&reject, self.token_challenge), end });
        let Some((rest, quarantine)) = rest.zip(self.quarantine.as_ref()) else { return Either::Left(answered) };
        let Rest { origin, head, body } = rest;
        // What is not POSTed could be no event, so that nobody could release it.
        if head.method != Method::POST {
            return Either::Left(answered);
        }
        // A sender that waits for 100 (Continue) must not get it: asking for its body would send it.
        if matches!(body, RestBody::Unread(_)) && head.headers.contains_key(EXPECT) {
            return Either::Left(answered);
        }
        let Some(permit) = quarantine.permit(reject.reason()) else { return Either::Left(answered) };
        match body {
            RestBody::Read(body) => {
                permit.keep(&origin, &head, body);
                Either::Left(answered)
            }
            RestBody::Unread(body) => {
                let budget = Arc::clone(&self.budget);
                Either::Right(Box::pin(async move {
                    if let Some(body) = peek_body(&head.headers, body, budget).await {
                        permit.keep(&origin, &head, body);
                    }
                    answered
                }))
            }
        }
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    error: &'a str,
    code: u16,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// What a sender is told of a refusal; where that is for a token, it is asked for one with `token_challenge`.
pub(super) fn answer(reject: &Reject, token_challenge: Challenge) -> Response<Body> {
    let status = reject.status();
    let mut response = json(
        status,
        &Answer {
            error: status.canonical_reason().unwrap_or_default(),
            code: status.as_u16(),
            message: reject.reason().as_str(),
            detail: reject.detail(),
        },
    );
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            let for_token = matches!(reject, Reject::MissingToken | Reject::TokenMismatch);
            let challenge = match if for_token { token_challenge } else { Challenge::Signature } {
                Challenge::Bearer => BEARER,
                Challenge::Basic => BASIC,
                Challenge::Signature => SIGNATURE,
            };
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        _ => {}
    }
    if let Reject::MethodNotAllowed(methods) = reject {
        headers.insert(ALLOW, HeaderValue::from_static(methods));
    }
    response
}

/// A small JSON answer that no cache keeps: a plain struct of texts, numbers and truth values.
pub(super) fn json(status: StatusCode, answer: &impl Serialize) -> Response<Body> {
    // Such a struct always serialises.
    json_text(status, flat_json::to_string(answer).unwrap_or_default())
}

/// An answer that is the JSON `text`, and that no cache keeps.
pub(super) fn json_text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = uncached(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A 200 that no cache keeps.
pub(super) fn uncached(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
