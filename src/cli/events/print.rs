//! How events are printed: in a listing, as JSON, and one with all there is.

use serde_json::{Value, json};

use crate::event::header_text;
use crate::operations::{Erased, Resent};
use crate::store::{Archived, Erasure, EventRef};

use super::super::listing::Row;
use super::super::table;

impl Row<6> for Archived {
    const HEADINGS: [&'static str; 6] = ["ID", "SOURCE", "TYPE", "STATE", "RECEIVED", "BYTES"];
    const IDS: &'static [usize] = &[0];

    fn cells(&self) -> [String; 6] {
        let event = &self.event;
        [
            event.id.to_string(),
            event.source.to_string(),
            event.kind.clone(),
            state_of(self).to_owned(),
            format!("{:.0}", event.received_at),
            self.bytes.to_string(),
        ]
    }

    fn summary(&self) -> Value {
        let event = &self.event;
        json!({
            "id": event.id.as_str(),
            "source": event.source,
            "type": event.kind,
            "state": self.state,
            "received_at": event.received_at,
            "content_type": event.content_type,
            "bytes": self.bytes,
            "key": event.key,
            "request_id": event.request_id,
            "client_ip": event.client_ip,
            "headers": event.headers,
            "deliveries": self.deliveries,
            "erased": self.erased,
        })
    }
}

/// The state, or that nothing is left.
const fn state_of(archived: &Archived) -> &'static str {
    if archived.erased.is_some() { "erased" } else { archived.state.word() }
}

/// An event with all there is, as JSON; a body that is not text in base64.
pub(super) fn detail(archived: &Archived) -> Value {
    let mut value = archived.summary();
    if archived.erased.is_some() {
        return value;
    }
    let payload = &archived.event.payload;
    table::put(&mut value, "sha256", payload.digest().to_string());
    table::put(&mut value, "traceparent", archived.event.traceparent.clone());
    table::put_body(&mut value, payload.bytes());
    value
}

pub(super) fn shown(archived: &Archived) -> String {
    let event = &archived.event;
    if let Some(Erasure { at, by }) = &archived.erased {
        let fields = [
            ("id", event.id.to_string()),
            ("source", event.source.to_string()),
            ("type", event.kind.clone()),
            ("received at", event.received_at.to_string()),
            ("erased at", at.to_string()),
            ("erased by", by.clone()),
        ];
        return format!("{}\n\n(erased: only the id is left, and counts as before)", table::fields(&fields));
    }
    let mut fields = vec![
        ("id", event.id.to_string()),
        ("source", event.source.to_string()),
        ("type", event.kind.clone()),
        ("state", archived.state.word().to_owned()),
        ("received at", event.received_at.to_string()),
        ("content type", event.content_type.clone()),
        ("bytes", archived.bytes.to_string()),
        ("sha256", event.payload.digest().to_string()),
        ("verified by key", event.key.clone()),
        ("request id", event.request_id.clone()),
        ("client", event.client_ip.map_or_else(String::new, |ip| ip.to_string())),
        ("traceparent", event.traceparent.clone().unwrap_or_default()),
    ];
    let headers = event.headers.iter().map(|(name, value)| ("header", format!("{name}: {}", header_text(value))));
    fields.extend(headers);
    let mut text = table::fields(&fields);
    if !archived.deliveries.is_empty() {
        let rows = archived.deliveries.iter().map(|delivery| {
            [
                delivery.sink.to_string(),
                format!("{}{}", delivery.state.word(), if delivery.duplicate { " (duplicate)" } else { "" }),
                delivery.attempts.to_string(),
                delivery.replays.to_string(),
                delivery.next_attempt_at.map_or_else(String::new, |at| format!("{at:.0}")),
                delivery.last_error.clone().unwrap_or_default(),
            ]
        });
        text.push_str("\n\n");
        text.push_str(&table::table(
            ["SINK", "STATE", "ATTEMPTS", "REPLAYS", "NEXT", "LAST ERROR"],
            &rows.collect::<Vec<_>>(),
        ));
    }
    text.push_str("\n\n");
    text.push_str(&table::body(event.payload.bytes()));
    text
}

/// What became of one event that was sent to an address, on one line.
pub(super) fn resent(resent: &Resent) -> String {
    let line = match &resent.outcome {
        Ok(()) => format!("{} delivered", name(&resent.event)),
        Err(error) => format!("{} failed: {error}", name(&resent.event)),
    };
    table::visible(&line, false)
}

/// It as JSON.
pub(super) fn resent_value(resent: &Resent) -> Value {
    let EventRef { source, id } = &resent.event;
    let status = if resent.outcome.is_ok() { "delivered" } else { "failed" };
    json!({ "source": source, "event_id": id.as_str(), "status": status, "error": resent.outcome.as_ref().err() })
}

fn name(event: &EventRef) -> String {
    event.source.as_ref().map_or_else(|| event.id.to_string(), |source| format!("{source}:{}", event.id))
}

/// What was erased, in words.
pub(super) fn erased(erased: &Erased) -> String {
    let Erased { events, deliveries, quarantined, audit, .. } = erased;
    table::fields(&[
        ("events erased", events.to_string()),
        ("deliveries given up", deliveries.to_string()),
        ("refused requests removed", quarantined.to_string()),
        ("audit records blanked", audit.to_string()),
    ])
}

/// It as JSON.
pub(super) fn erased_value(erased: &Erased) -> Value {
    let Erased { events, deliveries, quarantined, audit, overwritten } = erased;
    json!([{
        "erased": events,
        "deliveries": deliveries,
        "quarantined": quarantined,
        "audit": audit,
        "overwritten": overwritten,
    }])
}
