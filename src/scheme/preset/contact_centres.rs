//! What other contact centres sign, as each documents it.

use super::row::SecretOrigin::{Ours, Vendors};
use super::row::{BLANK, Preset, SAMPLE, SETUP, Sample, Setup};
use crate::scheme::hmac;

/// Every one.
pub(super) static ROWS: [Preset; 5] = [
    Preset {
        name: "chatwoot",
        setup: Setup {
            product: "Chatwoot",
            place: "Settings, Integrations, Webhooks, Add new webhook",
            secret: Vendors("shown by the webhook once it is made"),
            ..SETUP
        },
        path: Some("/webhooks/chatwoot"),
        // https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks
        scheme: &hmac::Vendor {
            signature_header: Some("X-Chatwoot-Signature"),
            signature_format: Some("sha256={hex}"),
            timestamp_header: Some("X-Chatwoot-Timestamp"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{timestamp}.{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/event"),
        keep_headers: &["X-Chatwoot-Delivery"],
        sample: Sample {
            json: r#"{
                "event": "message_created", "id": 4211, "content": "Where is my order?", "message_type": "incoming",
                "source_id": "{id}", "created_at": "{at}", "conversation": { "id": 87, "status": "open" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "genesys-messaging",
        setup: Setup {
            product: "Genesys Cloud Open Messaging",
            place: "Admin, Message, Platforms, Open Messaging: Outbound Notification Webhook URL and Signature Secret Token",
            secret: Ours,
            ..SETUP
        },
        path: Some("/webhooks/genesys-messaging"),
        // https://developer.genesys.cloud/commdigital/digital/openmessaging/validate: base64, where others of that header's name write hex.
        // A receipt repeats the id of its message, so that no field names the event.
        scheme: &hmac::Vendor {
            signature_header: Some("X-Hub-Signature-256"),
            signature_format: Some("sha256={base64}"),
            signed_content: Some("{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/type"),
        sample: Sample {
            json: r#"{
                "id": "{id}", "type": "Text", "text": "Your order is on its way.", "direction": "Outbound",
                "channel": { "platform": "Open", "type": "Private", "time": "{at}", "to": { "id": "customer-4711" } }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "zendesk",
        setup: Setup {
            product: "Zendesk webhooks",
            place: "Admin Center, Apps and integrations, Webhooks, Create webhook",
            secret: Vendors("revealed on the webhook's page once it is made"),
            ..SETUP
        },
        path: Some("/webhooks/zendesk"),
        // https://developer.zendesk.com/documentation/webhooks/verifying/: nothing parts time and body, but the time ends in Z.
        // Triggers send what an administrator writes: a field called id there is a ticket's, not an event's.
        scheme: &hmac::Vendor {
            signature_header: Some("X-Zendesk-Webhook-Signature"),
            signature_format: Some("{base64}"),
            timestamp_header: Some("X-Zendesk-Webhook-Signature-Timestamp"),
            timestamp_unit: Some(hmac::Unit::Rfc3339),
            signed_content: Some("{timestamp}{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/type"),
        sample: Sample {
            json: r#"{
                "type": "zen:event-type:ticket.created", "id": "{id}", "time": "{at}", "account_id": 22129848,
                "detail": { "id": "5158", "status": "OPEN", "subject": "Where is my order?" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "zoom",
        setup: Setup {
            product: "Zoom, Zoom Contact Center",
            place: "App Marketplace, your app, Features, Access, Event Subscriptions",
            secret: Vendors("the Secret Token there, before you press Validate"),
            ..SETUP
        },
        path: Some("/webhooks/zoom"),
        // https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events
        scheme: &hmac::Vendor {
            signature_header: Some("x-zm-signature"),
            signature_format: Some("v0={hex}"),
            timestamp_header: Some("x-zm-request-timestamp"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("v0:{timestamp}:{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/event"),
        handshake: Some("zoom"),
        sample: Sample {
            json: r#"{
                "event": "contact_center.engagement_started", "event_ts": 1700000000000,
                "payload": { "account_id": "AAAAAABBBB", "object": { "engagement_id": "{id}", "start_time": "{at}" } }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "dixa",
        setup: Setup {
            product: "Dixa",
            place: "Settings, Integrations, Webhooks, Add webhook",
            secret: Vendors("the secret key that the webhook shows once it is saved"),
            ..SETUP
        },
        path: Some("/webhooks/dixa"),
        // https://docs.dixa.io/docs/webhooks/webhooks-security: the secret is shown in hex.
        scheme: &hmac::Vendor {
            signature_header: Some("X-DIXA-SIGNATURE"),
            signature_format: Some("t={timestamp},v1={hex}"),
            timestamp_unit: Some(hmac::Unit::Millis),
            signed_content: Some("{timestamp}.{body}"),
            secret_encoding: hmac::SecretEncoding::Hex,
            ..hmac::Vendor::BLANK
        },
        event_id: Some("/event_id"),
        event_type: Some("/event_fqn"),
        sample: Sample {
            json: r#"{
                "event_id": "{id}", "event_fqn": "CONVERSATION_CREATED", "event_version": "1",
                "event_timestamp": "{at}", "data": { "conversation": { "csid": 4211, "channel": "WidgetChat" } }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
];
