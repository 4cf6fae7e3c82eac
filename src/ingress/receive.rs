//! The end of the stack: a verified request becomes an event, the event is committed, and only then answered.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderMap, Response, StatusCode, header::CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::event::Event;
use crate::request_outcome::{Reason, RequestOutcome};
use crate::scheme::Answer;
use crate::store::{Inbox, Insertion, Quarantine, StoreError};

use super::extract::Fields;
use super::keep::keep;
use super::quarantine::SourceQuarantine;
use super::refused::Refused;
use super::reject::Reject;
use super::request_end::{Answered, Known, RequestEnd};
use super::rescue::json;
use super::source::Source;
use super::verify::Verified;

/// Takes what is verified. The only user of [`Verified`].
pub(super) struct Receive {
    /// Whose events.
    pub source: Arc<Source>,
    /// Where they are stored.
    pub inbox: Arc<dyn Inbox>,
    /// Where a second body under a known id is kept.
    pub quarantine: Arc<dyn Quarantine>,
    /// At which rate.
    pub source_quarantine: Arc<SourceQuarantine>,
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

/// What a verified request came to.
struct Settled {
    response: Response<Body>,
    outcome: RequestOutcome,
    quarantine_id: Option<i64>,
}

impl Receive {
    /// Answers `request`, once its event is stored.
    pub(super) async fn receive(self: Arc<Self>, request: Verified) -> Result<Box<Answered>, Box<Refused>> {
        let key = self.source.note_use(request.keys(), request.origin().certificate, self.clock.now());
        let mut known = Box::new(Known { key, ..Known::default() });
        match self.answer(&request, &mut known).await {
            Ok(Settled { response, outcome, quarantine_id }) => {
                let reason = (outcome == RequestOutcome::Quarantined).then_some(Reason::IdConflict);
                let bytes = request.payload().bytes().len();
                let event = Some(known);
                let end = RequestEnd { outcome, reason, validated: Some(true), bytes, event, quarantine_id };
                Ok(Box::new(Answered { response, end }))
            }
            Err(reject) => {
                let mut refused = request.refused(reject);
                refused.event = Some(known);
                Err(refused)
            }
        }
    }

    /// What a handshake is told at once, and an event once it is stored.
    async fn answer(&self, request: &Verified, known: &mut Known) -> Result<Settled, Reject> {
        match self.handshake(request)? {
            Some(response) => Ok(Settled { response, outcome: RequestOutcome::Handshake, quarantine_id: None }),
            None => self.store(request, known).await,
        }
    }

    /// The answer to a handshake that comes as an event does.
    fn handshake(&self, request: &Verified) -> Result<Option<Response<Body>>, Reject> {
        let Some(handshake) = &self.source.handshake else { return Ok(None) };
        let prove = |text: &[u8]| self.source.scheme.prove(request.keys().next()?, text);
        handshake.answer_event(request.payload().bytes(), prove)
    }

    /// Stores the event; what becomes known of it on the way is kept in `known`, also when it is refused.
    async fn store(&self, request: &Verified, known: &mut Known) -> Result<Settled, Reject> {
        let fields = self.source.extractor.extract(request.head(), request.payload())?;
        known.event_id = Some(fields.id.to_string());
        known.kind = Some(fields.kind.clone());
        known.bot_id.clone_from(&fields.bot_id);
        known.intent.clone_from(&fields.intent);
        let event = self.event(request, &fields, &known.key);
        let sinks = self.source.sinks_for(&event.kind);
        let twins = self.source.twins.keys(request.head(), request.payload(), Some(&fields.id));
        let inserted = self.inbox.insert_beside(event, &twins, sinks).await;
        let mut quarantine_id = None;
        let (outcome, status) = match inserted.map_err(|error| unavailable(&error))? {
            Insertion::Accepted => (RequestOutcome::Accepted, self.word()),
            Insertion::Duplicate => (RequestOutcome::Duplicate, self.word()),
            Insertion::Conflict => {
                quarantine_id = self.keep_aside(request, &fields).await?;
                (RequestOutcome::Quarantined, "quarantined")
            }
        };
        let processed = self.source.config.preset.answer == Answer::Processed;
        let receipt = Receipt {
            status,
            id: fields.id.as_str(),
            duplicate: outcome == RequestOutcome::Duplicate,
            session_id: fields.session_id.as_deref(),
            timestamp: processed.then(|| self.clock.now()),
        };
        Ok(Settled { response: json(StatusCode::OK, &receipt), outcome, quarantine_id })
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
        let origin = request.origin();
        let sent = || text_of(&head.headers, "traceparent").filter(|value| is_traceparent(value));
        let (headers, left_out) = keep(&self.source.config.keep_headers, &head.headers);
        if !left_out.is_empty() {
            let (source, request_id) = (&self.source.config.name, &origin.request_id);
            let headers = left_out.join(", ");
            tracing::warn!(%source, %request_id, headers, "keep_headers: more than an event may have; these were left out");
        }
        Event {
            source: self.source.config.name.clone(),
            id: fields.id.clone(),
            kind: fields.kind.clone(),
            received_at: self.clock.now(),
            content_type: text_of(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default(),
            payload: request.payload().clone(),
            key: key.to_owned(),
            request_id: origin.request_id.to_string(),
            client_ip: Some(origin.client),
            traceparent: origin.traced.as_ref().map(|traced| traced.traceparent()).or_else(sent),
            headers,
        }
    }

    /// Keeps the second body of a known id where an operator can look at it, each once and at a bounded rate; under which
    /// number, where it is kept.
    async fn keep_aside(&self, request: &Verified, fields: &Fields) -> Result<Option<i64>, Reject> {
        let body = request.payload().bytes().clone();
        let mut entry = self.source_quarantine.entry(Reason::IdConflict, request.origin(), request.head(), body);
        entry.event_id = Some(fields.id.clone());
        // The same once more tells nobody anything, and what is beyond the rate is counted like all that is set aside.
        let known = self.quarantine.same(&entry).await.map_err(|error| unavailable(&error))?;
        if known.is_some() || !self.source_quarantine.may_keep(Reason::IdConflict) {
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
