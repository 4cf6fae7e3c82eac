//! The audit record of one validation, as it goes to the log and to the SIEM; never a body, secret or signature.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::Name;

/// What one validation of a source came to. Serialises to the record of the audit log, all fields always present.
#[derive(Clone, Debug, Serialize)]
pub struct AuditRecord {
    /// Always `webhook_validation`.
    pub event: &'static str,
    /// When it was decided, RFC 3339 in UTC.
    pub timestamp: Timestamp,
    /// The source asked for.
    pub source: Name,
    /// `/botId` of a verified JSON body, escaped and cut at 256 bytes.
    pub bot_id: Option<String>,
    /// `/intent` of a verified JSON body, escaped and cut at 256 bytes.
    pub intent: Option<String>,
    /// Whether the request proved who sent it.
    pub validated: bool,
    /// Why not, from the fixed list of refusals; `None` when validated.
    pub reason: Option<&'static str>,
    /// From first header byte parsed to answer decided, in microseconds.
    pub latency_us: u64,
    /// How many validations of this source failed since the process started.
    pub rejections: u64,
}
