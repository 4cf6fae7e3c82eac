//! What keys of a source may hold that no other room has: an allowlist, a preset, sinks by name, a status.

use serde_json::{Value as Json, json};
use toml::Value;

use crate::event::Name;
use crate::scheme::{Preset, preset, presets};
use crate::server::networks::Networks;
use crate::settings::Kind;
use crate::settings::kind::{Problems, expected, problem, string};
use crate::settings::lists::{list, strings};

/// Addresses and CIDRs that let somebody in, or the single word `any`.
pub(super) struct AllowedIps;

impl AllowedIps {
    fn read<'a>(entries: impl Iterator<Item = &'a str> + Clone) -> Result<Networks, Problems> {
        if entries.clone().next().is_none() {
            return Err(problem(
                "is empty, which lets nobody in: name addresses and CIDRs, or use the single word `any`",
            ));
        }
        if entries.clone().any(|entry| entry == "any") {
            return Err(problem("`any` stands alone, not in a list"));
        }
        Networks::parse(entries).map_err(|found| found.into_iter().flat_map(problem).collect())
    }
}

impl Kind for AllowedIps {
    type Value = Networks;

    fn from_file(&self, value: Value) -> Result<Networks, Problems> {
        match value.as_str() {
            Some("any") => Ok(Networks::Any),
            Some(_) => Err(problem("expected a list in brackets, or the single word \"any\"")),
            None => Self::read(strings(value)?.iter().map(String::as_str)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<Networks, Problems> {
        if text == "any" { Ok(Networks::Any) } else { Self::read(text.split(',').map(str::trim)) }
    }

    fn show(&self, value: &Networks) -> String {
        match value {
            Networks::Any => "\"any\"".to_owned(),
            Networks::List(list) => format!("{:?}", list.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }

    fn expects(&self) -> String {
        "a list of addresses and CIDRs, or the single word \"any\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "oneOf": [{ "const": "any" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }] })
    }
}

/// The name of a preset.
pub(super) struct PresetName;

impl PresetName {
    /// Every preset, in words.
    pub(super) fn all() -> String {
        presets().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
    }
}

impl Kind for PresetName {
    type Value = &'static Preset;

    fn from_file(&self, value: Value) -> Result<&'static Preset, Problems> {
        self.from_variable(string(&value, "a string")?)
    }

    fn from_variable(&self, text: &str) -> Result<&'static Preset, Problems> {
        preset(text).ok_or_else(|| problem(format!("expected one of {}, found {text:?}", Self::all())))
    }

    fn show(&self, value: &&'static Preset) -> String {
        format!("{:?}", value.name)
    }

    fn expects(&self) -> String {
        format!("one of {}", Self::all())
    }

    fn schema(&self) -> Json {
        json!({ "enum": presets().map(|preset| preset.name).collect::<Vec<_>>() })
    }
}

/// Names of sinks that exist. The `always` one is added, and none is named twice.
pub(super) struct SinkNames<'a> {
    /// Every sink there is.
    pub(super) known: &'a [Name],
    /// The one that gets the events of every source.
    pub(super) always: Option<&'a Name>,
}

impl Kind for SinkNames<'_> {
    type Value = Vec<Name>;

    fn from_file(&self, value: Value) -> Result<Vec<Name>, Problems> {
        let mut chosen = list(SinkName(self.known)).from_file(value)?;
        chosen.extend(self.always.cloned());
        // A name given twice must not deliver twice.
        chosen.sort();
        chosen.dedup();
        Ok(chosen)
    }

    fn from_variable(&self, text: &str) -> Result<Vec<Name>, Problems> {
        list(SinkName(self.known)).from_variable(text)
    }

    fn show(&self, value: &Vec<Name>) -> String {
        list(SinkName(self.known)).show(value)
    }

    fn expects(&self) -> String {
        "a list of sinks' names".to_owned()
    }

    fn schema(&self) -> Json {
        list(SinkName(self.known)).schema()
    }
}

struct SinkName<'a>(&'a [Name]);

impl Kind for SinkName<'_> {
    type Value = Name;

    fn from_file(&self, value: Value) -> Result<Name, Problems> {
        value.as_str().map_or_else(|| Err(expected("a string", &value)), |text| self.from_variable(text))
    }

    fn from_variable(&self, text: &str) -> Result<Name, Problems> {
        self.0.iter().find(|name| name.as_str() == text).cloned().ok_or_else(|| {
            let all = self.0.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
            let all = if all.is_empty() { "there are none".to_owned() } else { format!("there are: {all}") };
            problem(format!("no [[sink]] is called {text:?} ({all})"))
        })
    }

    fn show(&self, value: &Name) -> String {
        format!("{:?}", value.as_str())
    }

    fn expects(&self) -> String {
        "the name of a sink".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}

/// 401 or 410.
pub(super) struct StaleStatus;

impl Kind for StaleStatus {
    type Value = u16;

    fn from_file(&self, value: Value) -> Result<u16, Problems> {
        match value.as_integer() {
            Some(401) => Ok(401),
            Some(410) => Ok(410),
            Some(other) => Err(problem(format!("expected 401 or 410, found {other}"))),
            None => Err(expected("a whole number", &value)),
        }
    }

    fn from_variable(&self, text: &str) -> Result<u16, Problems> {
        text.parse().map_or_else(|_| Err(problem("expected 401 or 410")), |number: i64| self.from_file(number.into()))
    }

    fn show(&self, value: &u16) -> String {
        value.to_string()
    }

    fn expects(&self) -> String {
        "401 or 410".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "enum": [401, 410] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowlist_is_a_word_that_stands_alone_or_a_list_that_lets_somebody_in() {
        let read = |text: &str| AllowedIps.from_file(text.parse::<toml::Table>().unwrap()["a"].clone());
        assert_eq!(read("a = 'any'").unwrap(), Networks::Any);
        let list = read("a = ['10.0.0.0/8', '::1']").unwrap();
        assert_eq!(AllowedIps.show(&list), "[\"10.0.0.0/8\", \"::1/128\"]");
        assert_eq!(AllowedIps.from_variable("10.0.0.0/8, ::1").unwrap(), list);
        for (wrong, problems) in
            [("'10.0.0.1'", 1), ("[]", 1), ("['any']", 1), ("[1, 2]", 2), ("['010.0.0.1', '1.1']", 2)]
        {
            assert_eq!(read(&format!("a = {wrong}")).unwrap_err().len(), problems, "{wrong}");
        }
    }

    #[test]
    fn sinks_are_known_named_once_and_joined_by_the_one_for_all() {
        let (known, always) = (["a", "b", "forward"].map(Name::from), Name::from("forward"));
        let read = |text: &str, always| {
            let value = text.parse::<toml::Table>().unwrap()["a"].clone();
            SinkNames { known: &known, always }.from_file(value)
        };
        let names = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect::<Vec<_>>();
        assert_eq!(read("a = ['b', 'a', 'b']", None).unwrap(), names(&["a", "b"]));
        assert_eq!(read("a = []", Some(&always)).unwrap(), names(&["forward"]));
        assert_eq!(read("a = ['b', 'c']", None).unwrap_err()[0].0, "[1]");
    }

    #[test]
    fn a_stale_request_is_answered_in_one_of_two_ways() {
        for (status, fits) in [(401, true), (410, true), (403, false), (-1, false)] {
            assert_eq!(StaleStatus.from_file(Value::Integer(status)).is_ok(), fits, "{status}");
        }
    }
}
