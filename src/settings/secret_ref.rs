//! How a secret is referred to in the file: `{ env = "…" }`, `{ file = "…" }`, and `{ value = "…" }` for development.

use std::path::PathBuf;

use toml::Value;
use zeroize::Zeroizing;

use super::grammar;

/// Where a secret is to be had from. No `Debug`: it may hold the secret itself.
pub(crate) enum SecretRef {
    /// The environment variable of this name, or the file that the variable with `_FILE` appended names.
    Env(String),
    File(PathBuf),
    /// The value itself. For development; everybody who can read the file knows it.
    Value(Zeroizing<String>),
    /// A plain string where both a string and a reference may stand (`store.url`).
    Plain(Zeroizing<String>),
}

/// A reference in a list of secrets, where each may have a name.
pub(crate) struct Labelled {
    /// Where it stands.
    pub at: String,
    /// Where the secret is to be had from.
    pub reference: SecretRef,
    /// What logs and metrics are to call it.
    pub label: Option<String>,
}

const WANTED: &str = "{ env = \"NAME\" } or { file = \"/path\" }";

impl SecretRef {
    /// Reads a reference.
    ///
    /// # Errors
    /// What to write instead; never the value.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        if value.is_str() {
            let advice = "use { value = \"…\" } if this is only for development";
            return Err(format!("a secret does not stand in the file: refer to it with {WANTED}; {advice}"));
        }
        let Value::Table(table) = value else { return Err(format!("expected {WANTED}")) };
        let mut entries = table.iter();
        match (entries.next(), entries.next()) {
            (Some((key, Value::String(text))), None) => Self::from_pair(key, text),
            (Some((key, _)), None) if ["env", "file", "value"].contains(&key.as_str()) => {
                Err(format!("expected a string after `{key} =`"))
            }
            _ => Err(format!("expected exactly one of env, file and value: {WANTED}")),
        }
    }

    /// Reads a reference, or the text itself where it may stand in the file.
    ///
    /// # Errors
    /// As [`SecretRef::read`].
    pub(crate) fn read_or_text(value: &Value) -> Result<Self, String> {
        value.as_str().map_or_else(|| Self::read(value), |text| Ok(Self::Plain(Zeroizing::new(text.to_owned()))))
    }

    /// Reads a reference beside which a `label` may stand.
    ///
    /// # Errors
    /// As [`SecretRef::read`], or what a label is.
    pub(crate) fn read_labelled(value: &Value) -> Result<(Self, Option<String>), String> {
        let Value::Table(table) = value else { return Self::read(value).map(|reference| (reference, None)) };
        let mut table = table.clone();
        let label = match table.remove("label") {
            None => None,
            Some(Value::String(text)) => Some(grammar::label(&text)?),
            Some(_) => return Err("expected a string after `label =`".to_owned()),
        };
        Ok((Self::read(&Value::Table(table))?, label))
    }

    fn from_pair(key: &str, text: &str) -> Result<Self, String> {
        match key {
            "env" => grammar::variable(text).map(Self::Env),
            "file" => grammar::file(text).map(Self::File),
            "value" => Ok(Self::Value(Zeroizing::new(text.to_owned()))),
            _ => Err(format!("expected {WANTED}, found the key {key:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SecretRef, String> {
        let table: toml::Table = format!("s = {text}").parse().unwrap();
        SecretRef::read(&table["s"])
    }

    #[test]
    fn the_three_forms_are_read() {
        assert!(matches!(read("{ env = 'A_B' }"), Ok(SecretRef::Env(name)) if name == "A_B"));
        assert!(matches!(read("{ file = '/x' }"), Ok(SecretRef::File(path)) if path.to_str() == Some("/x")));
        assert!(matches!(read("{ value = 'v' }"), Ok(SecretRef::Value(value)) if *value == "v"));
    }

    #[test]
    fn a_label_may_stand_beside_a_reference_in_a_list() {
        let read = |text: &str| {
            let table: toml::Table = format!("s = {text}").parse().unwrap();
            SecretRef::read_labelled(&table["s"]).map(|(_, label)| label)
        };
        assert_eq!(read("{ env = 'A' }"), Ok(None));
        assert_eq!(read("{ env = 'A', label = 'tenant-a' }"), Ok(Some("tenant-a".into())));
        for wrong in
            ["{ label = 'a' }", "{ env = 'A', label = '' }", "{ env = 'A', label = 'a b' }", "{ env = 'A', label = 1 }"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(
            super::SecretRef::read(&"x = { env = 'A', label = 'a' }".parse::<toml::Table>().unwrap()["x"]).is_err()
        );
    }

    #[test]
    fn a_literal_is_refused_with_advice_and_not_repeated() {
        let problem = read("'hunter2-hunter2-hunter2'").err().unwrap();
        assert!(problem.contains("{ env = ") && problem.contains("{ file = "), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "{}",
            "{ env = 'A', file = '/x' }",
            "{ env = 1 }",
            "{ vault = 'x' }",
            "{ env = '' }",
            "{ env = 'A=B' }",
            "{ file = '' }",
            "7",
            "[]",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
