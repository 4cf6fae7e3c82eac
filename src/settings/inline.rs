//! A key that holds a small table on one line: `basic = { user = "…", password = { file = "…" } }`.

use std::collections::BTreeMap;

use toml::Value;

use super::diagnostics::Diagnostics;
use super::key::Found;
use super::kind::expected;
use super::record::{Default, Entry, Example, Origin, Section, Shown, together};
use super::schema::of_section;
use super::table::Table;

/// A key whose value is a table with keys of its own.
pub(crate) struct InlineKey {
    name: &'static str,
    doc: &'static str,
    example: &'static str,
}

/// The key `name`, which `doc` explains; `example` stands in the commented example, commented out, as TOML.
pub(crate) const fn inline(name: &'static str, doc: &'static str, example: &'static str) -> InlineKey {
    InlineKey { name, doc, example }
}

impl InlineKey {
    /// What `read` makes of the table, which it asks for every key whether or not there is one. `None` of it is an error
    /// that it recorded.
    pub(crate) fn read<V>(
        self,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
        read: impl FnOnce(&mut Table, &mut Diagnostics) -> Option<V>,
    ) -> Found<V> {
        let at = table.place_in_file(self.name);
        let absent = match table.take(self.name) {
            Some(Value::Table(values)) => {
                let mut inner = Table::new("", at, values);
                let found = read(&mut inner, diagnostics);
                self.record(&inner.end(diagnostics), found.is_some(), table);
                return found.map_or(Found::Faulty, Found::Value);
            }
            Some(other) => {
                diagnostics.problems(&at, expected("a table in braces", &other));
                Found::Faulty
            }
            None => Found::Unset,
        };
        // Only so that its keys are known.
        let nothing = BTreeMap::new();
        let (mut inner, mut unheard) = (Table::new("", at, toml::Table::new()), Diagnostics::new(&nothing));
        read(&mut inner, &mut unheard);
        self.record(&inner.end(&mut unheard), false, table);
        absent
    }

    fn record(self, inner: &Section, holds: bool, table: &mut Table) {
        let entries = || inner.entries.iter().filter_map(|entry| entry.key.map(|key| (key, entry)));
        let said = entries().filter_map(|(key, entry)| Some((key, entry.value.as_ref()?)));
        let shown: Vec<String> = said.clone().map(|(key, value)| format!("{key} = {}", value.written())).collect();
        let hidden = together(said.flat_map(|(_, value)| value.secrets()));
        let keys: Vec<String> = entries().map(|(key, entry)| describe(key, entry)).collect();
        table.record(Entry {
            key: Some(self.name),
            variables: Vec::new(),
            doc: self.doc,
            expects: format!("a table: {}", keys.join("; ")),
            schema: of_section(inner, None),
            default: Default::None,
            secret: false,
            restart: false,
            example: Some(Example::Off(self.example)),
            value: holds.then(|| Shown::Plain(format!("{{ {} }}", shown.join(", ")), hidden)),
            origin: Origin::File,
        });
    }
}

fn describe(key: &str, entry: &Entry) -> String {
    let required = if entry.default == Default::Required { "required, " } else { "" };
    format!("{key} ({required}{}): {}", entry.expects, entry.doc.trim_end_matches('.'))
}
