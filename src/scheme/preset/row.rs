//! What a preset is: the values of a source that a vendor decides.

use std::fmt;

use crate::scheme::settings::Row;
use crate::scheme::{hmac, token};

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
    /// Headers that are stored with an event and passed on.
    pub keep_headers: &'static [&'static str],
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
    /// Name of the handshake by which the vendor asks whether its events are wanted.
    pub handshake: Option<&'static str>,
    /// What connecting the vendor takes.
    pub(crate) setup: Setup,
    /// What an event of the vendor looks like.
    pub(crate) sample: Sample,
    /// What the commented example of the configuration says of such a source, each key as TOML; most are not in it.
    pub(crate) example: &'static [(&'static str, &'static str)],
}

/// What somebody has to know who connects a vendor.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// What sends, as its users call it.
    pub(crate) product: &'static str,
    /// Where at the vendor the address is entered.
    pub(crate) place: &'static str,
    /// Who makes the secret.
    pub(crate) secret: SecretOrigin,
    /// Keys without which there is no such source, each as TOML: what a new one begins with.
    pub(crate) keys: &'static [(&'static str, &'static str)],
}

/// Who makes the secret of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SecretOrigin {
    /// Whoever connects the vendor.
    Ours,
    /// The vendor, who shows it there.
    Vendors(&'static str),
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
pub(super) const BLANK: Preset = Preset {
    name: "hmac",
    path: None,
    scheme: &hmac::Vendor::BLANK,
    event_id: None,
    event_type: None,
    keep_headers: &[],
    required_fields: &[],
    content_types: JSON,
    body_format: BodyFormat::Json,
    stale_status: 401,
    answer: Answer::Accepted,
    handshake: None,
    setup: SETUP,
    sample: SAMPLE,
    example: &[],
};

/// A sender that nobody's documentation speaks of.
pub(super) const SETUP: Setup =
    Setup { product: "A sender of your own", place: "the sender's settings", secret: SecretOrigin::Ours, keys: &[] };

/// A token alone, wherever it stands.
pub(super) const TOKEN: Preset = Preset {
    name: "token",
    scheme: &token::Vendor::BEARER,
    event_id: Some("digest"),
    event_type: Some("token"),
    ..BLANK
};

/// What nothing is known of.
pub(super) const SAMPLE: Sample = Sample {
    json: r#"{ "id": "{id}", "type": "sample.event", "timestamp": "{at}" }"#,
    xml: concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?>"#,
        "\n",
        r#"<event id="{id}" datetime="{at}" type="sample.event"/>"#,
        "\n"
    ),
};
