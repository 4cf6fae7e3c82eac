//! The audit record of one validation, as it goes to the log and to the SIEM; never a body, secret or signature.

use jiff::Timestamp;
use serde::Serialize;

use crate::event::Name;

/// What one validation of a source came to. Serialises to the record of the audit log, all fields always present.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
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

/// How a request ended, as the access record and `gatepost_requests_total` say it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Verified, new, durable.
    Accepted,
    /// Verified, seen before, same body.
    Duplicate,
    /// Verified, but its id is taken by another body; kept aside.
    Quarantined,
    /// Not believed or not understood; the sender's matter.
    Refused,
    /// Turned away for load.
    Shed,
    /// Could not be finished: store down, or the sender went away.
    Failed,
}

impl Outcome {
    /// All of them, in label order.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Duplicate, Self::Quarantined, Self::Refused, Self::Shed, Self::Failed];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Shed => "shed",
            Self::Failed => "failed",
        }
    }
}
