//! What a key may hold: how it is read from the file and from a variable, how it is written, what is expected of it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use toml::Value;

use super::{duration, grammar};
use crate::secret::Secret;

/// Problems of one value, each with what follows the key's name in its place: `[1]` for the second entry, mostly nothing.
pub(crate) type Problems = Vec<(String, String)>;

/// What a key may hold.
pub(crate) trait Kind {
    /// What it is once read.
    type Value;

    /// Reads what stands in the file.
    ///
    /// # Errors
    /// What was expected; never a value that may be a secret in the wrong place.
    fn from_file(&self, value: Value) -> Result<Self::Value, Problems>;

    /// Reads what a variable holds, blanks around it dropped.
    ///
    /// # Errors
    /// What was expected.
    fn from_variable(&self, text: &str) -> Result<Self::Value, Problems>;

    /// As it stands in the file.
    fn show(&self, value: &Self::Value) -> String;

    /// What [`Kind::show`] leaves out of `value`, whole.
    fn hides(&self, _value: &Self::Value) -> Option<Secret> {
        None
    }

    /// For the reference: "a whole number from 1 to 9".
    fn expects(&self) -> String;

    /// The JSON Schema of what may stand in the file.
    fn schema(&self) -> Json;
}

/// One problem with the whole value.
pub(crate) fn problem(text: impl Into<String>) -> Problems {
    vec![(String::new(), text.into())]
}

/// "expected …, found a list": names what was found by its kind, for the value itself may be a secret in the wrong place.
pub(crate) fn expected(wanted: &str, found: &Value) -> Problems {
    let found = match found {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    };
    problem(format!("expected {wanted}, found {found}"))
}

/// A whole number within a range.
pub(crate) struct Number(RangeInclusive<u64>);

/// A whole number within `range`.
pub(crate) const fn number(range: RangeInclusive<u64>) -> Number {
    Number(range)
}

impl Kind for Number {
    type Value = u64;

    fn from_file(&self, value: Value) -> Result<u64, Problems> {
        let Value::Integer(number) = value else { return Err(expected("a whole number", &value)) };
        let fitting = u64::try_from(number).ok().filter(|number| self.0.contains(number));
        let (from, to) = (self.0.start(), self.0.end());
        fitting.ok_or_else(|| problem(format!("expected a number from {from} to {to}, found {number}")))
    }

    fn from_variable(&self, text: &str) -> Result<u64, Problems> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && self.0.contains(number));
        let (from, to) = (self.0.start(), self.0.end());
        number.ok_or_else(|| problem(format!("expected a plain number from {from} to {to}, found {text:?}")))
    }

    fn show(&self, value: &u64) -> String {
        value.to_string()
    }

    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn schema(&self) -> Json {
        json!({ "type": "integer", "minimum": self.0.start(), "maximum": self.0.end() })
    }
}

/// A whole number that counts things in memory.
pub(crate) struct Size(Number);

/// A whole number within `range` that counts things in memory.
pub(crate) const fn size(range: RangeInclusive<u64>) -> Size {
    Size(number(range))
}

impl Kind for Size {
    type Value = usize;

    fn from_file(&self, value: Value) -> Result<usize, Problems> {
        self.0.from_file(value).and_then(fitting)
    }

    fn from_variable(&self, text: &str) -> Result<usize, Problems> {
        self.0.from_variable(text).and_then(fitting)
    }

    fn show(&self, value: &usize) -> String {
        value.to_string()
    }

    fn expects(&self) -> String {
        self.0.expects()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}

fn fitting(number: u64) -> Result<usize, Problems> {
    usize::try_from(number).map_err(|_| problem("is more than this machine can count"))
}

/// A duration within a range, in quotes.
pub(crate) struct Span {
    range: RangeInclusive<Duration>,
    whole_seconds: bool,
}

/// A duration within `range`.
pub(crate) const fn span(range: RangeInclusive<Duration>) -> Span {
    Span { range, whole_seconds: false }
}

impl Span {
    /// Without a fraction of a second.
    pub(crate) const fn whole_seconds(self) -> Self {
        Self { whole_seconds: true, ..self }
    }
}

impl Kind for Span {
    type Value = Duration;

    fn from_file(&self, value: Value) -> Result<Duration, Problems> {
        match value {
            Value::String(text) => self.from_variable(&text),
            other => Err(expected("a number and a unit in quotes, such as \"10s\"", &other)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<Duration, Problems> {
        let read = duration::parse_within(text, &self.range).map_err(problem)?;
        if self.whole_seconds && read.subsec_nanos() > 0 {
            return Err(problem(format!("expected whole seconds, found {text:?}")));
        }
        Ok(read)
    }

    fn show(&self, value: &Duration) -> String {
        format!("{:?}", duration::write(*value))
    }

    fn expects(&self) -> String {
        let (from, to) = (duration::write(*self.range.start()), duration::write(*self.range.end()));
        let whole = if self.whole_seconds { ", whole seconds" } else { "" };
        format!("a duration from {from} to {to}{whole}")
    }

    fn schema(&self) -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })
    }
}

/// A string with a grammar of its own.
pub(crate) struct Text<T> {
    read: fn(&str) -> Result<T, String>,
    show: fn(&T) -> String,
    expects: &'static str,
}

/// A string that `read` reads; `expects` says for the reference what that is.
pub(crate) fn text<T: Display>(read: fn(&str) -> Result<T, String>, expects: &'static str) -> Text<T> {
    Text { read, show: |value| format!("{:?}", value.to_string()), expects }
}

/// Any string.
pub(crate) fn words(expects: &'static str) -> Text<String> {
    text(|text| Ok(text.to_owned()), expects)
}

/// The path of a file.
pub(crate) fn path() -> Text<PathBuf> {
    Text {
        read: grammar::file,
        show: |path| format!("{:?}", path.display().to_string()),
        expects: "the path of a file",
    }
}

impl<T> Kind for Text<T> {
    type Value = T;

    fn from_file(&self, value: Value) -> Result<T, Problems> {
        match value {
            Value::String(text) => self.from_variable(&text),
            other => Err(expected("a string", &other)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<T, Problems> {
        (self.read)(text).map_err(problem)
    }

    fn show(&self, value: &T) -> String {
        (self.show)(value)
    }

    fn expects(&self) -> String {
        self.expects.to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

/// One of a few words.
pub(crate) struct Choice<T: 'static>(&'static [(&'static str, T)]);

/// One of a few words, each with its meaning.
pub(crate) const fn choice<T>(words: &'static [(&'static str, T)]) -> Choice<T> {
    Choice(words)
}

impl<T: Clone + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn from_file(&self, value: Value) -> Result<T, Problems> {
        match value {
            Value::String(text) => self.from_variable(&text),
            other => Err(expected("a string", &other)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<T, Problems> {
        let known = self.0.iter().find(|(word, _)| *word == text);
        known
            .map(|(_, value)| value.clone())
            .ok_or_else(|| problem(format!("expected {}, found {text:?}", self.expects())))
    }

    fn show(&self, value: &T) -> String {
        let known = self.0.iter().find(|(_, meaning)| meaning == value);
        format!("{:?}", known.map(|(word, _)| *word).unwrap_or_default())
    }

    fn expects(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("{word:?}")).collect();
        match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    fn schema(&self) -> Json {
        json!({ "enum": self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
    }
}
