//! What NICE, Cognigy and Amazon send unsigned: with a token in a header.

use super::row::SecretOrigin::Ours;
use super::row::{Preset, SAMPLE, SETUP, Sample, Setup, TOKEN};
use crate::scheme::token;
use crate::settings::Variables;

/// What says so of JSON, too: the default of CXone's REST action and what grew from it.
const FORM_OR_JSON: &[&str] = &["application/json", "application/x-www-form-urlencoded"];

/// A variable that holds several tokens.
const fn list(name: &'static str) -> Variables {
    Variables { list: Some(name), single: None }
}

/// Every one.
pub(super) static ROWS: [Preset; 5] = [
    Preset {
        name: "cxone-studio",
        setup: Setup {
            product: "CXone Studio scripts",
            place: "the REST API action of the script",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "CXone Integration Hub",
            place: "a request of a connection, method REST, verb POST",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "Cognigy Webhook endpoint",
            place: "Deploy, Endpoints, your endpoint, Basic Auth Credentials",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "Logs of Cognigy AI Agents",
            place: "the settings of the AI Agent or LLM prompt node, logging to a webhook",
            secret: Ours,
            ..SETUP
        },
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
        setup: Setup {
            product: "Amazon EventBridge",
            place: "EventBridge, API destinations: a connection of the type API key, and a destination",
            secret: Ours,
            ..SETUP
        },
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
];
