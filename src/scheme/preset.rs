//! The presets: what each vendor's documentation says, as rows of a table. Adding a vendor that signs with HMAC is
//! adding a row, and the answer that is known of it as a test.

use std::fmt;

use super::settings::Row;
use super::{certificate, hmac, sigv4, token};
use crate::settings::{SecretVariables, Variables};

/// A source's settings before the operator's are laid over them. `None` means the operator must or may give it.
pub struct Preset {
    /// Its name in `preset = "…"`; also the default event type.
    pub name: &'static str,
    /// Default path.
    pub path: Option<&'static str>,
    /// What verifies it, with the vendor's variables.
    pub(crate) scheme: &'static dyn Row,
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
    /// What an event of the vendor looks like.
    pub(crate) sample: Sample,
    /// What the commented example of the configuration says of such a source, each key as TOML; most are not in it.
    pub(crate) example: &'static [(&'static str, &'static str)],
}

/// What an event looks like. `{id}` and `{at}` stand for its id and its time.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// In JSON.
    pub(crate) json: &'static str,
    /// In XML.
    pub(crate) xml: &'static str,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a body must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    scheme: &hmac::Vendor::BLANK,
    event_id: None,
    event_type: None,
    required_fields: &[],
    content_types: JSON,
    body_format: BodyFormat::Json,
    stale_status: 401,
    answer: Answer::Accepted,
    sample: SAMPLE,
    example: &[],
};

/// A token alone, wherever it stands.
const TOKEN: Preset = Preset {
    name: "token",
    scheme: &token::Vendor::BEARER,
    event_id: Some("digest"),
    event_type: Some("token"),
    ..BLANK
};

/// What says so of JSON, too: the default of CXone's REST action and what grew from it.
const FORM_OR_JSON: &[&str] = &["application/json", "application/x-www-form-urlencoded"];

/// A variable that holds several tokens.
const fn list(name: &'static str) -> Variables {
    Variables { list: Some(name), single: None }
}

const SAMPLE: Sample = Sample {
    json: r#"{ "id": "{id}", "type": "sample.event", "timestamp": "{at}" }"#,
    xml: concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        "\n",
        r#"<event id="{id}" datetime="{at}" type="sample.event"/>"#,
        "\n"
    ),
};

const COGNIGY: SecretVariables = SecretVariables { list: "COGNIGY_WEBHOOK_SECRETS", single: "COGNIGY_WEBHOOK_SECRET" };

/// Every preset.
pub static PRESETS: [Preset; 14] = [
    Preset {
        name: "cxone",
        path: Some("/webhooks/cxone"),
        scheme: &sigv4::Vendor {
            service: "execute-api",
            variables: Some(sigv4::Variables {
                access_key: "CXONE_AWS_ACCESS_KEY",
                secret_key: "CXONE_AWS_SECRET_KEY",
                region: "CXONE_AWS_REGION",
                service: "CXONE_AWS_SERVICE",
            }),
        },
        event_id: Some("/eventId"),
        event_type: Some("/eventType"),
        example: &[
            ("name", r#""cxone-emea""#),
            ("path", r#""/webhooks/cxone/emea""#),
            ("allowed_ips", r#"["198.51.100.0/24"]"#),
            ("region", r#""eu-west-1""#),
            ("keys", r#"[{ access_key_id = "AKIAIOSFODNN7EXAMPLE", secret = { file = "/run/secrets/cxone" } }]"#),
        ],
        sample: Sample {
            json: r#"{
                "eventId": "{id}",
                "eventType": "contact.ended",
                "eventTime": "{at}",
                "tenantId": "11eb0a53-8d4c-4f6e-a0c1-0242ac110002",
                "contact": {
                    "contactId": "398276410",
                    "mediaType": "voice",
                    "direction": "inbound",
                    "skill": { "skillId": "4200", "name": "Billing" },
                    "agentId": "7301",
                    "durationSeconds": 184
                }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "cognigy",
        path: Some("/webhook/cognigy"),
        scheme: &hmac::Vendor {
            signature_header: Some("X-Cognigy-Signature"),
            signature_format: Some("{hex}"),
            timestamp_header: Some("X-Cognigy-Timestamp"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{body}"),
            variables: Some(COGNIGY),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/intent"),
        stale_status: 410,
        answer: Answer::Validated,
        example: &[
            ("name", r#""bot-a""#),
            ("path", r#""/webhook/cognigy/bot-a""#),
            ("allowed_ips", r#"["203.0.113.7", "2001:db8::/32"]"#),
            ("body_bytes", "5242880"),
            ("max_drift", r#""300s""#),
            ("sinks", r#"["orders"]"#),
            ("secrets", r#"[{ file = "/run/secrets/bot-a-new" }, { env = "BOT_A_OLD" }]"#),
        ],
        sample: Sample {
            json: r#"{
                "botId": "64f1c0de9b1e8a0012ab34cd",
                "intent": "order.status",
                "sessionId": "{id}",
                "userId": "customer-4711",
                "text": "Where is my order?",
                "language": "en-GB",
                "timestamp": "{at}",
                "data": { "orderNumber": "A-10023", "intentScore": 0.93 }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "cognigy-callback",
        path: Some("/webhook/cognigy/callback"),
        scheme: &hmac::Vendor {
            signature_header: Some("X-Cognigy-Signature"),
            signature_format: Some("{hex}"),
            signed_content: Some("{body}"),
            variables: Some(COGNIGY),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("cognigy-callback"),
        required_fields: &["/sessionId", "/userId"],
        answer: Answer::Processed,
        sample: Sample {
            json: r#"{
                "sessionId": "{id}",
                "userId": "customer-4711",
                "status": "completed",
                "result": { "transferred": false }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "nice",
        path: Some("/webhooks/nice"),
        scheme: &hmac::Vendor {
            signature_header: Some("X-NICE-Signature"),
            signature_format: Some("v1={hex},t={timestamp}"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{body}"),
            variables: Some(SecretVariables { list: "NICE_WEBHOOK_SECRETS", single: "NICE_WEBHOOK_SECRET" }),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("/eventId"),
        event_type: Some("/eventType"),
        sample: Sample {
            json: r#"{
                "eventId": "{id}",
                "eventType": "interaction.completed",
                "timestamp": "{at}",
                "interaction": { "channel": "chat", "queue": "support", "agent": "j.doe", "csat": 5 }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "cxone-expert",
        path: Some("/webhooks/cxone-expert"),
        scheme: &hmac::Vendor {
            signature_header: Some("X-Nexus-Signature-256"),
            signature_format: Some("sha256={hex}"),
            timestamp_header: Some("X-Nexus-Timestamp"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{timestamp}.{body}"),
            variables: Some(SecretVariables {
                list: "CXONE_EXPERT_WEBHOOK_SECRETS",
                single: "CXONE_EXPERT_WEBHOOK_SECRET",
            }),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("cxone-expert"),
        content_types: &["text/xml", "application/xml", "application/json"],
        body_format: BodyFormat::Any,
        sample: Sample {
            json: r#"{ "event": { "id": "{id}", "type": "page:update", "datetime": "{at}", "page": { "id": 1042 } } }"#,
            xml: concat!(
                r#"<?xml version="1.0" encoding="UTF-8"?>"#,
                "\n",
                r#"<event id="{id}" datetime="{at}" type="page:update" wikiid="site_1" version="2">"#,
                "\n",
                r#"  <page id="1042" path="Billing/Refunds"><uri>https://docs.example.com/Billing/Refunds</uri></page>"#,
                "\n",
                r#"  <user id="7" anonymous="false"/>"#,
                "\n</event>\n"
            ),
        },
        ..BLANK
    },
    Preset {
        name: "standard-webhooks",
        path: Some("/webhooks/standard"),
        scheme: &hmac::Vendor::STANDARD_WEBHOOKS,
        event_id: Some("header:webhook-id"),
        event_type: Some("standard-webhooks"),
        sample: Sample {
            json: r#"{
                "type": "order.created",
                "timestamp": "{at}",
                "data": { "id": "{id}", "total": "42.00", "currency": "EUR" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset { name: "client-certificate", scheme: &certificate::Vendor, event_id: Some("digest"), ..BLANK },
    Preset {
        name: "cxone-studio",
        path: Some("/webhooks/cxone-studio"),
        scheme: &token::Vendor { variables: Some(list("CXONE_STUDIO_TOKENS")), ..token::Vendor::BEARER },
        event_type: Some("cxone-studio"),
        content_types: FORM_OR_JSON,
        sample: Sample {
            json: r#"{ "contactId": "398276410", "requestId": "{id}", "action": "case.create", "time": "{at}" }"#,
            ..SAMPLE
        },
        ..TOKEN
    },
    Preset {
        name: "cxone-integration-hub",
        path: Some("/webhooks/cxone-integration-hub"),
        event_type: Some("cxone-integration-hub"),
        content_types: FORM_OR_JSON,
        sample: Sample {
            json: r#"{ "connector": "crm-update", "executionId": "{id}", "time": "{at}", "contact": { "id": "398276410" } }"#,
            ..SAMPLE
        },
        ..TOKEN
    },
    Preset {
        name: "cognigy-webhook",
        path: Some("/webhooks/cognigy-webhook"),
        scheme: &token::Vendor {
            format: "Basic {basic}",
            variables: Some(Variables { list: None, single: Some("COGNIGY_WEBHOOK_BASIC") }),
            ..token::Vendor::BEARER
        },
        event_type: Some("cognigy-webhook"),
        sample: Sample {
            json: r#"{
                "userId": "customer-4711", "sessionId": "{id}", "text": "Your order is on its way.",
                "data": { "sentAt": "{at}" }
            }"#,
            ..SAMPLE
        },
        ..TOKEN
    },
    Preset {
        name: "cognigy-logs",
        path: Some("/webhooks/cognigy-logs"),
        event_type: Some("cognigy-logs"),
        sample: Sample {
            json: r#"{ "traceId": "{id}", "timestamp": "{at}", "level": "info", "msg": "Request to the language model" }"#,
            ..SAMPLE
        },
        ..TOKEN
    },
    Preset {
        name: "eventbridge",
        path: Some("/webhooks/eventbridge"),
        scheme: &token::Vendor {
            header: "x-api-key",
            format: "{token}",
            variables: Some(list("EVENTBRIDGE_API_KEYS")),
        },
        event_id: Some("/id"),
        event_type: Some("/detail-type"),
        sample: Sample {
            json: r#"{
                "version": "0", "id": "{id}", "detail-type": "Contact Ended", "source": "cxone.contacts",
                "account": "123456789012", "time": "{at}", "region": "eu-west-1", "resources": [],
                "detail": { "contactId": "398276410" }
            }"#,
            ..SAMPLE
        },
        ..TOKEN
    },
    TOKEN,
    Preset {
        example: &[
            ("name", r#""other-vendor""#),
            ("path", r#""/webhooks/other""#),
            ("allowed_ips", r#""any""#),
            ("event_id", r#""/id""#),
            ("event_type", r#""/type""#),
            ("required_fields", r#"["/id"]"#),
            ("signature_header", r#""X-Signature""#),
            ("signature_format", r#""sha256={hex}""#),
            ("timestamp_header", r#""X-Timestamp""#),
            ("timestamp_unit", r#""s""#),
            ("signed_content", r#""{timestamp}.{body}""#),
            ("secrets", r#"[{ env = "OTHER_SECRET" }]"#),
        ],
        ..BLANK
    },
];

/// The preset called `name`.
#[must_use]
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests;
