//! What the services around a contact centre sign, as each documents it.

use super::row::SecretOrigin::{Ours, Vendors};
use super::row::{BLANK, Preset, SAMPLE, SETUP, Sample, Setup};
use crate::scheme::hmac;

/// Every one.
pub(super) static ROWS: [Preset; 6] = [
    Preset {
        name: "slack",
        setup: Setup {
            product: "Slack Events API",
            place: "your app, Event Subscriptions, Request URL",
            secret: Vendors("the Signing Secret in Basic Information, App Credentials"),
            ..SETUP
        },
        path: Some("/webhooks/slack"),
        // https://docs.slack.dev/authentication/verifying-requests-from-slack: the Events API, which sends JSON.
        scheme: &hmac::Vendor {
            signature_header: Some("X-Slack-Signature"),
            signature_format: Some("v0={hex}"),
            timestamp_header: Some("X-Slack-Request-Timestamp"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("v0:{timestamp}:{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("/event_id"),
        event_type: Some("/event/type"),
        handshake: Some("slack"),
        sample: Sample {
            json: r#"{
                "type": "event_callback", "event_id": "{id}", "team_id": "T123ABC456",
                "event": { "type": "app_mention", "text": "Where is my order?", "channel": "C123ABC456", "ts": "{at}" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "stripe",
        setup: Setup {
            product: "Stripe",
            place: "Workbench, Webhooks, add an endpoint",
            secret: Vendors("the signing secret of the endpoint, all of whsec_…"),
            ..SETUP
        },
        path: Some("/webhooks/stripe"),
        // https://docs.stripe.com/webhooks#verify-manually: the secret is all of whsec_… as text.
        scheme: &hmac::Vendor {
            signature_header: Some("Stripe-Signature"),
            signature_format: Some("t={timestamp},v1={hex}"),
            timestamp_unit: Some(hmac::Unit::Seconds),
            signed_content: Some("{timestamp}.{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("/id"),
        event_type: Some("/type"),
        sample: Sample {
            json: r#"{
                "id": "{id}", "object": "event", "type": "charge.succeeded",
                "data": { "object": { "id": "ch_3", "amount": 4200, "currency": "eur", "receipt_date": "{at}" } }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "github",
        setup: Setup {
            product: "GitHub",
            place: "Settings, Webhooks, Add webhook; content type application/json",
            secret: Ours,
            ..SETUP
        },
        path: Some("/webhooks/github"),
        // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
        scheme: &hmac::Vendor {
            signature_header: Some("X-Hub-Signature-256"),
            signature_format: Some("sha256={hex}"),
            signed_content: Some("{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("header:X-GitHub-Event"),
        keep_headers: &["X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID"],
        sample: Sample {
            json: r#"{
                "action": "opened", "repository": { "full_name": "acme/bots" },
                "issue": { "number": 42, "title": "{id}", "created_at": "{at}" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "shopify",
        setup: Setup {
            product: "Shopify",
            place: "shopify.app.toml, or Settings, Notifications, Webhooks of a shop",
            secret: Vendors("the app's client secret, or the key that the shop's page shows"),
            ..SETUP
        },
        path: Some("/webhooks/shopify"),
        // https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
        scheme: &hmac::Vendor {
            signature_header: Some("X-Shopify-Hmac-Sha256"),
            signature_format: Some("{base64}"),
            signed_content: Some("{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("header:X-Shopify-Topic"),
        keep_headers: &["X-Shopify-Topic", "X-Shopify-Shop-Domain", "X-Shopify-Event-Id", "X-Shopify-Webhook-Id"],
        sample: Sample {
            json: r#"{ "id": 820982911946154508, "name": "{id}", "created_at": "{at}", "total_price": "42.00", "currency": "EUR" }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "pagerduty",
        setup: Setup {
            product: "PagerDuty V3 webhooks",
            place: "Integrations, Generic Webhooks (v3), New Webhook",
            secret: Vendors("shown once, when the webhook is made"),
            ..SETUP
        },
        path: Some("/webhooks/pagerduty"),
        // https://docs.pagerduty.com/developer/verifying-webhook-signatures: a signature for each secret, parted by commas.
        scheme: &hmac::Vendor {
            signature_header: Some("X-PagerDuty-Signature"),
            signature_format: Some("v1={hex},v1={hex}"),
            signed_content: Some("{body}"),
            ..hmac::Vendor::BLANK
        },
        event_id: Some("/event/id"),
        event_type: Some("/event/event_type"),
        sample: Sample {
            json: r#"{
                "event": {
                    "id": "{id}", "event_type": "incident.triggered", "occurred_at": "{at}",
                    "data": { "id": "PGR0VU2", "type": "incident", "title": "Queue over its limit" }
                }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
    Preset {
        name: "paystack",
        setup: Setup {
            product: "Paystack",
            place: "Settings, API Keys & Webhooks",
            secret: Vendors("the secret key of the mode, sk_live_… or sk_test_…"),
            ..SETUP
        },
        path: Some("/webhooks/paystack"),
        // https://paystack.com/docs/payments/webhooks: SHA-512. One payment has several events, so that its id names none.
        scheme: &hmac::Vendor {
            signature_header: Some("x-paystack-signature"),
            signature_format: Some("{hex}"),
            signed_content: Some("{body}"),
            algorithm: hmac::Algorithm::Sha512,
            ..hmac::Vendor::BLANK
        },
        event_id: Some("digest"),
        event_type: Some("/event"),
        sample: Sample {
            json: r#"{
                "event": "charge.success",
                "data": { "id": 302961, "reference": "{id}", "amount": 4200, "currency": "NGN", "paid_at": "{at}" }
            }"#,
            ..SAMPLE
        },
        ..BLANK
    },
];
