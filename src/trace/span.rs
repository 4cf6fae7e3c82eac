//! What is recorded of a request or of an attempt at a delivery.

use std::borrow::Cow;

use super::context::TraceContext;

/// Something that took its time.
#[derive(Clone, Debug)]
pub struct Span {
    /// Itself.
    pub context: TraceContext,
    /// The span that caused it, in the same trace.
    pub parent: Option<u64>,
    /// `tracestate`.
    pub state: Option<Box<str>>,
    /// Which side of a call it is.
    pub kind: Kind,
    /// What it does, of few different ones.
    pub name: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Likewise.
    pub end: u64,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
    /// Why it failed, where it did; perhaps in no words.
    pub failed: Option<String>,
}

/// Which side of a call a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The one that answers.
    Server,
    /// The one that asks.
    Client,
}

/// A name and what it says.
pub type Attribute = (&'static str, Value);

/// What an attribute says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}
