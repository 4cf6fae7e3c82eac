//! One source as everybody gets it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::certificate_pin::CertificatePin;
use super::handshake::HandshakeSettings;
use super::rules::{IdRule, TypeRule};
use crate::event::Name;
use crate::scheme::{self, BodyFormat, Moment, Preset};
use crate::server::networks::Networks;

/// One `[[source]]`.
#[derive(Clone)]
pub struct SourceSettings {
    /// Unique; `[a-z0-9-]`, at most 40.
    pub name: Name,
    /// What its defaults came from.
    pub preset: &'static Preset,
    /// Matched byte for byte.
    pub path: String,
    /// Who may send.
    pub allowed_ips: Networks,
    /// Whose client certificates are taken; empty: none is needed.
    pub client_certificates: Vec<CertificatePin>,
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// The window, both directions.
    pub max_drift: Duration,
    /// Where the event id comes from.
    pub event_id: IdRule,
    /// Where the event type comes from.
    pub event_type: TypeRule,
    /// Headers that stay with its events, lower case, in the order in which they are kept.
    pub keep_headers: Vec<String>,
    /// JSON pointers that must hold something: not absent, not null, not an empty string.
    pub required_fields: Vec<String>,
    /// Media types taken, lower case, without parameters.
    pub content_types: Vec<String>,
    /// Whether the body must be a JSON object.
    pub body_format: BodyFormat,
    /// 401 or 410.
    pub stale_status: u16,
    /// How it answers who asks whether events are wanted here.
    pub handshake: Option<HandshakeSettings>,
    /// Names of the sinks its events go to, all of which exist.
    pub sinks: Vec<Name>,
    /// What verifies it.
    pub scheme: Arc<dyn scheme::Settings>,
    /// The sources that believe the same signatures of the same bodies, so that one body counts once among them. They
    /// name no twins of their own here.
    pub twins: Arc<[SourceSettings]>,
}

impl SourceSettings {
    /// What the times in a request are held against at `now`.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> Moment {
        Moment { now: now.into(), leeway: self.max_drift.as_secs() }
    }
}
