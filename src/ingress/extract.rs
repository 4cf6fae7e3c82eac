//! What is picked out of a verified body: id, type, required fields and the few texts that records and answers show.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;

use crate::event::{EventId, Payload};
use crate::scheme::{self, Answer, BodyFormat, ClaimValue, Scheme};

use super::json::{self, Found, Pointer, Value};
use super::log_text::escape_for_log;
use super::reject::Reject;
use super::settings::{IdRule, SourceSettings, TypeRule};

/// Which values of a source's bodies are wanted; made once per source.
pub struct Extractor {
    pointers: Vec<Pointer>,
    required: Vec<String>,
    id: IdRule,
    kind: TypeRule,
    fallback_kind: &'static str,
    body_format: BodyFormat,
    answer: Answer,
    /// What is signed makes the id; `None` where something else does.
    signed: Option<Arc<dyn Scheme>>,
    scheme: Arc<dyn scheme::Settings>,
}

/// What a body held.
pub struct Fields {
    /// The event id.
    pub id: EventId,
    /// The event type.
    pub kind: String,
    /// `/botId`
    pub bot_id: Option<String>,
    /// `/intent`
    pub intent: Option<String>,
    /// `/sessionId`, where the answer repeats it.
    pub session_id: Option<String>,
}

/// Where the values that every source is asked for stand among the pointers; required fields come behind them.
const ID: usize = 0;
const KIND: usize = 1;
const BOT_ID: usize = 2;
const INTENT: usize = 3;
const SESSION_ID: usize = 4;
const REQUIRED: usize = 5;

impl Extractor {
    /// What `source` wants of its bodies.
    #[must_use]
    pub fn new(source: &SourceSettings) -> Self {
        // A pointer through a name that no sender uses finds nothing: cheaper than an option at every use.
        let nothing = || Pointer::new("/\0");
        let id = if let IdRule::Pointer(pointer) = &source.event_id { Pointer::new(pointer) } else { nothing() };
        let kind = if let TypeRule::Pointer(pointer) = &source.event_type { Pointer::new(pointer) } else { nothing() };
        let mut pointers = vec![id, kind, Pointer::new("/botId"), Pointer::new("/intent"), Pointer::new("/sessionId")];
        pointers.extend(source.required_fields.iter().map(|field| Pointer::new(field)));
        Self {
            pointers,
            required: source.required_fields.clone(),
            id: source.event_id.clone(),
            kind: source.event_type.clone(),
            fallback_kind: source.preset.name,
            body_format: source.body_format,
            answer: source.preset.answer,
            signed: (source.event_id == IdRule::Signed).then(|| source.scheme.build().ok()).flatten(),
            scheme: Arc::clone(&source.scheme),
        }
    }

    /// Picks the fields out of a verified request.
    ///
    /// # Errors
    /// [`Reject::InvalidJson`], [`Reject::MissingFields`] or [`Reject::InvalidEventId`], in this order.
    pub fn extract(&self, head: &Parts, payload: &Payload) -> Result<Fields, Reject> {
        let found = match (json::scan(payload.bytes(), &self.pointers), self.body_format) {
            (Ok(found), _) => found,
            (Err(fault), BodyFormat::Json) => return Err(Reject::InvalidJson(Cow::from(fault))),
            (Err(_), BodyFormat::Any) => vec![Found::default(); self.pointers.len()],
        };
        let found_at = |index: usize| found.get(index).copied().unwrap_or_default();
        self.required(found.get(REQUIRED..).unwrap_or_default())?;
        let id = match &self.id {
            IdRule::Pointer(_) => id_in_body(found_at(ID))?,
            IdRule::Header(name) => Some(id_in_header(head, name)?),
            IdRule::Signed => self.signed(head, payload),
            IdRule::Claim(name) => id_in_claim(self.scheme.claim(head, name))?,
            IdRule::Digest => None,
        };
        let text_at = |index: usize| found_at(index).value.and_then(|value| value.text());
        Ok(Fields {
            id: id.unwrap_or_else(|| EventId::of_digest(&payload.digest())),
            kind: self.kind(head, found_at(KIND)),
            bot_id: text_at(BOT_ID),
            intent: text_at(INTENT),
            session_id: if self.answer == Answer::Processed { text_at(SESSION_ID) } else { None },
        })
    }

    /// Whether `other` takes the same requests and finds the same id in each. Where the scheme has a say in the id, nothing
    /// is promised.
    #[must_use]
    pub(super) fn finds_the_same_id_as(&self, other: &Self) -> bool {
        !matches!(self.id, IdRule::Signed | IdRule::Claim(_))
            && (&self.id, &self.required, self.body_format) == (&other.id, &other.required, other.body_format)
    }

    fn signed(&self, head: &Parts, payload: &Payload) -> Option<EventId> {
        self.signed.as_ref()?.signed(head, payload).map(|digest| EventId::of_digest(&digest))
    }

    fn required(&self, found: &[Found<'_>]) -> Result<(), Reject> {
        let holds_something = |found: &Found<'_>| match found.value {
            None | Some(Value::Null) => false,
            Some(Value::String(raw)) => raw != "\"\"",
            Some(Value::Number(_) | Value::Other) => true,
        };
        let fields = self.required.iter().zip(found);
        let missing: Vec<&str> =
            fields.filter(|(_, found)| !holds_something(found)).map(|(pointer, _)| pointer.as_str()).collect();
        if missing.is_empty() { Ok(()) } else { Err(Reject::MissingFields(missing.join(", "))) }
    }

    fn kind(&self, head: &Parts, found: Found<'_>) -> String {
        let kind = match &self.kind {
            TypeRule::Pointer(_) => match found.value {
                Some(Value::Number(number)) => Some(number.to_owned()),
                value => value.and_then(|value| value.text()),
            },
            TypeRule::Header(name) => {
                head.headers.get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
            }
            TypeRule::Literal(kind) => Some(kind.clone()),
        };
        let kind = kind.filter(|kind| !kind.is_empty() && !kind.chars().any(char::is_control));
        kind.map_or_else(|| self.fallback_kind.to_owned(), |kind| escape_for_log(&kind).into_owned())
    }
}

/// The id at the pointer; `None` where there is none, so that the digest stands in.
fn id_in_body(found: Found<'_>) -> Result<Option<EventId>, Reject> {
    if found.twice {
        return Err(Reject::InvalidEventId("the event id stands twice"));
    }
    let text = match found.value {
        None => return Ok(None),
        Some(value @ Value::String(_)) => value.text(),
        Some(Value::Number(number)) if is_integer(number) => Some(number.to_owned()),
        Some(_) => None,
    };
    fitting(&text.ok_or(Reject::InvalidEventId(UNREADABLE))?).map(Some)
}

/// The id that a token claims; `None` where it claims none, so that the digest stands in.
fn id_in_claim(claimed: ClaimValue) -> Result<Option<EventId>, Reject> {
    match claimed {
        ClaimValue::Absent => Ok(None),
        ClaimValue::Text(text) => fitting(&text).map(Some),
        ClaimValue::Other => Err(Reject::InvalidEventId(UNREADABLE)),
    }
}

fn fitting(text: &str) -> Result<EventId, Reject> {
    EventId::new(text).ok_or(Reject::InvalidEventId(UNFIT))
}

const UNREADABLE: &str = "the event id must be a string or an integer";
const UNFIT: &str = "the event id must have 1 to 256 bytes and no control characters";

fn is_integer(number: &str) -> bool {
    number.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
}

/// The id in a header that the signature covers.
///
/// Some signatures cover a canonical form of it, in which lines are joined and blanks dropped: several ways to write
/// one header under one signature. So that they cannot be several ids, only the canonical way is taken.
fn id_in_header(head: &Parts, name: &str) -> Result<EventId, Reject> {
    let mut values = head.headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Reject::InvalidEventId("the id header is missing")),
        (Some(value), None) => value.as_bytes(),
        (Some(_), Some(_)) => return Err(Reject::InvalidEventId("the id header stands twice")),
    };
    if value.trim_ascii() != value || value.windows(2).any(|pair| pair == b"  ") {
        return Err(Reject::InvalidEventId("the id header has blanks around it, or several within it in a row"));
    }
    std::str::from_utf8(value).map_or(Err(Reject::InvalidEventId(UNFIT)), fitting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(body: &str) -> Result<Option<String>, Reject> {
        let found = json::scan(body.as_bytes(), &[Pointer::new("/id")]).unwrap()[0];
        id_in_body(found).map(|id| id.map(|id| id.as_str().to_owned()))
    }

    #[test]
    fn an_id_in_a_header_stands_once_in_its_canonical_form() {
        let id = |values: &[&[u8]]| {
            let (mut head, ()) = http::Request::new(()).into_parts();
            for value in values {
                head.headers.append("x-id", http::HeaderValue::from_bytes(value).unwrap());
            }
            id_in_header(&head, "x-id").map(|id| id.as_str().to_owned())
        };
        for right in ["a", "a b", "a b c", "a,b", "msg_1.\u{e9}"] {
            assert_eq!(id(&[right.as_bytes()]).as_deref(), Ok(right));
        }
        for wrong in [
            &[] as &[&[u8]],
            &[b""],
            &[b" a"],
            &[b"a "],
            &[b"a\t"],
            &[b"a  b"],
            &[b"a   b"],
            &[b"a\tb"],
            &[b"a", b"a"],
            &[b"a", b"b"],
            &[b"a", b""],
            &[b"\xff"],
        ] {
            assert!(matches!(id(wrong), Err(Reject::InvalidEventId(_))), "{wrong:?}");
        }
    }

    #[test]
    fn an_id_that_a_token_claims_is_held_to_the_same_bounds() {
        let id = |claimed| id_in_claim(claimed).map(|id| id.map(|id| id.as_str().to_owned()));
        assert_eq!(id(ClaimValue::Absent), Ok(None));
        assert_eq!(id(ClaimValue::Text("a-1".into())), Ok(Some("a-1".into())));
        for wrong in ["", "a\u{7f}", &"x".repeat(257)] {
            assert!(matches!(id(ClaimValue::Text(wrong.into())), Err(Reject::InvalidEventId(_))), "{wrong}");
        }
        assert!(matches!(id(ClaimValue::Other), Err(Reject::InvalidEventId(_))));
    }

    #[test]
    fn an_id_is_a_string_or_an_integer_or_absent() {
        assert_eq!(id(r#"{"id":"a\u0062"}"#), Ok(Some("ab".into())));
        assert_eq!(id(r#"{"id":123456789012345678901234567890}"#), Ok(Some("123456789012345678901234567890".into())));
        assert_eq!(id(r#"{"id":-7}"#), Ok(Some("-7".into())));
        assert_eq!(id("{}"), Ok(None));
    }

    #[test]
    fn anything_else_there_is_refused_rather_than_guessed() {
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(257));
        for body in [
            r#"{"id":null}"#,
            r#"{"id":""}"#,
            r#"{"id":1.0}"#,
            r#"{"id":1e3}"#,
            r#"{"id":true}"#,
            r#"{"id":[]}"#,
            r#"{"id":{}}"#,
            r#"{"id":"a\u0000"}"#,
            r#"{"id":"a\u007f"}"#,
            r#"{"id":1,"id":1}"#,
            &long,
        ] {
            assert!(matches!(id(body), Err(Reject::InvalidEventId(_))), "{body}");
        }
    }
}
