//! Release: a refused request as the event it would have been, on an operator's word instead of a signature.
//!
//! For the command line. Decides what is to be stored and stores nothing itself.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use jiff::Timestamp;

use crate::event::{Event, EventId, EventKey, Name, Payload};
use crate::request_outcome::Reason;
use crate::sink;
use crate::store::Quarantined;

use super::extract::Extractor;
use super::keep::keep;
use super::log_text::escape_for_log;
use super::receive::{is_traceparent, text_of};
use super::reject::Reject;
use super::settings::SourceSettings;
use super::twins::Twins;

/// What a refused request becomes.
pub struct Released {
    /// The event; its key says who released it, its time is that of the release.
    pub event: Event,
    /// Keys under which its body may have been accepted from another source already.
    pub twins: Vec<EventKey>,
    /// The sinks it goes to.
    pub sinks: Arc<[Name]>,
    /// Why its body was not understood, where that is so: id and type are then the digest and the preset's name.
    pub not_understood: Option<Reason>,
}

/// Makes an event of `entry` by the rules of `source`, to which it was sent; `sinks` are all there are.
///
/// Its id is the one that the body or the head names. An entry that conflicted over that id gets the digest of its
/// body instead, for the id belongs to the first body; so does one whose body is not understood.
#[must_use]
pub fn release(
    entry: &Quarantined,
    source: &SourceSettings,
    sinks: &[sink::Settings],
    operator: &str,
    now: Timestamp,
) -> Released {
    let payload = Payload::from(entry.body.clone());
    let head = head(entry);
    let picked = Extractor::new(source).extract(&head, &payload);
    let not_understood = picked.as_ref().err().map(Reject::reason);
    let twins = Twins::of(source).keys(&head, &payload, picked.as_ref().ok().map(|fields| &fields.id));
    let (id, kind) = match picked {
        Ok(fields) => (fields.id, fields.kind),
        Err(_) => (EventId::of_digest(&payload.digest()), source.preset.name.to_owned()),
    };
    let id = if entry.reason == Reason::IdConflict.as_str() { EventId::of_digest(&payload.digest()) } else { id };
    let takes = |sink: &&sink::Settings| source.sinks.contains(&sink.name) && sink.takes(&kind);
    let sinks = sinks.iter().filter(takes).map(|sink| sink.name.clone()).collect();
    let event = Event {
        source: source.name.clone(),
        id,
        kind,
        received_at: now,
        content_type: text_of(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default(),
        payload,
        key: format!("released:{}", escape_for_log(operator)),
        request_id: entry.request_id.clone(),
        client_ip: entry.client_ip,
        traceparent: text_of(&head.headers, "traceparent").filter(|value| is_traceparent(value)),
        headers: keep(&source.keep_headers, &head.headers).0,
    };
    Released { event, twins, sinks, not_understood }
}

/// The head as it was kept, with the target, which may be signed.
fn head(entry: &Quarantined) -> Parts {
    let pairs: Vec<(String, String)> = serde_json::from_str(&entry.headers).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    let (mut head, ()) = http::Request::new(()).into_parts();
    let target = entry.target.split_once(' ').map_or("", |(_, target)| target);
    head.uri = target.parse().unwrap_or_default();
    head.headers = headers;
    head
}
