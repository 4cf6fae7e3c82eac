//! Keys that hold secrets, or text that may hold one: shown by their origin alone.

use serde_json::{Value as Json, json};
use toml::Value;
use zeroize::Zeroizing;

use super::diagnostics::Diagnostics;
use super::key::Found;
use super::kind::expected;
use super::record::{Default, Entry, Example, Hidden, Origin, Shown};
use super::redact;
use super::secret_ref::{Labelled, SecretRef};
use super::secret_source::{Lookup, Raw, THE_FILE};
use super::secret_variables::Variables;
use super::table::Table;
use crate::secret::Secret;

/// A key that holds a secret.
pub(crate) struct SecretKey {
    name: &'static str,
    doc: &'static str,
    variable: Option<&'static str>,
    example: Option<Example>,
    restart: bool,
    required: bool,
}

/// The key `name`, which `doc` explains in a sentence or two and which refers to a secret.
pub(crate) const fn secret(name: &'static str, doc: &'static str) -> SecretKey {
    SecretKey { name, doc, variable: None, example: None, restart: false, required: false }
}

/// A secret that the environment alone says, in variable `name` or in the file that the name with `_FILE` appended names.
pub(crate) const fn secret_variable(name: &'static str, doc: &'static str) -> SecretKey {
    SecretKey { name: "", doc, variable: Some(name), example: None, restart: false, required: false }
}

/// Text that was found, and the place to name when it turns out to be wrong.
pub(crate) struct Located {
    /// The text; it may hold a password.
    pub(crate) text: Zeroizing<String>,
    /// The variable or key it came from.
    pub(crate) at: String,
    /// Where it came from in words, as `check` tells it.
    pub(crate) origin: String,
}

impl Located {
    /// The text, and where it came from unless whoever shows it says so anyway.
    fn shown(&self) -> (&str, String) {
        let said = self.origin == THE_FILE || self.origin.starts_with("variable");
        (&self.text, if said { String::new() } else { format!(" from {}", self.origin) })
    }
}

/// What was found and is still to be accepted.
struct Looked {
    raw: Raw,
    /// The place to name when it turns out to be wrong.
    at: String,
    label: Option<String>,
    origin: Origin,
}

impl Looked {
    fn text(self, diagnostics: &mut Diagnostics) -> Found<(Located, Origin)> {
        let Ok(text) = str::from_utf8(&self.raw.bytes) else {
            diagnostics.error(self.at, "expected text");
            return Found::Faulty;
        };
        let text = Zeroizing::new(text.trim().to_owned());
        Found::Value((Located { text, at: self.at, origin: self.raw.origin }, self.origin))
    }
}

/// Reads what stands in the file: where the secret is, and its label.
type Refer = fn(&Value) -> Result<(SecretRef, Option<String>), String>;

type Accept<'v> = fn(&mut Diagnostics<'v>, &str, &mut Raw) -> Option<Secret>;

impl SecretKey {
    /// The environment variable that wins over the file; it also exists with `_FILE` appended.
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

    /// Something has to be said; whoever reads it says so.
    pub(crate) fn needed(self) -> Self {
        Self { required: true, ..self }
    }

    /// A secret that keys a MAC: at least 16 bytes.
    pub(crate) fn mac_key<'v>(self, table: &mut Table, diagnostics: &mut Diagnostics<'v>) -> Found<Secret> {
        self.read(plain, Diagnostics::<'v>::mac_key, |_| None, table, diagnostics)
    }

    /// A credential that is sent as it stands, of any length.
    pub(crate) fn token<'v>(self, table: &mut Table, diagnostics: &mut Diagnostics<'v>) -> Found<Secret> {
        self.read(plain, Diagnostics::<'v>::token, |_| None, table, diagnostics)
    }

    /// A credential that stands in an HTTP header.
    pub(crate) fn bearer<'v>(self, table: &mut Table, diagnostics: &mut Diagnostics<'v>) -> Found<Secret> {
        self.read(plain, Diagnostics::<'v>::bearer, |_| None, table, diagnostics)
    }

    /// A secret that keys a MAC and may have a label; `called` says what logs call it.
    pub(crate) fn labelled_mac_key<'v>(
        self,
        called: impl FnOnce(&Secret) -> String,
        table: &mut Table,
        diagnostics: &mut Diagnostics<'v>,
    ) -> Found<Secret> {
        let called = |secret: &Secret| Some(called(secret));
        self.read(SecretRef::read_labelled, Diagnostics::<'v>::mac_key, called, table, diagnostics)
    }

    /// Text that may stand in the file, or be referred to because it holds a password; `default` where nobody says
    /// anything.
    pub(crate) fn text(
        self,
        default: Option<&str>,
        table: &mut Table,
        diagnostics: &mut Diagnostics,
    ) -> Found<Located> {
        let found = match self.look(plain_or_text, table, diagnostics) {
            Found::Value(looked) => looked.text(diagnostics),
            Found::Unset => Found::Unset,
            Found::Faulty => Found::Faulty,
        };
        let (text, origin) = match &found {
            Found::Value((located, origin)) => (Some(located.shown()), *origin),
            Found::Unset | Found::Faulty => (default.map(|text| (text, String::new())), Origin::Default),
        };
        let shown = text.map(|(text, from)| {
            Shown::Plain(format!("{:?}", format!("{}{from}", redact::url(text))), Secret::token(text).ok())
        });
        let words = default.map_or(Default::None, |default| Default::Value(format!("{default:?}")));
        let schema = json!({ "oneOf": [{ "type": "string" }, reference_schema()] });
        table.record(self.entry(words, "a string, or a secret's reference".to_owned(), schema, shown, origin));
        match found {
            Found::Value((located, _)) => Found::Value(located),
            Found::Unset => Found::Unset,
            Found::Faulty => Found::Faulty,
        }
    }

    fn read<'v>(
        self,
        refer: Refer,
        accept: Accept<'v>,
        called: impl FnOnce(&Secret) -> Option<String>,
        table: &mut Table,
        diagnostics: &mut Diagnostics<'v>,
    ) -> Found<Secret> {
        let (secret, origin) = match self.look(refer, table, diagnostics) {
            Found::Unset => {
                self.record_secret(None, None, Origin::Default, table);
                return Found::Unset;
            }
            Found::Faulty => (None, Origin::Default),
            Found::Value(mut looked) => {
                let secret = accept(diagnostics, &looked.at, &mut looked.raw);
                (secret.map(|secret| (secret.labelled(looked.label), looked.raw.origin)), looked.origin)
            }
        };
        let shown = secret.as_ref().map(|(secret, from)| (secret, from.as_str()));
        let called = shown.and_then(|(secret, _)| called(secret));
        self.record_secret(shown, called, origin, table);
        secret.map_or(Found::Faulty, |(secret, _)| Found::Value(secret))
    }

    /// What the variable says, else what the file refers to, as `refer` reads it.
    fn look(&self, refer: Refer, table: &mut Table, diagnostics: &mut Diagnostics) -> Found<Looked> {
        let at = table.place_in_file(self.name);
        // Read even when the environment replaces it, so that its form is checked.
        let in_file = match table.take(self.name).map(|value| refer(&value)) {
            None => Found::Unset,
            Some(Ok(reference)) => Found::Value(reference),
            Some(Err(problem)) => {
                diagnostics.error(&at, problem);
                Found::Faulty
            }
        };
        let looked_up = self.variable.map_or(Lookup::Unset, |variable| diagnostics.secret_variable(variable));
        match (looked_up, in_file, self.variable) {
            (Lookup::Found(raw), _, Some(variable)) => {
                table.comes_from(self.name, variable);
                Found::Value(Looked { raw, at: variable.to_owned(), label: None, origin: Origin::Variable(variable) })
            }
            (Lookup::Unset, Found::Unset, _) => Found::Unset,
            (Lookup::Unset, Found::Value((reference, label)), _) => match diagnostics.resolve(&at, reference) {
                Some(raw) => Found::Value(Looked { raw, at, label, origin: Origin::File }),
                None => Found::Faulty,
            },
            _ => Found::Faulty,
        }
    }

    fn record_secret(self, secret: Option<(&Secret, &str)>, called: Option<String>, origin: Origin, table: &mut Table) {
        let shown = secret
            .map(|(secret, from)| Shown::Secret(Hidden { origin: from.to_owned(), secret: secret.clone(), called }));
        let default = if self.required { Default::Required } else { Default::None };
        let entry = self.entry(default, "a secret's reference".to_owned(), reference_schema(), shown, origin);
        table.record(Entry { secret: true, ..entry });
    }

    fn entry(&self, default: Default, expects: String, schema: Json, value: Option<Shown>, origin: Origin) -> Entry {
        Entry {
            key: (!self.name.is_empty()).then_some(self.name),
            variables: self.variable.into_iter().collect(),
            doc: self.doc,
            expects,
            schema,
            default,
            secret: true,
            restart: self.restart,
            example: self.example,
            value,
            origin,
        }
    }
}

/// A key that holds a list of secrets that key MACs, the first of which is primary.
pub(crate) struct SecretsKey {
    name: &'static str,
    doc: &'static str,
    variables: Option<Variables>,
}

/// The key `name`, which `doc` explains in a sentence or two and which lists secrets.
pub(crate) const fn secrets(name: &'static str, doc: &'static str) -> SecretsKey {
    SecretsKey { name, doc, variables: None }
}

impl SecretsKey {
    /// The variables that win over the file.
    pub(crate) fn variables(self, variables: Option<impl Into<Variables>>) -> Self {
        Self { variables: variables.map(Into::into), ..self }
    }

    /// The secrets without those that are faulty; an error where there are none at all.
    pub(crate) fn read(self, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<Secret> {
        self.look(true, table, diagnostics)
    }

    /// The secrets without those that are faulty; none where nobody says anything.
    pub(crate) fn maybe(self, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<Secret> {
        self.look(false, table, diagnostics)
    }

    fn look(self, required: bool, table: &mut Table, diagnostics: &mut Diagnostics) -> Vec<Secret> {
        let at = table.place_in_file(self.name);
        // Taken even when the environment replaces it, so that its form is checked.
        let in_file = table.take(self.name).map(|value| references(&at, value, diagnostics));
        let from_variables = self.variables.and_then(|variables| variables.read(diagnostics));
        let (found, origin) = match (from_variables, in_file) {
            (Some((variable, secrets)), _) => {
                table.comes_from(self.name, variable);
                (secrets, Origin::Variable(variable))
            }
            (None, Some(references)) => {
                let keys = references.into_iter().filter_map(|reference| keyed(reference, diagnostics)).collect();
                (keys, Origin::File)
            }
            (None, None) => {
                if required {
                    let example = "is missing: name at least one, [{ file = \"/run/secrets/name\" }]";
                    diagnostics.error(table.place(self.name), example);
                }
                (Vec::new(), Origin::Default)
            }
        };
        let default = if required { Default::Required } else { Default::None };
        self.record(&found, default, origin, table);
        found.into_iter().map(|(secret, _)| secret).collect()
    }

    fn record(self, found: &[(Secret, String)], default: Default, origin: Origin, table: &mut Table) {
        let hidden = found.iter().map(|(secret, from)| Hidden {
            origin: from.clone(),
            secret: secret.clone(),
            called: Some(secret.name()),
        });
        let variables = self.variables.map(Variables::names).unwrap_or_default();
        // Nothing is shown of what nobody said.
        let value =
            (default == Default::Required || origin != Origin::Default).then(|| Shown::Secrets(hidden.collect()));
        table.record(Entry {
            key: Some(self.name),
            variables,
            doc: self.doc,
            expects: "a list of secrets' references, each perhaps with a label".to_owned(),
            schema: json!({ "type": "array", "minItems": 1, "items": labelled_schema() }),
            default,
            secret: true,
            restart: false,
            example: None,
            value,
            origin,
        });
    }
}

fn references(at: &str, value: Value, diagnostics: &mut Diagnostics) -> Vec<Labelled> {
    let Value::Array(list) = value else {
        diagnostics.problems(at, expected("a list of secrets such as [{ file = \"/run/secrets/name\" }]", &value));
        return Vec::new();
    };
    if list.is_empty() {
        diagnostics.error(at, "is empty: name at least one secret, [{ file = \"/run/secrets/name\" }]");
    }
    list.iter()
        .enumerate()
        .filter_map(|(index, value)| labelled(&format!("{at}[{index}]"), value, diagnostics))
        .collect()
}

fn labelled(at: &str, value: &Value, diagnostics: &mut Diagnostics) -> Option<Labelled> {
    let read = SecretRef::read_labelled(value).map_err(|problem| diagnostics.error(at, problem)).ok();
    read.map(|(reference, label)| Labelled { at: at.to_owned(), reference, label })
}

fn plain(value: &Value) -> Result<(SecretRef, Option<String>), String> {
    SecretRef::read(value).map(|reference| (reference, None))
}

fn plain_or_text(value: &Value) -> Result<(SecretRef, Option<String>), String> {
    SecretRef::read_or_text(value).map(|reference| (reference, None))
}

/// The key that was referred to, and where it came from.
fn keyed(found: Labelled, diagnostics: &mut Diagnostics) -> Option<(Secret, String)> {
    let mut raw = diagnostics.resolve(&found.at, found.reference)?;
    let secret = diagnostics.mac_key(&found.at, &mut raw)?;
    Some((secret.labelled(found.label), raw.origin))
}

/// `{ env = "NAME" }`, `{ file = "/path" }` or `{ value = "…" }`.
pub(super) fn reference_schema() -> Json {
    let one = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name], "additionalProperties": false });
    json!({ "oneOf": [one("env"), one("file"), one("value")] })
}

fn labelled_schema() -> Json {
    let one = |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" }, "label": { "type": "string" } }, "required": [name], "additionalProperties": false });
    json!({ "oneOf": [one("env"), one("file"), one("value")] })
}
