//! What a key may hold several of.

use serde_json::{Value as Json, json};
use toml::Value;

use super::kind::{Kind, Problems, expected, problem};

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
