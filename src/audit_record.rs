//! The audit record of one validation, as it goes to the log and to the SIEM; never a body, secret or signature.

use std::net::IpAddr;

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

/// What an operator did: all fields of [`AuditRecord`], null where they mean nothing, and who did what to what.
#[derive(Clone, Debug, Serialize)]
pub struct OperatorRecord {
    /// Always `operator_action`.
    pub event: &'static str,
    /// When it was done, RFC 3339 in UTC.
    pub timestamp: Timestamp,
    /// The source of what it was done to, where that has one.
    pub source: Option<Name>,
    bot_id: Option<()>,
    intent: Option<()>,
    validated: Option<()>,
    /// Why, where the operator said so.
    pub reason: Option<String>,
    latency_us: Option<()>,
    rejections: Option<()>,
    /// What was done, such as `sink_pause`.
    pub action: &'static str,
    /// Who did it.
    pub operator: String,
    /// What it was done to.
    pub subject: String,
    /// From where it was asked for, where that was by the admin listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ip: Option<IpAddr>,
}

impl OperatorRecord {
    /// `operator` did `action` to `subject` at `timestamp`.
    #[must_use]
    pub fn new(timestamp: Timestamp, action: &'static str, operator: &str, subject: String) -> Self {
        Self {
            event: "operator_action",
            timestamp,
            source: None,
            bot_id: None,
            intent: None,
            validated: None,
            reason: None,
            latency_us: None,
            rejections: None,
            action,
            operator: operator.to_owned(),
            subject,
            client_ip: None,
        }
    }
}
