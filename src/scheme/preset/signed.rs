//! What NICE and Cognigy sign, and the specification that others sign by.

use super::row::SecretOrigin::{Ours, Vendors};
use super::row::{Answer, BLANK, BodyFormat, Preset, SAMPLE, SETUP, Sample, Setup};
use crate::scheme::{hmac, sigv4};
use crate::settings::SecretVariables;

const COGNIGY: SecretVariables = SecretVariables { list: "COGNIGY_WEBHOOK_SECRETS", single: "COGNIGY_WEBHOOK_SECRET" };

/// Every one.
pub(super) static ROWS: [Preset; 7] = [
    Preset {
        name: "cxone",
        setup: Setup {
            product: "NICE CXone webhooks with AWS keys",
            place: "the webhook's settings",
            secret: Ours,
            keys: &[("region", r#""eu-west-1""#)],
        },
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
        setup: Setup {
            product: "Cognigy flows that sign",
            place: "the Extension or HTTP Request node of the flow",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "Cognigy flows that sign, at the end of a session",
            place: "the Extension or HTTP Request node of the flow",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "NICE webhooks with X-NICE-Signature",
            place: "the webhook's settings",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup { product: "CXone Expert", place: "the webhook's settings", secret: Ours, ..SETUP },
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
        event_type: Some("header:X-Nexus-Event-Type"),
        keep_headers: &["X-Nexus-Event-Type", "X-Nexus-Delivery-Id"],
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
        name: "cognigy-voice",
        setup: Setup {
            product: "Cognigy Voice Gateway",
            place: "Applications, your application, call status webhook",
            secret: Vendors("the account's webhook secret in the self-service portal"),
            ..SETUP
        },
        path: Some("/webhooks/cognigy-voice"),
        // The Voice Gateway is jambonz: https://docs.jambonz.org/webhooks/overview. Two presses of one button are two
        // equal bodies, told apart by the time that is signed.
        scheme: &hmac::Vendor {
            signature_header: Some("Jambonz-Signature"),
            signature_format: Some("t={timestamp},v1={hex}"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{timestamp}.{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("signed"),
        event_type: Some("cognigy-voice"),
        sample: Sample {
            json: r#"{
                "call_sid": "{id}", "account_sid": "9351f46a-678c-43f5-b8a6-d4eb58d131af", "direction": "inbound",
                "from": "+4915112345678", "to": "+4930123456", "call_status": "in-progress", "digits": "1"
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "standard-webhooks",
        setup: Setup {
            product: "A sender that follows Standard Webhooks",
            place: "the sender's webhook settings",
            secret: Vendors("beside the URL there: all of whsec_…"),
            ..SETUP
        },
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
];
