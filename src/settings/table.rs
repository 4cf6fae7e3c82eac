//! One table of the file, taken apart key by key; what nobody asked for is an unknown key.

use std::collections::BTreeMap;

use toml::Value;

use super::diagnostics::Diagnostics;
use super::kind::expected;
use super::nearest::suggestion;
use super::record::{Entry, Section, Shown};

/// A table of the file, or one that only variables make, with what was asked of it so far.
pub(crate) struct Table {
    title: String,
    /// Where it stands, `source[1]`; empty for the whole file.
    at: String,
    values: toml::Table,
    known: Vec<&'static str>,
    /// Keys whose value came from a variable, by that variable.
    variables: BTreeMap<&'static str, &'static str>,
    /// The variable that made it, where the file has no such table.
    made_by: Option<&'static str>,
    name: Option<String>,
    entries: Vec<Entry>,
    inner: Vec<Section>,
}

impl Table {
    /// The table `values`, which stands at `at` (`source[1]`) under `title` (`[[source]]`).
    pub(crate) fn new(title: impl Into<String>, at: impl Into<String>, values: toml::Table) -> Self {
        Self {
            title: title.into(),
            at: at.into(),
            values,
            known: Vec::new(),
            variables: BTreeMap::new(),
            made_by: None,
            name: None,
            entries: Vec::new(),
            inner: Vec::new(),
        }
    }

    /// A table that the file does not have and `variable` makes.
    pub(crate) fn made_by(title: impl Into<String>, variable: &'static str) -> Self {
        Self { made_by: Some(variable), ..Self::new(title, "", toml::Table::new()) }
    }

    /// Says what tells it from others of its title.
    pub(crate) fn is_called(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    /// What to call `key` (`secrets[1]`) in an error: the variable that its value came from, else its place in the file,
    /// else the variable that made the table.
    pub(crate) fn place(&self, key: &str) -> String {
        let root = key.split(['[', '.']).next().unwrap_or(key);
        match (self.variables.get(root), self.made_by) {
            (Some(variable), _) => key.replacen(root, variable, 1),
            (None, Some(variable)) => variable.to_owned(),
            (None, None) => self.place_in_file(key),
        }
    }

    /// Where `key` stands in the file.
    pub(crate) fn place_in_file(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Where the table stands in the file: `tls.certificate[1]`.
    pub(crate) fn stands_at(&self) -> &str {
        &self.at
    }

    /// Whether the file has `key` and nobody took it yet.
    pub(crate) fn holds(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Every key that was asked of it so far.
    pub(crate) fn asked(&self) -> &[&'static str] {
        &self.known
    }

    /// Records that something is wrong with `key`.
    pub(crate) fn error(&self, key: &str, problem: impl Into<String>, diagnostics: &mut Diagnostics) {
        diagnostics.error(self.place(key), problem);
    }

    /// Whether an error about `key` is recorded.
    pub(crate) fn is_faulty(&self, key: &str, diagnostics: &Diagnostics) -> bool {
        diagnostics.is_faulty(&self.place_in_file(key)) || diagnostics.is_faulty(&self.place(key))
    }

    /// Refuses keys that have no meaning here, as `why` says.
    pub(crate) fn misplaced(&mut self, keys: &[&'static str], why: &str, diagnostics: &mut Diagnostics) {
        for key in keys {
            if self.take(key).is_some() {
                diagnostics.error(self.place_in_file(key), why);
            }
        }
    }

    /// Drops what nobody took: it cannot be judged, and calling it unknown would be wrong.
    pub(crate) fn forgive(&mut self) {
        self.values.clear();
    }

    /// Leaves `key` out of what is shown: it has no effect beside the other keys.
    pub(crate) fn hide(&mut self, key: &str) {
        for entry in self.entries.iter_mut().filter(|entry| entry.key == Some(key)) {
            entry.value = None;
        }
    }

    /// Shows `value` for `key` instead of what was read.
    pub(crate) fn show(&mut self, key: &str, value: Shown) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == Some(key)) {
            entry.value = Some(value);
        }
    }

    /// Whether nothing is left that nobody took.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Takes the table `key`; an empty one where it is absent or not a table.
    pub(crate) fn table(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Self {
        let at = self.place_in_file(key);
        let title = format!("[{at}]");
        let values = match self.take(key) {
            None => toml::Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                diagnostics.problems(&at, expected(&format!("a section, [{at}]"), &other));
                toml::Table::new()
            }
        };
        Self::new(title, at, values)
    }

    /// Takes an array of tables, `[[key]]` or `[{…}, {…}]`.
    pub(crate) fn tables(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let at = self.place_in_file(key);
        let title = format!("[[{}]]", without_positions(&at));
        let list = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(list)) => list,
            Some(other) => {
                diagnostics.problems(&at, expected(&format!("a list of tables, {title}"), &other));
                Vec::new()
            }
        };
        let mut tables = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let at = format!("{at}[{index}]");
            if let Value::Table(values) = value {
                tables.push(Self::new(title.clone(), at, values));
            } else {
                diagnostics.problems(&at, expected("a table", &value));
            }
        }
        tables
    }

    /// Takes what stands at `key`.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.values.remove(key)
    }

    /// Notes that the value of `key` came from `variable`.
    pub(crate) fn comes_from(&mut self, key: &'static str, variable: &'static str) {
        self.variables.insert(key, variable);
    }

    /// Keeps the record of a key.
    pub(super) fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Ends a table within `outer`: what is left in it is unknown.
    pub(crate) fn finish_in(self, outer: &mut Self, diagnostics: &mut Diagnostics) {
        let section = self.end(diagnostics);
        outer.inner.push(section);
    }

    /// Ends it: what is left in it is unknown, what was asked of it is recorded.
    pub(crate) fn finish(self, diagnostics: &mut Diagnostics) {
        let section = self.end(diagnostics);
        diagnostics.record(section);
    }

    /// What was asked of it, whatever else it holds.
    pub(crate) fn into_section(self) -> Section {
        Section { title: self.title, name: self.name, entries: self.entries, inner: self.inner }
    }

    /// Ends it; whoever asked keeps what was asked of it.
    pub(super) fn end(self, diagnostics: &mut Diagnostics) -> Section {
        for key in self.values.keys() {
            let problem = format!("unknown key{}", suggestion(key, self.known.iter().copied()));
            diagnostics.error(self.place_in_file(key), problem);
        }
        self.into_section()
    }
}

/// `source[1].keys` without its positions: `source.keys`.
fn without_positions(at: &str) -> String {
    at.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}
