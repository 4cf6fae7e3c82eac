//! One key: its name, what it does, what it may hold, the variable that says it instead, and its default, in one call.

use super::diagnostics::Diagnostics;
use super::kind::Kind;
use super::record::{Default, Entry, Example, Origin, Shown};
use super::table::Table;

/// A key that is to be read.
pub(crate) struct Key<K> {
    name: &'static str,
    doc: &'static str,
    kind: K,
    variable: Option<&'static str>,
    example: Option<Example>,
    restart: bool,
}

/// What became of asking for something.
pub(crate) enum Found<V> {
    /// Nobody says anything.
    Unset,
    /// Somebody does, wrongly; the error is recorded.
    Faulty,
    /// This.
    Value(V),
}

impl<V> Found<V> {
    /// The value, where there is a good one.
    pub(crate) fn value(self) -> Option<V> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Faulty => None,
        }
    }
}

/// The key `name`, which `doc` explains in a sentence or two and `kind` reads.
pub(crate) const fn key<K: Kind>(name: &'static str, doc: &'static str, kind: K) -> Key<K> {
    Key { name, doc, kind, variable: None, example: None, restart: false }
}

/// What the environment alone says, in variable `name`.
pub(crate) const fn variable<K: Kind>(name: &'static str, doc: &'static str, kind: K) -> Key<K> {
    Key { name: "", doc, kind, variable: Some(name), example: None, restart: false }
}

impl<K: Kind> Key<K> {
    /// The environment variable that wins over the file.
    pub(crate) fn variable(self, name: impl Into<Option<&'static str>>) -> Self {
        Self { variable: name.into(), ..self }
    }

    /// What stands in the commented example.
    pub(crate) fn example(self, example: Example) -> Self {
        Self { example: Some(example), ..self }
    }

    /// A running daemon cannot change it: a reload that would is refused.
    pub(crate) fn takes_a_restart(self) -> Self {
        Self { restart: true, ..self }
    }

    /// Its value, else `default`.
    pub(crate) fn or(self, default: K::Value, table: &mut Table, diagnostics: &mut Diagnostics) -> K::Value {
        let shown = Default::Value(self.kind.show(&default));
        self.else_use(default, shown, table, diagnostics)
    }

    /// Its value, else `default`, which depends on something else, as `words` say ("the preset's").
    pub(crate) fn or_else(
        self,
        default: K::Value,
        words: &'static str,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> K::Value {
        self.else_use(default, Default::Words(words), table, diagnostics)
    }

    /// Its value, where it has one.
    pub(crate) fn maybe(self, table: &mut Table, diagnostics: &mut Diagnostics) -> Found<K::Value> {
        let (found, origin) = self.look(table, diagnostics);
        self.record(Default::None, found.as_ref(), origin, table);
        found
    }

    /// Its value, else `default` where there is one.
    pub(crate) fn or_maybe(
        self,
        default: Option<K::Value>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Option<K::Value> {
        match default {
            Some(default) => Some(self.or(default, table, diagnostics)),
            None => self.maybe(table, diagnostics).value(),
        }
    }

    /// Its value, else `default` where there is one, else the error `problem`.
    pub(crate) fn or_required(
        self,
        default: Option<K::Value>,
        problem: &str,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Option<K::Value> {
        let (found, origin) = self.look(table, diagnostics);
        let words = match &default {
            Some(default) => Default::Value(self.kind.show(default)),
            None => Default::Required,
        };
        if matches!(found, Found::Unset) && default.is_none() {
            table.error(self.name, problem, diagnostics);
        }
        let value = match found {
            Found::Value(value) => Found::Value(value),
            Found::Unset | Found::Faulty => default.map_or(Found::Unset, Found::Value),
        };
        self.record(words, value.as_ref(), origin, table);
        value.value()
    }

    /// Its value; the error `problem` where it has none.
    pub(crate) fn required(self, problem: &str, table: &mut Table, diagnostics: &mut Diagnostics) -> Option<K::Value> {
        self.or_required(None, problem, table, diagnostics)
    }

    fn else_use(self, default: K::Value, words: Default, table: &mut Table, diagnostics: &mut Diagnostics) -> K::Value {
        let (found, origin) = self.look(table, diagnostics);
        let value = found.value().unwrap_or(default);
        self.record(words, Found::Value(&value), origin, table);
        value
    }

    /// What the variable says, else the file. Both are read, so that an error in either is known.
    fn look(&self, table: &mut Table, diagnostics: &mut Diagnostics) -> (Found<K::Value>, Origin) {
        let in_file = table.take(self.name).map(|value| self.kind.from_file(value));
        let in_file = match in_file {
            None => Found::Unset,
            Some(Ok(value)) => Found::Value(value),
            Some(Err(problems)) => {
                let at = table.place_in_file(self.name);
                diagnostics.problems(&at, problems);
                Found::Faulty
            }
        };
        let Some(variable) = self.variable else { return (in_file, Origin::File) };
        let Some(text) = diagnostics.variable(variable) else { return (in_file, Origin::File) };
        table.comes_from(self.name, variable);
        let value = match self.kind.from_variable(&text) {
            Ok(value) => Found::Value(value),
            Err(problems) => {
                diagnostics.problems(variable, problems);
                Found::Faulty
            }
        };
        (value, Origin::Variable(variable))
    }

    fn record(self, default: Default, value: Found<&K::Value>, origin: Origin, table: &mut Table) {
        let value = value.value();
        table.record(Entry {
            key: (!self.name.is_empty()).then_some(self.name),
            variables: self.variable.into_iter().collect(),
            doc: self.doc,
            expects: self.kind.expects(),
            schema: self.kind.schema(),
            default,
            secret: false,
            restart: self.restart,
            example: self.example,
            value: value.map(|value| Shown::Plain(self.kind.show(value), self.kind.hides(value))),
            origin,
        });
    }
}

impl<V> Found<V> {
    /// The same, borrowed.
    pub(crate) const fn as_ref(&self) -> Found<&V> {
        match self {
            Self::Unset => Found::Unset,
            Self::Faulty => Found::Faulty,
            Self::Value(value) => Found::Value(value),
        }
    }
}
