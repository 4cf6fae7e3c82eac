//! Key `content_mode`: how an event becomes headers and a body (`CloudEvents` 1.0.2, HTTP protocol binding 3).

use std::error::Error;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

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

    /// Adds to `headers` those that say what `event` is; gives the body.
    ///
    /// # Errors
    /// See [`structured::structured`]; or what of the event no header can carry.
    pub(super) fn write(self, event: &Event, headers: &mut HeaderMap) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        match self {
            Self::Structured => {
                let body = structured::structured(event)?;
                headers.append(CONTENT_TYPE, STRUCTURED);
                return Ok(body.into());
            }
            Self::Binary => {
                for (name, value) in cloudevent::attributes(event) {
                    headers.append(HeaderName::from_static(name), HeaderValue::from_str(&value)?);
                }
            }
            Self::Raw => {}
        }
        if !event.content_type.is_empty() {
            headers.append(CONTENT_TYPE, HeaderValue::from_str(&event.content_type)?);
        }
        Ok(event.payload.bytes().clone())
    }
}
