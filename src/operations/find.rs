//! Events found by what no index knows: the request that brought them, a field of their body. In bounded steps, each of
//! which says how far it looked.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::Operations;
use super::error::OperationError;
use crate::request_id;
use crate::store::{Archived, Cursor, EventFilter, EventRef};

/// Events that one search looks at where nobody says.
pub const LOOKED_AT: u64 = 10_000;
/// Events of one step.
const STEP: u64 = 500;
/// How long after a request arrived its event may have been received by the store's time, and how long before, where the
/// clocks differ.
const AROUND: Duration = Duration::from_mins(1);

/// What an event is sought by, beyond what listings know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sought {
    /// The id of the request that brought it.
    pub request: Option<String>,
    /// What its body says.
    pub field: Option<BodyField>,
}

/// A value in a JSON body: `/sessionId=abc`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyField {
    /// RFC 6901.
    pointer: String,
    /// As text: a string without its quotation marks, a number or a truth value as JSON writes it.
    value: String,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Newest first, without bodies.
    pub events: Vec<Archived>,
    /// How many events it looked at.
    pub looked_at: u64,
    /// When the last of those was received.
    pub back_to: Option<Timestamp>,
    /// Where more follow: where to go on.
    pub next: Option<Cursor>,
}

impl BodyField {
    /// Reads `/pointer=value`.
    ///
    /// # Errors
    /// What is expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(pointer, _)| pointer.starts_with('/'));
        let (pointer, value) = parts.ok_or("expected a JSON pointer, =, and the value there: /sessionId=abc")?;
        Ok(Self { pointer: pointer.to_owned(), value: value.to_owned() })
    }

    fn is_in(&self, body: &[u8]) -> bool {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        body.as_ref().and_then(|body| body.pointer(&self.pointer)).is_some_and(|found| match found {
            Value::String(text) => *text == self.value,
            Value::Bool(truth) => self.value == if *truth { "true" } else { "false" },
            Value::Number(number) => self.value == number.to_string(),
            Value::Null => self.value == "null",
            Value::Array(_) | Value::Object(_) => false,
        })
    }
}

impl Sought {
    /// Whether listings alone find it.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.request.is_none() && self.field.is_none()
    }
}

impl Operations<'_> {
    /// The events that match `filter` and are `sought`, among at most `most` of those that match, from `from` on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find_events(
        &self,
        filter: &EventFilter,
        sought: &Sought,
        from: Option<Cursor>,
        most: u64,
    ) -> Result<Found, OperationError> {
        let arrived = sought.request.as_deref().and_then(request_id::arrived);
        if let (Some(arrived), None) = (arrived, from) {
            let around = EventFilter {
                since: arrived.checked_sub(AROUND).ok().max(filter.since),
                until: earlier(arrived.checked_add(AROUND).ok(), filter.until),
                ..filter.clone()
            };
            let found = self.look(&around, sought, None, u64::MAX).await?;
            if !found.events.is_empty() {
                return Ok(Found { next: None, ..found });
            }
        }
        // Released later, by another clock, or called by somebody else.
        self.look(filter, sought, from, most).await
    }

    async fn look(
        &self,
        filter: &EventFilter,
        sought: &Sought,
        from: Option<Cursor>,
        most: u64,
    ) -> Result<Found, OperationError> {
        let wanted = filter.limit.unwrap_or(u64::MAX);
        let (mut found, mut from) = (Found::default(), from);
        // A page that looks for what few have may come with few rows: the pages are counted, too.
        for _ in 0..most.div_ceil(STEP) {
            let step = EventFilter { limit: Some(STEP.min(most - found.looked_at)), ..filter.clone() };
            let page = self.store.archive.page(&step, from).await?;
            found.looked_at += page.rows.len() as u64;
            found.back_to = page.rows.last().map(|row| row.event.received_at).or(found.back_to);
            for row in page.rows {
                if self.is_sought(&row, sought).await? {
                    found.events.push(row);
                }
            }
            found.next = page.next;
            from = page.next;
            if from.is_none() || found.looked_at >= most || found.events.len() as u64 >= wanted {
                break;
            }
        }
        Ok(found)
    }

    async fn is_sought(&self, row: &Archived, sought: &Sought) -> Result<bool, OperationError> {
        if sought.request.as_ref().is_some_and(|request| *request != row.event.request_id) {
            return Ok(false);
        }
        let Some(field) = &sought.field else { return Ok(true) };
        let event = EventRef { source: Some(row.event.source.clone()), id: row.event.id.clone() };
        let whole = self.store.archive.get(&event).await?;
        Ok(whole.iter().any(|found| field.is_in(found.event.payload.bytes())))
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_pointer_and_a_value() {
        let body = br#"{"sessionId":"abc=d","n":7,"a":{"b/c":[true,null]},"o":{}}"#;
        for (text, is_in) in [
            ("/sessionId=abc=d", true),
            ("/sessionId=abc", false),
            ("/n=7", true),
            ("/n=\"7\"", false),
            ("/a/b~1c/0=true", true),
            ("/a/b~1c/1=null", true),
            ("/o={}", false),
            ("/missing=", false),
        ] {
            assert_eq!(BodyField::parse(text).unwrap().is_in(body), is_in, "{text}");
        }
        assert!(!BodyField::parse("/a=b").unwrap().is_in(b"<xml/>"));
        for wrong in ["", "sessionId=abc", "/sessionId"] {
            assert!(BodyField::parse(wrong).is_err(), "{wrong}");
        }
    }
}
