//! How a request ended, handed to the access log together with the answer.

use axum::body::Body;
use http::Response;

use crate::request_outcome::{Reason, RequestOutcome};

/// An answer, and how the request ended that gets it. Boxed where it travels: it is large, and each layer passes it on.
pub(super) struct Answered {
    /// What the sender is told.
    pub response: Response<Body>,
    /// What the records say.
    pub end: RequestEnd,
}

/// How a request ended.
#[derive(Debug)]
pub(super) struct RequestEnd {
    pub outcome: RequestOutcome,
    /// Why, unless accepted.
    pub reason: Option<Reason>,
    /// Whether the sender proved who it is; `None` where nobody asked.
    pub validated: Option<bool>,
    /// Bytes of the body that were read.
    pub bytes: usize,
    /// What is known of a verified event.
    pub event: Option<Box<Known>>,
    /// Where it is kept in quarantine. Refused requests are kept in the background, after the answer: for those it is
    /// `None`, though they may be kept.
    pub quarantine_id: Option<i64>,
}

/// What is known of an event once it is verified. Texts are the sender's: to be cut before they are logged.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The event's id, once it has one.
    pub event_id: Option<String>,
    /// The event's type.
    pub kind: Option<String>,
    /// `/botId` of the body.
    pub bot_id: Option<String>,
    /// `/intent` of the body.
    pub intent: Option<String>,
    /// Label of the key that verified it; behind a plus, that of the token that came beside a signature.
    pub key: String,
}

impl RequestEnd {
    /// A handshake was answered; its body, if any, was not read.
    pub(super) const fn handshake(validated: Option<bool>, event: Option<Box<Known>>) -> Self {
        let outcome = RequestOutcome::Handshake;
        Self { outcome, reason: None, validated, bytes: 0, event, quarantine_id: None }
    }

    /// The sender went away before there was an answer.
    pub(super) const fn disconnected() -> Self {
        let reason = Some(Reason::ClientDisconnected);
        Self { outcome: RequestOutcome::Failed, reason, validated: None, bytes: 0, event: None, quarantine_id: None }
    }
}
