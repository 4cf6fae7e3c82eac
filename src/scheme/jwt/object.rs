//! One JSON object, strictly: no name twice (RFC 7519, section 4), nothing behind it. Values stay as they are spelled
//! until somebody asks for one; an object within is held to the same when it is gone through.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The last second of the year 9999: whatever is beyond is no time, but milliseconds or junk.
const LAST: u64 = 253_402_300_799;

/// The members of an object.
pub(super) struct Object<'a>(BTreeMap<String, &'a RawValue>);

/// A value as it is spelled.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(&'a RawValue);

impl<'a> Object<'a> {
    /// Reads `bytes`; `None` where they are not one object in UTF-8 with every name once.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(bytes).ok()?).ok()
    }

    /// What stands at `name`.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.get(name).map(|value| Value(value))
    }

    /// What stands at a JSON pointer (RFC 6901) through objects.
    pub(super) fn at(&self, pointer: &str) -> Option<Value<'a>> {
        let mut names = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
        let first = self.get(&names.next()?)?;
        names.try_fold(first, |value, name| Self::read(value.0.get().as_bytes())?.get(&name))
    }
}

impl Value<'_> {
    /// The text of a string.
    pub(super) fn text(self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    /// The texts of a string or of an array of strings.
    pub(super) fn texts(self) -> Option<Vec<String>> {
        self.text().map(|text| vec![text]).or_else(|| serde_json::from_str(self.0.get()).ok())
    }

    /// A string, or an integer as it is spelled.
    pub(super) fn name(self) -> Option<String> {
        let spelled = self.0.get();
        let digits = spelled.strip_prefix('-').unwrap_or(spelled);
        let integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if integer { Some(spelled.to_owned()) } else { self.text() }
    }

    /// A `NumericDate` (RFC 7519, section 2), whole seconds since 1970; parts of a second are dropped.
    pub(super) fn time(self) -> Option<i64> {
        let spelled = self.0.get();
        if !spelled.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let whole = if spelled.bytes().all(|byte| byte.is_ascii_digit()) {
            spelled.parse().ok()?
        } else {
            std::time::Duration::try_from_secs_f64(spelled.parse().ok()?).ok()?.as_secs()
        };
        i64::try_from(whole).ok().filter(|_| whole <= LAST)
    }

    /// As it is spelled.
    pub(super) fn spelled(&self) -> &str {
        self.0.get()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(spelled: &str) -> Option<i64> {
        Object::read(format!("{{\"exp\":{spelled}}}").as_bytes())?.get("exp")?.time()
    }

    #[test]
    fn a_time_is_a_number_of_seconds_in_an_age_with_four_digits() {
        for (spelled, seconds) in
            [("0", 0), ("1300819380", 1_300_819_380), ("1300819380.9", 1_300_819_380), ("1e3", 1000)]
        {
            assert_eq!(time(spelled), Some(seconds), "{spelled}");
        }
        for wrong in [
            "-1",
            "-0",
            "\"1300819380\"",
            "null",
            "true",
            "[1]",
            "{}",
            "1300819380000",
            "9223372036854775807",
            "99999999999999999999999",
            "1e300",
            "1e400",
            "-1e3",
            "253402300800",
            "01",
            "+1",
            "NaN",
            "",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_ambiguous_is_read() {
        for wrong in [
            &br#"{"a":1,"a":1}"#[..],
            br#"{"a":1,"\u0061":2}"#,
            br#"{"a":1} "#.trim_ascii_end().strip_suffix(b"}").unwrap(),
            br#"{"a":1}{}"#,
            br#"["a"]"#,
            b"null",
            b"",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            br#"{"a":01}"#,
            br#"{"a":1,}"#,
        ] {
            assert!(Object::read(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        drop(Object::read(deep.as_bytes()));
    }

    #[test]
    fn pointers_lead_through_objects_that_name_nothing_twice() {
        let object = Object::read(br#"{"a":{"b/c":{"~":"x"}},"t":{"u":1,"u":2},"l":["x"]}"#).unwrap();
        assert_eq!(object.at("/a/b~1c/~0").unwrap().text().as_deref(), Some("x"));
        for none in ["/b", "/a/x", "/t/u", "/l/0", "/a/b~1c/~0/x"] {
            assert!(object.at(none).is_none(), "{none}");
        }
    }

    #[test]
    fn names_are_strings_and_integers_as_spelled() {
        let name = |spelled: &str| {
            Object::read(format!("{{\"jti\":{spelled}}}").as_bytes()).unwrap().get("jti").unwrap().name()
        };
        for (spelled, wanted) in
            [("\"a\\u0062\"", "ab"), ("-7", "-7"), ("123456789012345678901234567890", "123456789012345678901234567890")]
        {
            assert_eq!(name(spelled).as_deref(), Some(wanted));
        }
        for wrong in ["1.0", "1e3", "true", "null", "[]", "{}", "\"\\ud800\""] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
    }
}
