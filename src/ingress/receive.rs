//! The end of the stack: a verified request becomes an event, the event is committed, and only then answered.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;
use tower::Service;

use crate::clock::Clock;
use crate::event::Event;
use crate::scheme::Answer;
use crate::store::{Inbox, Insertion, Quarantine, StoreError};
use crate::verdict::Outcome;

use super::fields::Fields;
use super::kept::Kept;
use super::quarantine::{self, Keeper};
use super::record::{Arrival, Ended, Known};
use super::reject::{self, Reject};
use super::source::Source;
use super::verify::Verified;

/// Takes what is verified. The only user of [`Verified`].
#[derive(Clone)]
pub(super) struct Receive {
    /// Whose events.
    pub source: Arc<Source>,
    /// Where they are stored.
    pub inbox: Arc<dyn Inbox>,
    /// Where a second body under a known id is kept.
    pub quarantine: Arc<dyn Quarantine>,
    /// Where what is no event is kept.
    pub keeper: Arc<Keeper>,
    /// The time.
    pub clock: Clock,
}

/// A 200.
#[derive(Serialize)]
struct Receipt<'a> {
    status: &'static str,
    id: &'a str,
    duplicate: bool,
    #[serde(rename = "sessionId", skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
}

impl Service<Verified> for Receive {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Verified) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.receive(request).await) })
    }
}

impl Receive {
    async fn receive(&self, request: Verified) -> Response<Body> {
        let index = request.key().0;
        if let Some(last_used) = self.source.metrics.key_last_used(index) {
            last_used.set(self.clock.now().as_duration().as_secs_f64());
        }
        let key = self.source.scheme.keys().get(index).cloned().unwrap_or_default();
        let mut known = Known { key, ..Known::default() };
        let bytes = request.payload().bytes().len();
        let mut quarantine_id = None;
        let (response, outcome, reason) = match self.store(&request, &mut known, &mut quarantine_id).await {
            Ok((response, outcome)) => (response, outcome, (outcome == Outcome::Quarantined).then_some("id_conflict")),
            Err(reject) => {
                let (head, body) = request.into_parts();
                self.keeper.offer(&reject, &head, &body);
                (reject.clone().into_response(), reject.outcome(), Some(reject.reason()))
            }
        };
        // A signed body that is not understood is not a valid webhook; a store that is down does not make it invalid.
        let validated = Some(outcome != Outcome::Refused);
        let event = Some(Box::new(known));
        answered(response, Ended { outcome, reason, validated, bytes, event, quarantine_id })
    }

    /// Stores the event; what becomes known of it on the way is kept in `known`, also when it is refused, and where it
    /// went in quarantine in `kept`.
    async fn store(
        &self,
        request: &Verified,
        known: &mut Known,
        kept: &mut Option<i64>,
    ) -> Result<(Response<Body>, Outcome), Reject> {
        let fields = self.source.wanted.pick(request.head(), request.payload())?;
        known.event_id = Some(fields.id.to_string());
        known.kind = Some(fields.kind.clone());
        known.bot_id.clone_from(&fields.bot_id);
        known.intent.clone_from(&fields.intent);
        let event = self.event(request, &fields, &known.key);
        let sinks = self.source.sinks_for(&event.kind);
        let twins = self.source.twins.keys(request.head(), request.payload());
        let inserted = self.inbox.insert_beside(event, &twins, sinks).await;
        let (outcome, status) = match inserted.map_err(|error| unavailable(&error))? {
            Insertion::Accepted => (Outcome::Accepted, self.word()),
            Insertion::Duplicate => (Outcome::Duplicate, self.word()),
            Insertion::Conflict => {
                *kept = self.keep_aside(request, &fields).await?;
                (Outcome::Quarantined, "quarantined")
            }
        };
        let processed = self.source.config.preset.answer == Answer::Processed;
        let receipt = Receipt {
            status,
            id: fields.id.as_str(),
            duplicate: outcome == Outcome::Duplicate,
            session_id: fields.session_id.as_deref(),
            timestamp: processed.then(|| self.clock.now()),
        };
        Ok((reject::json(StatusCode::OK, &receipt), outcome))
    }

    fn word(&self) -> &'static str {
        match self.source.config.preset.answer {
            Answer::Accepted => "accepted",
            Answer::Validated => "validated",
            Answer::Processed => "processed",
        }
    }

    fn event(&self, request: &Verified, fields: &Fields, key: &str) -> Event {
        let head = request.head();
        let arrival = head.extensions.get::<Arrival>();
        Event {
            source: self.source.config.name.clone(),
            id: fields.id.clone(),
            kind: fields.kind.clone(),
            received_at: self.clock.now(),
            content_type: text_of(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default(),
            payload: request.payload().clone(),
            key: key.to_owned(),
            request_id: arrival.map(|arrival| arrival.request_id.to_string()).unwrap_or_default(),
            client_ip: arrival.and_then(|arrival| arrival.client.ok()),
            traceparent: text_of(&head.headers, "traceparent").filter(|value| is_traceparent(value)),
        }
    }

    /// Keeps the second body of a known id where an operator can look at it, each once and at a bounded rate; under which
    /// number, where it is kept.
    async fn keep_aside(&self, request: &Verified, fields: &Fields) -> Result<Option<i64>, Reject> {
        let body = request.payload().bytes().clone();
        let kept = Kept::from(&self.source.config.scheme);
        let source = (&self.source.config.name, &kept);
        let mut entry = quarantine::entry(source, request.head(), body, quarantine::ID_CONFLICT, self.clock.now());
        entry.event_id = Some(fields.id.clone());
        // The same once more tells nobody anything, and what is beyond the rate is counted like all that is set aside.
        let known = self.quarantine.same(&entry).await.map_err(|error| unavailable(&error))?;
        if known.is_some() || !self.keeper.may_keep(quarantine::ID_CONFLICT) {
            return Ok(known);
        }
        let id = self.quarantine.put(entry).await.map_err(|error| unavailable(&error))?;
        // None: larger than all that may be kept.
        Ok(Some(id).filter(|id| *id != 0))
    }
}

/// The private cause of a 503, logged here, once; the sender learns only that nothing was accepted.
fn unavailable(error: &StoreError) -> Reject {
    tracing::error!(target: "gatepost::store", %error, "the store did not commit: answering 503, nothing was accepted");
    Reject::StoreUnavailable
}

fn answered(mut response: Response<Body>, ended: Ended) -> Response<Body> {
    response.extensions_mut().insert(ended);
    response
}

/// The value of a header, where it is text.
pub(super) fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

/// W3C Trace Context, section 3.2: `00-` 32 hex `-` 16 hex `-` 2 hex, all lower case.
pub(super) fn is_traceparent(value: &str) -> bool {
    let shape = [2, 32, 16, 2];
    let parts: Vec<&str> = value.split('-').collect();
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parts.len() == shape.len() && parts.iter().zip(shape).all(|(part, length)| part.len() == length && hex(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_trace_context_is_passed_on() {
        assert!(is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(!is_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"));
        assert!(!is_traceparent("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"));
        assert!(!is_traceparent("x"));
    }
}
