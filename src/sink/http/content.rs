//! Key `content_mode`: how an event becomes headers and a body (`CloudEvents` 1.0.2, HTTP protocol binding 3).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Builder;

use super::super::{cloudevent, structured};
use crate::event::Event;
use crate::settings::kind::{Choice, choice};
use crate::settings::{Diagnostics, Table, key};

const MODES: Choice<ContentMode> =
    choice(&[("binary", ContentMode::Binary), ("structured", ContentMode::Structured), ("raw", ContentMode::Raw)]);
const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json");

/// How an event is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ContentMode {
    /// The sender's body, attributes in headers.
    Binary,
    /// One JSON object with the attributes and the body in it.
    Structured,
    /// The sender's body and nothing else.
    Raw,
}

impl ContentMode {
    /// Reads the key.
    pub(super) fn read(table: &mut Table, diagnostics: &mut Diagnostics) -> Self {
        let doc = "\"binary\" (the sender's body, CloudEvents attributes in ce- headers), \"structured\" (both in one JSON \
            object) or \"raw\" (the body alone, with its content type).";
        key("content_mode", doc, MODES).or(Self::Binary, table, diagnostics)
    }

    /// What counts for the sink's fingerprint.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Structured => "structured",
            Self::Raw => "raw",
        }
    }

    /// Adds to `request` the headers that say what `event` is; gives the body.
    ///
    /// # Errors
    /// See [`structured::structured`].
    pub(super) fn write(self, event: &Event, mut request: Builder) -> Result<(Builder, Bytes), serde_json::Error> {
        match self {
            Self::Structured => {
                let body = structured::structured(event)?;
                return Ok((request.header(CONTENT_TYPE, STRUCTURED), body.into()));
            }
            Self::Binary => {
                for (name, value) in cloudevent::attributes(event) {
                    request = request.header(HeaderName::from_static(name), value);
                }
            }
            Self::Raw => {}
        }
        if !event.content_type.is_empty() {
            request = request.header(CONTENT_TYPE, &event.content_type);
        }
        Ok((request, event.payload.bytes().clone()))
    }
}
