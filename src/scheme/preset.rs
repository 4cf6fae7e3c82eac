//! The presets: what each vendor's documentation says, as rows of a table.

/// A source's settings before the operator's are laid over them. `None` means the operator must or may give it.
#[derive(Debug)]
pub struct Preset {
    /// Its name in `preset = "…"`; also the default event type.
    pub name: &'static str,
    /// Default path.
    pub path: Option<&'static str>,
    /// Which family verifies it.
    pub family: Family,
    /// AWS service of the scope.
    pub service: Option<&'static str>,
    /// Header with the signature.
    pub signature_header: Option<&'static str>,
    /// How the signature stands in that header.
    pub signature_format: Option<&'static str>,
    /// Header with the timestamp.
    pub timestamp_header: Option<&'static str>,
    /// `s`, `ms` or `rfc3339`.
    pub timestamp_unit: Option<&'static str>,
    /// What the MAC covers.
    pub signed_content: Option<&'static str>,
    /// Header with the id, where the MAC covers it.
    pub id_header: Option<&'static str>,
    /// Where the event id comes from: a JSON pointer, `header:NAME` or `digest`.
    pub event_id: Option<&'static str>,
    /// Where the event type comes from: a JSON pointer, `header:NAME` or a literal.
    pub event_type: Option<&'static str>,
    /// JSON pointers that must hold something.
    pub required_fields: &'static [&'static str],
    /// Media types taken, without parameters.
    pub content_types: &'static [&'static str],
    /// Whether the body must be a JSON object.
    pub body_format: BodyFormat,
    /// Status of a stale request: 401 or 410.
    pub stale_status: u16,
    /// What an accepted event is answered with.
    pub answer: Answer,
}

/// Which family of schemes verifies a preset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// HMAC over a template of body, timestamp and id.
    Hmac,
    /// AWS Signature Version 4, header form.
    SigV4,
}

/// What a body must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyFormat {
    /// One JSON object.
    Json,
    /// Anything; JSON pointers then find nothing unless it happens to be JSON.
    Any,
}

/// The word an accepted event is answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// `accepted`
    Accepted,
    /// `validated`
    Validated,
    /// `processed`, with the body's `sessionId` and the time.
    Processed,
}

const JSON: &[&str] = &["application/json"];

/// What the rows share; every row spells out only where it differs.
const BLANK: Preset = Preset {
    name: "hmac",
    path: None,
    family: Family::Hmac,
    service: None,
    signature_header: None,
    signature_format: None,
    timestamp_header: None,
    timestamp_unit: None,
    signed_content: None,
    id_header: None,
    event_id: None,
    event_type: None,
    required_fields: &[],
    content_types: JSON,
    body_format: BodyFormat::Json,
    stale_status: 401,
    answer: Answer::Accepted,
};

/// Every preset.
pub static PRESETS: [Preset; 7] = [
    Preset {
        name: "cxone",
        path: Some("/webhooks/cxone"),
        family: Family::SigV4,
        service: Some("execute-api"),
        event_id: Some("/eventId"),
        event_type: Some("/eventType"),
        ..BLANK
    },
    Preset {
        name: "cognigy",
        path: Some("/webhook/cognigy"),
        signature_header: Some("X-Cognigy-Signature"),
        signature_format: Some("{hex}"),
        timestamp_header: Some("X-Cognigy-Timestamp"),
        timestamp_unit: Some("s"),
        signed_content: Some("{body}"),
        event_id: Some("digest"),
        event_type: Some("/intent"),
        stale_status: 410,
        answer: Answer::Validated,
        ..BLANK
    },
    Preset {
        name: "cognigy-callback",
        path: Some("/webhook/cognigy/callback"),
        signature_header: Some("X-Cognigy-Signature"),
        signature_format: Some("{hex}"),
        signed_content: Some("{body}"),
        event_id: Some("digest"),
        event_type: Some("cognigy-callback"),
        required_fields: &["/sessionId", "/userId"],
        answer: Answer::Processed,
        ..BLANK
    },
    Preset {
        name: "nice",
        path: Some("/webhooks/nice"),
        signature_header: Some("X-NICE-Signature"),
        signature_format: Some("v1={hex},t={timestamp}"),
        timestamp_unit: Some("s"),
        signed_content: Some("{body}"),
        event_id: Some("/eventId"),
        event_type: Some("/eventType"),
        ..BLANK
    },
    Preset {
        name: "cxone-expert",
        path: Some("/webhooks/cxone-expert"),
        signature_header: Some("X-Nexus-Signature-256"),
        signature_format: Some("sha256={hex}"),
        timestamp_header: Some("X-Nexus-Timestamp"),
        timestamp_unit: Some("s"),
        signed_content: Some("{timestamp}.{body}"),
        event_id: Some("digest"),
        event_type: Some("cxone-expert"),
        content_types: &["text/xml", "application/xml", "application/json"],
        body_format: BodyFormat::Any,
        ..BLANK
    },
    Preset {
        name: "standard-webhooks",
        path: Some("/webhooks/standard"),
        signature_header: Some("webhook-signature"),
        signature_format: Some("v1,{base64}"),
        timestamp_header: Some("webhook-timestamp"),
        timestamp_unit: Some("s"),
        signed_content: Some("{id}.{timestamp}.{body}"),
        id_header: Some("webhook-id"),
        event_id: Some("header:webhook-id"),
        event_type: Some("standard-webhooks"),
        ..BLANK
    },
    BLANK,
];

/// The preset called `name`.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|row| row.name == name)
}
