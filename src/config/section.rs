//! One table of the file, taken apart key by key; what nobody asked for is an unknown key, and every fault is kept.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};

use crate::settings::ConfigError;
use crate::settings::SecretRef;
use crate::settings::duration;
use crate::settings::suggestion;

/// A table of the file and the faults found in it so far.
pub(super) struct Section {
    /// Where it stands, `source[1]`; empty for the whole file.
    at: String,
    table: Table,
    known: Vec<&'static str>,
    faults: Vec<ConfigError>,
}

impl Section {
    /// The table `table` at `at`.
    pub(super) fn new(at: impl Into<String>, table: Table) -> Self {
        Self { at: at.into(), table, known: Vec::new(), faults: Vec::new() }
    }

    /// The full name of `key` in this table.
    pub(super) fn at(&self, key: &str) -> String {
        if self.at.is_empty() { key.to_owned() } else { format!("{}.{key}", self.at) }
    }

    /// Whether `key` is there and nobody took it yet.
    pub(super) fn holds(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a fault about `key` is recorded here.
    pub(super) fn faulted(&self, key: &str) -> bool {
        let at = self.at(key);
        self.faults.iter().any(|fault| fault.at.starts_with(&at))
    }

    /// Records a fault where `key` is not there.
    pub(super) fn require(&mut self, key: &'static str, problem: &str) {
        if !self.holds(key) {
            self.fault(key, problem);
        }
    }

    /// Records a fault at `key`.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>) {
        self.faults.push(ConfigError::new(self.at(key), problem));
    }

    /// Takes `key` away because it has no meaning here.
    pub(super) fn misplaced(&mut self, keys: &[&'static str], why: &str) {
        for key in keys {
            self.known.push(key);
            if self.table.remove(*key).is_some() {
                self.fault(key, why);
            }
        }
    }

    /// Takes a string.
    pub(super) fn string(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => self.expected(key, "a string", &other),
        }
    }

    /// Takes a string and reads it with `read`, whose error says what was expected.
    pub(super) fn parse<T>(&mut self, key: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.string(key)?;
        read(&text).map_err(|problem| self.fault(key, problem)).ok()
    }

    /// Takes a duration within `range`.
    pub(super) fn duration(&mut self, key: &'static str, range: &RangeInclusive<Duration>) -> Option<Duration> {
        match self.take(key)? {
            Value::String(text) => {
                duration::parse_within(&text, range).map_err(|problem| self.fault(key, problem)).ok()
            }
            other => self.expected(key, "a number and a unit in quotes, such as \"10s\"", &other),
        }
    }

    /// Takes a whole number within `range`.
    pub(super) fn number(&mut self, key: &'static str, range: &RangeInclusive<u64>) -> Option<u64> {
        match self.take(key)? {
            Value::Integer(number) => {
                let fitting = u64::try_from(number).ok().filter(|number| range.contains(number));
                if fitting.is_none() {
                    let (from, to) = (range.start(), range.end());
                    self.fault(key, format!("expected a number from {from} to {to}, found {number}"));
                }
                fitting
            }
            other => self.expected(key, "a whole number", &other),
        }
    }

    /// Takes a whole number within `range` that counts things in memory.
    pub(super) fn size(&mut self, key: &'static str, range: &RangeInclusive<u64>) -> Option<usize> {
        self.number(key, range).and_then(|number| usize::try_from(number).ok())
    }

    /// Takes the path of a file.
    pub(super) fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.parse(key, super::syntax::file)
    }

    /// Takes a list of strings. `None` where it is absent or not such a list.
    pub(super) fn strings(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        self.strings_in(key, value)
    }

    /// Takes a reference to a secret.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let value = self.take(key)?;
        self.secret_in(key, &value)
    }

    /// Takes a string, or a reference to a secret, that holds a URL which may hold a password.
    pub(super) fn secret_or_string(&mut self, key: &'static str) -> Option<SecretRef> {
        match self.take(key)? {
            Value::String(text) => Some(SecretRef::literal(text)),
            other => self.secret_in(key, &other),
        }
    }

    /// Takes a sub-table; an empty one where it is absent or not a table.
    pub(super) fn table(&mut self, key: &'static str) -> Self {
        let at = self.at(key);
        match self.take(key) {
            None => Self::new(at, Table::new()),
            Some(Value::Table(table)) => Self::new(at, table),
            Some(other) => {
                self.expected::<()>(key, &format!("a section, [{at}]"), &other);
                Self::new(at, Table::new())
            }
        }
    }

    /// Takes an array of tables, `[[key]]` or `[{…}, {…}]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Self> {
        let wanted = format!("a list of tables, [[{}]]", self.at(key));
        let mut found = Vec::new();
        for (index, value) in self.list(key, &wanted).unwrap_or_default().into_iter().enumerate() {
            let place = format!("{key}[{index}]");
            match value {
                Value::Table(table) => found.push(Self::new(self.at(&place), table)),
                other => _ = self.expected::<()>(&place, "a table", &other),
            }
        }
        found
    }

    /// Hands over the faults, those about keys that nobody took included.
    pub(super) fn finish(mut self, faults: &mut Vec<ConfigError>) {
        for key in self.table.keys() {
            let problem = format!("unknown key{}", suggestion(key, self.known.iter().copied()));
            self.faults.push(ConfigError::new(self.at(key), problem));
        }
        faults.append(&mut self.faults);
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn list(&mut self, key: &'static str, wanted: &str) -> Option<Vec<Value>> {
        match self.take(key)? {
            Value::Array(list) => Some(list),
            other => self.expected(key, wanted, &other),
        }
    }

    fn strings_in(&mut self, key: &str, value: Value) -> Option<Vec<String>> {
        let Value::Array(list) = value else { return self.expected(key, "a list of strings", &value) };
        let mut strings = Vec::new();
        let length = list.len();
        for (index, value) in list.into_iter().enumerate() {
            match value {
                Value::String(text) => strings.push(text),
                other => _ = self.expected::<()>(&format!("{key}[{index}]"), "a string", &other),
            }
        }
        (strings.len() == length).then_some(strings)
    }

    fn secret_in(&mut self, key: &str, value: &Value) -> Option<SecretRef> {
        SecretRef::read(value).map_err(|problem| self.fault(key, problem)).ok()
    }

    /// The value itself is never told: it may be a secret in the wrong place.
    fn expected<T>(&mut self, key: &str, wanted: &str, found: &Value) -> Option<T> {
        self.fault(key, format!("expected {wanted}, found {}", kind(found)));
        None
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a float",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> Section {
        Section::new("s", text.parse().unwrap())
    }

    fn faults(section: Section) -> Vec<String> {
        let mut faults = Vec::new();
        section.finish(&mut faults);
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_is_kept_and_none_shows_the_value() {
        let mut section = section("a = 1\nb = 'hunter2'\nc = ['x', 2, 3]\nd = -1\ntimeot = 1\n[[e]]\n[f]\n");
        assert_eq!(section.string("a"), None);
        assert_eq!(section.number("b", &(1..=9)), None);
        assert_eq!(section.strings("c"), None);
        assert_eq!(section.number("d", &(1..=9)), None);
        assert!(section.table("e").table.is_empty());
        assert!(section.tables("f").is_empty());
        assert_eq!(section.string("timeout"), None);
        let found = faults(section);
        let expected = [
            "s.a: expected a string, found an integer",
            "s.b: expected a whole number, found a string",
            "s.c[1]: expected a string, found an integer",
            "s.c[2]: expected a string, found an integer",
            "s.d: expected a number from 1 to 9, found -1",
            "s.e: expected a section, [s.e], found a list",
            "s.f: expected a list of tables, [[s.f]], found a table",
            "s.timeot: unknown key (did you mean timeout?)",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_misplaced_key_is_one_fault() {
        let mut section = section("region = 1\n");
        section.misplaced(&["region", "service"], "no");
        assert_eq!(faults(section), ["s.region: no"]);
    }

    #[test]
    fn durations_need_a_unit() {
        let mut section = section("a = 10\nb = '10s'\nc = '10'\n");
        let range = Duration::ZERO..=Duration::from_mins(1);
        assert_eq!(section.duration("a", &range), None);
        assert_eq!(section.duration("b", &range), Some(Duration::from_secs(10)));
        assert_eq!(section.duration("c", &range), None);
        assert_eq!(faults(section).len(), 2);
    }
}
