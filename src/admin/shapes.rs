//! The shapes that the API tells and the page shows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use utoipa::ToSchema;

use crate::event::{Digest, KeptHeaders, Name, header_text};
use crate::explain::header_lines;
use crate::ingress::CLIENT_CERTIFICATE;
use crate::near_misses::NearMiss;
use crate::operations::{Erased, ReleaseOutcome};
use crate::store::{Archived, DeadLetter, DeliveryStatus, Erasure, Quarantined, State};

/// Some events, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct EventsFound {
    pub(super) events: Vec<EventShown>,
    /// The cursor of the next page; null after the last.
    pub(super) next: Option<String>,
    /// How far a search for a request or a field looked; null elsewhere.
    pub(super) looked: Option<Looked>,
}

/// How far a search looked that no index helps.
#[derive(Serialize, ToSchema)]
pub(super) struct Looked {
    pub(super) events: u64,
    /// When the last of them was received; null where there were none.
    pub(super) back_to: Option<String>,
}

/// An event without what it holds.
#[derive(Serialize, ToSchema)]
pub(super) struct EventShown {
    pub(super) id: String,
    pub(super) source: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The worst of its deliveries': pending, dead or delivered.
    pub(super) state: &'static str,
    /// RFC 3339, UTC.
    pub(super) received_at: String,
    pub(super) content_type: String,
    /// Length of the body.
    pub(super) bytes: u64,
    /// Which key verified it, or `released:` and who released it.
    pub(super) key: String,
    pub(super) request_id: String,
    pub(super) client_ip: Option<String>,
    pub(super) traceparent: Option<String>,
    /// Names of the kept headers; their values are opened with the body.
    pub(super) header_names: Vec<String>,
    pub(super) deliveries: Vec<DeliveryShown>,
    /// Null unless it was erased: then only source, id, type and time are left.
    pub(super) erased: Option<ErasureShown>,
}

/// One delivery of an event.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryShown {
    pub(super) sink: String,
    pub(super) state: &'static str,
    pub(super) attempts: u32,
    pub(super) replays: u32,
    /// Whether the sink said that it had it already.
    pub(super) duplicate: bool,
    pub(super) next_attempt_at: Option<String>,
    pub(super) last_error: Option<String>,
}

/// What somebody sent, as received.
#[derive(Serialize, ToSchema)]
pub(super) struct Opened {
    pub(super) headers: Vec<HeaderShown>,
    pub(super) bytes: u64,
    /// SHA-256 of the body.
    pub(super) sha256: String,
    /// The body, where it is text.
    pub(super) body: Option<String>,
    /// The body in base64, where it is not.
    pub(super) body_base64: Option<String>,
}

/// A header line.
#[derive(Serialize, ToSchema)]
pub(super) struct HeaderShown {
    pub(super) name: String,
    pub(super) value: String,
}

/// How much was queued again.
#[derive(Serialize, ToSchema)]
pub(super) struct Queued {
    pub(super) deliveries: u64,
    /// Sinks that are not configured any more: nothing was queued for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left: Vec<String>,
    /// What is to be said about the address it was sent to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    /// Where more follow: the cursor of the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// What an erasure took; nothing where it had been erased before.
#[derive(Serialize, ToSchema)]
pub(super) struct ErasedShown {
    pub(super) events: u64,
    /// Deliveries that waited or were dead.
    pub(super) deliveries: u64,
    /// Refused requests of the same id or body.
    pub(super) quarantined: u64,
    /// Records waiting for the SIEM that repeated some of it.
    pub(super) audit: u64,
    /// Whether nothing of it is left in the store's own files.
    pub(super) overwritten: bool,
    /// Where more follow: the cursor of the next call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// Who erased an event, and when.
#[derive(Serialize, ToSchema)]
pub(super) struct ErasureShown {
    pub(super) at: String,
    pub(super) by: String,
}

/// How much went for good.
#[derive(Serialize, ToSchema)]
pub(super) struct Discarded {
    pub(super) discarded: u64,
}

/// Some dead letters, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetters {
    pub(super) dead: Vec<DeadShown>,
    /// The cursor of the next page; null after the last.
    pub(super) next: Option<String>,
}

/// A delivery that ran out of attempts, or waits for a sink that is gone.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadShown {
    pub(super) id: i64,
    pub(super) sink: String,
    pub(super) source: String,
    pub(super) event_id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// `dead`, or `pending` for a sink that nobody delivers to.
    pub(super) state: &'static str,
    pub(super) attempts: u32,
    pub(super) received_at: String,
    pub(super) died_at: Option<String>,
    pub(super) error: String,
}

/// Some refused requests, newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusedRequests {
    pub(super) refused: Vec<RefusedShown>,
    /// The cursor of the next page; null after the last.
    pub(super) next: Option<String>,
}

/// A refused request without its body.
#[derive(Serialize, ToSchema)]
pub(super) struct RefusedShown {
    pub(super) id: i64,
    pub(super) source: String,
    pub(super) reason: String,
    pub(super) received_at: String,
    pub(super) request_id: String,
    pub(super) client_ip: Option<String>,
    /// Method and target.
    pub(super) target: String,
    pub(super) event_id: Option<String>,
    /// The header lines, credentials redacted; empty in listings.
    pub(super) headers: Vec<HeaderShown>,
    /// Length of the body; 0 in listings.
    pub(super) bytes: u64,
}

/// Some near misses.
#[derive(Serialize, ToSchema)]
pub(super) struct NearMissesShown {
    pub(super) near_misses: Vec<NearMissShown>,
}

/// Requests to a path that no source takes, and that is close to one that some source takes.
#[derive(Serialize, ToSchema)]
pub(super) struct NearMissShown {
    pub(super) path: String,
    /// The source that was probably meant.
    pub(super) source: String,
    /// Its path.
    pub(super) expected: String,
    pub(super) count: u64,
    /// When the last one came.
    pub(super) last: String,
    pub(super) client_ip: Option<String>,
}

/// What became of a release.
#[derive(Serialize, ToSchema)]
pub(super) struct ReleaseShown {
    pub(super) source: String,
    pub(super) event_id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Whether it had been accepted before, so that nothing was added.
    pub(super) duplicate: bool,
    /// Who answers for it.
    pub(super) operator: String,
    /// Why it goes by another id than one might think.
    pub(super) note: Option<String>,
}

impl NearMissShown {
    pub(super) fn of(miss: &NearMiss) -> Self {
        Self {
            path: miss.path.clone(),
            source: miss.source.to_string(),
            expected: miss.expected.clone(),
            count: miss.count,
            last: miss.last.to_string(),
            client_ip: miss.client_ip.map(|ip| ip.to_string()),
        }
    }
}

impl ReleaseShown {
    pub(super) fn of(released: &ReleaseOutcome) -> Self {
        Self {
            source: released.source.to_string(),
            event_id: released.event_id.to_string(),
            kind: released.kind.clone(),
            duplicate: !released.added,
            operator: released.operator.clone(),
            note: released.note.clone(),
        }
    }
}

impl Queued {
    pub(super) fn of(deliveries: u64, left: &[Name]) -> Self {
        Self { deliveries, left: left.iter().map(ToString::to_string).collect(), warnings: Vec::new(), next: None }
    }
}

impl EventShown {
    pub(super) fn of(archived: &Archived) -> Self {
        let event = &archived.event;
        Self {
            id: event.id.to_string(),
            source: event.source.to_string(),
            kind: event.kind.clone(),
            state: archived.state.word(),
            received_at: event.received_at.to_string(),
            content_type: event.content_type.clone(),
            bytes: archived.bytes,
            key: event.key.clone(),
            request_id: event.request_id.clone(),
            client_ip: event.client_ip.map(|ip| ip.to_string()),
            traceparent: event.traceparent.clone(),
            header_names: event.headers.iter().map(|(name, _)| name.to_owned()).collect(),
            deliveries: archived.deliveries.iter().map(DeliveryShown::of).collect(),
            erased: archived.erased.as_ref().map(ErasureShown::of),
        }
    }
}

impl ErasureShown {
    fn of(erasure: &Erasure) -> Self {
        Self { at: erasure.at.to_string(), by: erasure.by.clone() }
    }
}

impl ErasedShown {
    pub(super) const fn of(erased: &Erased) -> Self {
        let Erased { events, deliveries, quarantined, audit, overwritten } = *erased;
        Self { events, deliveries, quarantined, audit, overwritten, next: None }
    }
}

impl DeliveryShown {
    fn of(delivery: &DeliveryStatus) -> Self {
        Self {
            sink: delivery.sink.to_string(),
            state: delivery.state.word(),
            attempts: delivery.attempts,
            replays: delivery.replays,
            duplicate: delivery.duplicate,
            next_attempt_at: delivery.next_attempt_at.map(|at| at.to_string()),
            last_error: delivery.last_error.clone(),
        }
    }
}

impl Opened {
    pub(super) fn of(headers: Vec<HeaderShown>, body: &[u8]) -> Self {
        let text = str::from_utf8(body).ok().map(str::to_owned);
        Self {
            headers,
            bytes: body.len() as u64,
            sha256: Digest::of(body).to_string(),
            body_base64: text.is_none().then(|| BASE64.encode(body)),
            body: text,
        }
    }
}

/// The header lines of an event.
pub(super) fn kept(headers: &KeptHeaders) -> Vec<HeaderShown> {
    let line =
        |(name, value): (&str, &[u8])| HeaderShown { name: name.to_owned(), value: header_text(value).into_owned() };
    headers.iter().map(line).collect()
}

impl DeadShown {
    pub(super) fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.0,
            sink: letter.sink.to_string(),
            source: letter.event.source.to_string(),
            event_id: letter.event.id.to_string(),
            kind: letter.event.kind.clone(),
            state: letter.state.word(),
            attempts: letter.attempts,
            received_at: letter.event.received_at.to_string(),
            died_at: (letter.state == State::Dead).then(|| letter.died_at.to_string()),
            error: letter.error.clone(),
        }
    }
}

impl RefusedShown {
    pub(super) fn of(entry: &Quarantined) -> Self {
        let lines = header_lines(&entry.headers).into_iter().filter(|(name, _)| name != CLIENT_CERTIFICATE);
        Self {
            id: entry.id,
            source: entry.source.to_string(),
            reason: entry.reason.clone(),
            received_at: entry.received_at.to_string(),
            request_id: entry.request_id.clone(),
            client_ip: entry.client_ip.map(|ip| ip.to_string()),
            target: entry.target.clone(),
            event_id: entry.event_id.as_ref().map(ToString::to_string),
            headers: lines.map(|(name, value)| HeaderShown { name, value }).collect(),
            bytes: entry.body.len() as u64,
        }
    }
}
