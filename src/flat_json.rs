//! Flat structs as one JSON object: what `serde_json` writes, without its steps for each byte of a text.
//!
//! For the two records and the answer of each request: texts that need no escape, which are nearly all, are copied in one piece.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde::ser::{Impossible, SerializeStruct, Serializer};

use crate::json_text::plain_bytes;

/// What most records take.
const USUAL_BYTES: usize = 512;

/// `record` as a JSON object in one line.
///
/// # Errors
/// [`NotFlat`] where it is no struct of texts, whole numbers, truth values and nothing.
pub(crate) fn to_string(record: &impl Serialize) -> Result<String, NotFlat> {
    let mut line = String::with_capacity(USUAL_BYTES);
    record.serialize(Flat(&mut line))?;
    Ok(line)
}

/// A value that has no place in a flat record.
#[derive(Debug)]
pub(crate) struct NotFlat;

impl Display for NotFlat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a flat record")
    }
}

impl std::error::Error for NotFlat {}

impl serde::ser::Error for NotFlat {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// Where it is written.
struct Flat<'l>(&'l mut String);

impl Flat<'_> {
    fn text(self, text: &str) -> Result<(), NotFlat> {
        if plain_bytes(text.as_bytes()) == text.len() {
            self.word(text);
        } else {
            self.0.push_str(&serde_json::to_string(text).map_err(|_| NotFlat)?);
        }
        Ok(())
    }

    /// A text that needs no escape.
    fn word(self, text: &str) {
        self.0.push('"');
        self.0.push_str(text);
        self.0.push('"');
    }
}

/// The fields of a struct, each with a comma behind it.
struct Fields<'l>(&'l mut String);

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = NotFlat;

    #[expect(clippy::inline_always, reason = "each name is then known where it is written: a few moves, no call")]
    #[inline(always)]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NotFlat> {
        // A field's name in Rust: it needs no escape.
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        value.serialize(Flat(self.0))?;
        self.0.push(',');
        Ok(())
    }

    fn end(self) -> Result<(), NotFlat> {
        if self.0.ends_with(',') {
            self.0.pop();
        }
        self.0.push('}');
        Ok(())
    }
}

/// The methods for whole numbers.
macro_rules! whole {
    ($($name:ident($kind:ty)),+ $(,)?) => {
        $(fn $name(self, number: $kind) -> Result<(), NotFlat> {
            self.0.push_str(itoa::Buffer::new().format(number));
            Ok(())
        })+
    };
}

/// What a record is made of.
impl<'l> Serializer for Flat<'l> {
    type Ok = ();
    type Error = NotFlat;
    type SerializeStruct = Fields<'l>;
    type SerializeSeq = Impossible<(), NotFlat>;
    type SerializeTuple = Impossible<(), NotFlat>;
    type SerializeTupleStruct = Impossible<(), NotFlat>;
    type SerializeTupleVariant = Impossible<(), NotFlat>;
    type SerializeMap = Impossible<(), NotFlat>;
    type SerializeStructVariant = Impossible<(), NotFlat>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'l>, NotFlat> {
        self.0.push('{');
        Ok(Fields(self.0))
    }

    fn serialize_str(self, text: &str) -> Result<(), NotFlat> {
        self.text(text)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), NotFlat> {
        self.0.push('"');
        let start = self.0.len();
        write!(self.0, "{value}").map_err(|_| NotFlat)?;
        let written = self.0.get(start..).unwrap_or_default();
        if plain_bytes(written.as_bytes()) == written.len() {
            self.0.push('"');
            return Ok(());
        }
        let text = self.0.split_off(start);
        self.0.pop();
        self.text(&text)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NotFlat> {
        self.text(variant)
    }

    fn serialize_none(self) -> Result<(), NotFlat> {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NotFlat> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NotFlat> {
        value.serialize(self)
    }

    fn serialize_bool(self, value: bool) -> Result<(), NotFlat> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    whole! {
        serialize_i8(i8), serialize_i16(i16), serialize_i32(i32), serialize_i64(i64),
        serialize_u8(u8), serialize_u16(u16), serialize_u32(u32), serialize_u64(u64),
    }

    fn serialize_f32(self, _: f32) -> Result<(), NotFlat> {
        Err(NotFlat)
    }

    fn serialize_f64(self, _: f64) -> Result<(), NotFlat> {
        Err(NotFlat)
    }

    fn serialize_char(self, value: char) -> Result<(), NotFlat> {
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), NotFlat> {
        Err(NotFlat)
    }

    fn serialize_unit(self) -> Result<(), NotFlat> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NotFlat> {
        self.serialize_none()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NotFlat> {
        Err(NotFlat)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, NotFlat> {
        Err(NotFlat)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NotFlat> {
        Err(NotFlat)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, NotFlat> {
        Err(NotFlat)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, NotFlat> {
        Err(NotFlat)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, NotFlat> {
        Err(NotFlat)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, NotFlat> {
        Err(NotFlat)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        OneOfThem,
    }

    #[derive(Serialize)]
    struct Named(String);

    /// Written by its `Display`, whatever that writes.
    struct Shown(String);

    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    #[derive(Serialize)]
    struct Record<'a> {
        time: Timestamp,
        text: &'a str,
        maybe: Option<&'a str>,
        nothing: Option<u8>,
        named: Named,
        shown: Shown,
        kind: Kind,
        small: u16,
        large: u64,
        below: i64,
        yes: bool,
        address: IpAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u8>,
        letter: char,
        unit: (),
    }

    proptest! {
        #[test]
        fn it_is_what_serde_json_writes(
            text in "\\PC{0,30}|[\\x00-\\x7f]{0,30}",
            maybe in prop::option::of(".{0,9}"),
            (small, large, below) in any::<(u16, u64, i64)>(),
            (yes, address, letter) in any::<(bool, IpAddr, char)>(),
            millis in 0_i64..4_000_000_000_000,
        ) {
            let record = Record {
                time: Timestamp::from_millisecond(millis).unwrap(),
                text: &text,
                maybe: maybe.as_deref(),
                nothing: None,
                named: Named(text.clone()),
                shown: Shown(text.clone()),
                kind: Kind::OneOfThem,
                small,
                large,
                below,
                yes,
                address,
                left_out: None,
                letter,
                unit: (),
            };
            prop_assert_eq!(to_string(&record).unwrap(), serde_json::to_string(&record).unwrap());
        }
    }

    #[test]
    fn a_struct_may_be_empty() {
        #[derive(Serialize)]
        struct Nothing {}
        assert_eq!(to_string(&Nothing {}).unwrap(), "{}");
    }

    #[test]
    fn what_is_not_flat_is_an_error() {
        #[derive(Serialize)]
        struct Wrong<T> {
            value: T,
        }
        assert!(to_string(&Wrong { value: [1, 2] }).is_err());
        assert!(to_string(&Wrong { value: vec![1] }).is_err());
        assert!(to_string(&Wrong { value: 1.0 }).is_err());
        assert!(to_string(&Wrong { value: Some("text") }).is_ok());
    }
}
