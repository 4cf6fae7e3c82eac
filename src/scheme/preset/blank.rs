//! What nobody's documentation says: a way to verify, and nothing preset but that.

use super::row::{BLANK, Preset, SETUP, Setup, TOKEN};
use crate::scheme::{certificate, jwt};

/// Every one.
pub(super) static ROWS: [Preset; 4] = [
    TOKEN,
    Preset {
        name: "jwt",
        scheme: &jwt::Vendor,
        event_type: Some("jwt"),
        setup: Setup { keys: &[("algorithms", r#"["HS256"]"#)], ..SETUP },
        ..TOKEN
    },
    Preset { name: "client-certificate", scheme: &certificate::Vendor, event_id: Some("digest"), ..BLANK },
    Preset {
        setup: Setup {
            keys: &[
                ("event_id", r#""/id""#),
                ("event_type", r#""/type""#),
                ("signature_header", r#""X-Signature""#),
                ("signature_format", r#""sha256={hex}""#),
                ("timestamp_header", r#""X-Timestamp""#),
                ("timestamp_unit", r#""s""#),
                ("signed_content", r#""{timestamp}.{body}""#),
            ],
            ..SETUP
        },
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
