//! A key that holds a table of texts under names that nobody knows beforehand, each of which may be a secret:
//! `headers = { "X-Env" = "prod", "X-Api-Key" = { file = "…" } }`.

use serde_json::json;
use toml::Value;
use zeroize::Zeroizing;

use super::diagnostics::Diagnostics;
use super::kind::expected;
use super::record::{Default, Entry, Example, Origin, Shown, together};
use super::redact::REDACTED;
use super::secret_key::reference_schema;
use super::secret_ref::SecretRef;
use super::secret_source::THE_FILE;
use super::table::Table;
use crate::secret::Secret;

/// A key whose value is a table of texts.
pub(crate) struct TextTableKey {
    name: &'static str,
    doc: &'static str,
    example: &'static str,
}

/// One text of such a table. No `Debug`: it may be a secret.
pub(crate) struct NamedText {
    /// What stands before it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) at: String,
    /// The bytes as they were found.
    pub(crate) value: Zeroizing<Vec<u8>>,
    origin: String,
}

/// The key `name`, which `doc` explains; `example` stands in the commented example, commented out, as TOML.
pub(crate) const fn text_table(name: &'static str, doc: &'static str, example: &'static str) -> TextTableKey {
    TextTableKey { name, doc, example }
}

impl TextTableKey {
    /// What stands there, a string for itself and a reference for the secret that it refers to. Faulty ones are recorded
    /// and left out.
    pub(crate) fn read(self, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<NamedText> {
        let at = table.place_in_file(self.name);
        let values = match table.take(self.name) {
            None => None,
            Some(Value::Table(values)) => Some(values),
            Some(other) => {
                diagnostics.problems(&at, expected("a table in braces", &other));
                None
            }
        };
        let said = values.is_some();
        let texts: Vec<NamedText> =
            values.into_iter().flatten().filter_map(|(name, value)| named(&at, name, &value, diagnostics)).collect();
        self.record(said.then_some(texts.as_slice()), table);
        texts
    }

    fn record(self, texts: Option<&[NamedText]>, table: &mut Table) {
        let value = texts.map(|texts| {
            let shown: Vec<String> = texts.iter().map(NamedText::shown).collect();
            let hidden: Vec<Secret> = texts.iter().filter_map(NamedText::hidden).collect();
            Shown::Plain(format!("{{ {} }}", shown.join(", ")), together(&hidden))
        });
        table.record(Entry {
            key: Some(self.name),
            variables: Vec::new(),
            doc: self.doc,
            expects: "a table of names, each with a string or a secret's reference".to_owned(),
            schema: json!({
                "type": "object",
                "additionalProperties": { "oneOf": [{ "type": "string" }, reference_schema()] },
            }),
            default: Default::None,
            secret: false,
            restart: false,
            example: Some(Example::Off(self.example)),
            value,
            origin: Origin::File,
        });
    }
}

impl NamedText {
    fn is_secret(&self) -> bool {
        self.origin != THE_FILE
    }

    fn shown(&self) -> String {
        let value = if self.is_secret() {
            format!("{REDACTED} from {}", self.origin)
        } else {
            String::from_utf8_lossy(&self.value).into_owned()
        };
        format!("{:?} = {value:?}", self.name)
    }

    fn hidden(&self) -> Option<Secret> {
        if self.is_secret() { Secret::token(self.value.to_vec()).ok() } else { None }
    }
}

fn named(at: &str, name: String, value: &Value, diagnostics: &mut Diagnostics) -> Option<NamedText> {
    let at = format!("{at}.{name}");
    let reference = SecretRef::read_or_text(value).map_err(|problem| diagnostics.error(&at, problem)).ok()?;
    let raw = diagnostics.resolve(&at, reference)?;
    Some(NamedText { name, at, value: raw.bytes, origin: raw.origin })
}
