//! What a key may hold: how it is read from the file and from a variable, how it is written, what is expected of it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use toml::Value;

use super::{duration, grammar, redact};
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

/// The strings of a list.
///
/// # Errors
/// What was found instead, each entry by its place.
pub(crate) fn strings(value: Value) -> Result<Vec<String>, Problems> {
    let Value::Array(list) = value else { return Err(expected("a list of strings", &value)) };
    let (mut texts, mut problems) = (Vec::with_capacity(list.len()), Problems::new());
    for (index, entry) in list.into_iter().enumerate() {
        match entry {
            Value::String(text) => texts.push(text),
            other => {
                problems.extend(expected("a string", &other).into_iter().map(|(_, why)| (format!("[{index}]"), why)))
            }
        }
    }
    if problems.is_empty() { Ok(texts) } else { Err(problems) }
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

/// A list of strings; a variable separates them by commas.
pub(crate) struct List<K> {
    each: K,
    empty: Option<&'static str>,
}

/// A list of strings, each of which `each` reads.
pub(crate) const fn list<K>(each: K) -> List<K> {
    List { each, empty: None }
}

impl<K> List<K> {
    /// Refuses an empty list with `problem`.
    pub(crate) fn not_empty(self, problem: &'static str) -> Self {
        Self { empty: Some(problem), ..self }
    }
}

impl<K: Kind> List<K> {
    fn read<'t>(
        &self,
        texts: impl ExactSizeIterator<Item = Result<&'t str, Problems>>,
    ) -> Result<Vec<K::Value>, Problems> {
        if let Some(why) = self.empty.filter(|_| texts.len() == 0) {
            return Err(problem(why));
        }
        let (mut values, mut problems) = (Vec::new(), Problems::new());
        for (index, text) in texts.enumerate() {
            match text.and_then(|text| self.each.from_variable(text)) {
                Ok(value) => values.push(value),
                Err(found) => problems.extend(found.into_iter().map(|(at, why)| (format!("[{index}]{at}"), why))),
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn from_file(&self, value: Value) -> Result<Self::Value, Problems> {
        let Value::Array(list) = value else { return Err(expected("a list of strings", &value)) };
        self.read(list.iter().map(|entry| entry.as_str().ok_or_else(|| expected("a string", entry))))
    }

    fn from_variable(&self, text: &str) -> Result<Self::Value, Problems> {
        let entries: Vec<&str> = text.split(',').map(str::trim).collect();
        self.read(entries.into_iter().map(Ok))
    }

    fn show(&self, value: &Self::Value) -> String {
        format!("[{}]", value.iter().map(|entry| self.each.show(entry)).collect::<Vec<_>>().join(", "))
    }

    fn expects(&self) -> String {
        format!("a list, each {}", self.each.expects())
    }

    fn schema(&self) -> Json {
        let mut schema = json!({ "type": "array", "items": self.each.schema() });
        if let (Some(_), Some(object)) = (self.empty, schema.as_object_mut()) {
            object.insert("minItems".to_owned(), json!(1));
        }
        schema
    }
}

/// One string standing alone, or a list of them.
pub(crate) struct OneOrMore<K>(List<K>);

/// One string standing alone, or a list of them that is not empty, which `empty` says.
pub(crate) fn one_or_more<K>(each: K, empty: &'static str) -> OneOrMore<K> {
    OneOrMore(list(each).not_empty(empty))
}

impl<K: Kind> Kind for OneOrMore<K> {
    type Value = Vec<K::Value>;

    fn from_file(&self, value: Value) -> Result<Self::Value, Problems> {
        match value {
            Value::String(text) => self.0.each.from_variable(&text).map(|value| vec![value]),
            Value::Array(_) => self.0.from_file(value),
            other => Err(expected("a string, or a list of strings", &other)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<Self::Value, Problems> {
        self.0.from_variable(text)
    }

    fn show(&self, value: &Self::Value) -> String {
        match value.as_slice() {
            [one] => self.0.each.show(one),
            _ => self.0.show(value),
        }
    }

    fn expects(&self) -> String {
        format!("{}, or a list", self.0.each.expects())
    }

    fn schema(&self) -> Json {
        json!({ "oneOf": [self.0.each.schema(), self.0.schema()] })
    }
}

/// A URL, which is shown without the password it may hold.
pub(crate) struct Url(Text<String>);

/// A URL that `read` takes.
pub(crate) fn url(read: fn(&str) -> Result<String, String>, expects: &'static str) -> Url {
    Url(text(read, expects))
}

impl Kind for Url {
    type Value = String;

    fn from_file(&self, value: Value) -> Result<String, Problems> {
        self.0.from_file(value)
    }

    fn from_variable(&self, text: &str) -> Result<String, Problems> {
        self.0.from_variable(text)
    }

    fn show(&self, value: &String) -> String {
        format!("{:?}", redact::url(value))
    }

    fn hides(&self, value: &String) -> Option<Secret> {
        Secret::token(value.clone()).ok()
    }

    fn expects(&self) -> String {
        self.0.expects()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }
}
