//! How refused requests are printed: in a listing, as JSON, and one with all there is.

use serde_json::{Value, json};

use crate::explain::header_lines;
use crate::store::Quarantined;

use super::super::listing::Row;
use super::super::table;

impl Row<7> for Quarantined {
    const HEADINGS: [&'static str; 7] = ["ID", "SOURCE", "REASON", "RECEIVED", "CLIENT", "REQUEST", "EVENT"];
    const IDS: &'static [usize] = &[5, 6];

    fn cells(&self) -> [String; 7] {
        [
            self.id.to_string(),
            self.source.to_string(),
            self.reason.clone(),
            format!("{:.0}", self.received_at),
            self.client_ip.map_or_else(String::new, |ip| ip.to_string()),
            self.request_id.clone(),
            self.event_id.as_ref().map_or_else(String::new, ToString::to_string),
        ]
    }

    fn summary(&self) -> Value {
        json!({
            "id": self.id,
            "source": self.source,
            "reason": self.reason,
            "received_at": self.received_at,
            "request_id": self.request_id,
            "client_ip": self.client_ip,
            "target": self.target,
            "event_id": self.event_id.as_ref().map(ToString::to_string),
        })
    }
}

/// A refused request with all there is, as JSON; a body that is not text in base64.
pub(super) fn detail(entry: &Quarantined) -> Value {
    let mut value = entry.summary();
    table::put(&mut value, "headers", serde_json::from_str::<Value>(&entry.headers).unwrap_or_default());
    table::put(&mut value, "bytes", entry.body.len());
    table::put_body(&mut value, &entry.body);
    value
}

pub(super) fn shown(entry: &Quarantined) -> String {
    let fields = table::fields(&[
        ("id", entry.id.to_string()),
        ("source", entry.source.to_string()),
        ("reason", entry.reason.clone()),
        ("received at", entry.received_at.to_string()),
        ("request id", entry.request_id.clone()),
        ("client", entry.client_ip.map_or_else(String::new, |ip| ip.to_string())),
        ("event id", entry.event_id.as_ref().map_or_else(String::new, ToString::to_string)),
        ("bytes", entry.body.len().to_string()),
    ]);
    let mut head = vec![table::visible(&entry.target, false)];
    for (name, value) in header_lines(&entry.headers) {
        head.push(table::visible(&format!("{name}: {value}"), false));
    }
    format!("{fields}\n\n{}\n\n{}", head.join("\n"), table::body(&entry.body))
}
