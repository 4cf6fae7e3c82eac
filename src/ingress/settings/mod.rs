//! `[[source]]`: who sends, where to, and what is expected of it; of the file and of variables.

mod kinds;
mod read;
mod rules;
mod source;

use std::sync::Arc;
use std::time::Duration;

use crate::event::Name;
use crate::scheme::{self, BodyFormat, Preset};
use crate::server::networks::Networks;

pub(crate) use self::read::{Surroundings, read};
pub use self::rules::{IdRule, TypeRule};

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
    /// Largest body, bytes.
    pub body_bytes: usize,
    /// The window, both directions.
    pub max_drift: Duration,
    /// Where the event id comes from.
    pub event_id: IdRule,
    /// Where the event type comes from.
    pub event_type: TypeRule,
    /// JSON pointers that must hold something: not absent, not null, not an empty string.
    pub required_fields: Vec<String>,
    /// Media types taken, lower case, without parameters.
    pub content_types: Vec<String>,
    /// Whether the body must be a JSON object.
    pub body_format: BodyFormat,
    /// 401 or 410.
    pub stale_status: u16,
    /// Names of the sinks its events go to, all of which exist.
    pub sinks: Vec<Name>,
    /// What verifies it.
    pub scheme: Arc<dyn scheme::Settings>,
    /// The sources that believe the same signatures of the same bodies, so that one body counts once among them. They
    /// name no twins of their own here.
    pub twins: Arc<[SourceSettings]>,
}
