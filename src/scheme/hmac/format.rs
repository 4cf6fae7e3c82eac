//! How a signature stands in its header: alone, in a parameter list, or in a space-separated list of versions.
//! For the HMAC scheme; it reads and writes header values, and proves nothing.

use super::list::{Offers, is_token, items, name_and_value, split_at_first};
use super::template::{self, Piece};
use crate::scheme::Refusal;
use crate::scheme::mac::Mac;

/// How the signature header is written; read from `signature_format`.
pub enum Format {
    /// `sha256={hex}`: one MAC between fixed texts.
    Whole { prefix: Box<str>, encoding: Encoding, suffix: Box<str> },
    /// `v1={hex},t={timestamp}`: items `name=value` at commas, in any order.
    Parameters(Vec<Parameter>),
    /// `v1,{base64}`: items `version,value` at single spaces.
    Versions { version: Box<str>, encoding: Encoding },
}

/// One item that a parameter list must hold.
pub struct Parameter {
    name: Box<str>,
    value: Value,
}

/// What an item of a parameter list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Mac(Encoding),
    Timestamp,
}

/// How 32 bytes are written as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// 64 hex digits, any case.
    Hex,
    /// Padded base64, standard alphabet.
    Base64,
}

/// What the values of `signature_format` look like, for faults.
const EXAMPLES: &str = "`{hex}`, `{base64}`, `sha256={hex}`, `v1={hex},t={timestamp}` or `v1,{base64}`";

impl Format {
    /// Reads the value of `signature_format`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        for piece in template::pieces(text)? {
            if let Piece::Placeholder(name) = piece
                && Encoding::named(name).is_none()
                && name != "timestamp"
            {
                return Err(format!("`{{{name}}}` is not a placeholder; write {EXAMPLES}"));
            }
        }
        if !text.contains(',') {
            return Self::whole(text);
        }
        match text.split_once(',') {
            Some((version, value)) if is_name(version) && !value.contains(',') => Self::versions(version, value),
            _ => Self::parameters(text),
        }
    }

    fn whole(text: &str) -> Result<Self, String> {
        let (prefix, encoding, suffix) = match template::pieces(text)?.as_slice() {
            [Piece::Placeholder(name)] => ("", *name, ""),
            [Piece::Text(prefix), Piece::Placeholder(name)] => (*prefix, *name, ""),
            [Piece::Placeholder(name), Piece::Text(suffix)] => ("", *name, *suffix),
            [Piece::Text(prefix), Piece::Placeholder(name), Piece::Text(suffix)] => (*prefix, *name, *suffix),
            _ => return Err(format!("must hold one signature: {EXAMPLES}")),
        };
        let encoding =
            Encoding::named(encoding).ok_or_else(|| format!("holds no {{hex}} or {{base64}}: {EXAMPLES}"))?;
        Ok(Self::Whole { prefix: prefix.into(), encoding, suffix: suffix.into() })
    }

    fn versions(version: &str, value: &str) -> Result<Self, String> {
        match template::pieces(value)?.as_slice() {
            [Piece::Placeholder(name)] => match Encoding::named(name) {
                Some(encoding) => Ok(Self::Versions { version: version.into(), encoding }),
                None => Err(format!("holds no {{hex}} or {{base64}}: {EXAMPLES}")),
            },
            _ => Err(format!("a version is followed by `,{{base64}}` or `,{{hex}}` alone: {EXAMPLES}")),
        }
    }

    fn parameters(text: &str) -> Result<Self, String> {
        let parameters = text.split(',').map(Parameter::parse).collect::<Result<Vec<_>, _>>()?;
        let count = |wanted: fn(Value) -> bool| parameters.iter().filter(|item| wanted(item.value)).count();
        if count(|value| value != Value::Timestamp) != 1 {
            return Err(format!("must hold exactly one {{hex}} or {{base64}}: {EXAMPLES}"));
        }
        if count(|value| value == Value::Timestamp) > 1 {
            return Err("holds {timestamp} more than once".into());
        }
        if parameters.iter().enumerate().any(|(i, item)| parameters.iter().skip(i + 1).any(|b| b.name == item.name)) {
            return Err("holds one name twice".into());
        }
        Ok(Self::Parameters(parameters))
    }

    /// The name of the item that holds the timestamp, where one does.
    fn timestamp_name(&self) -> Option<&str> {
        match self {
            Self::Parameters(items) => items.iter().find(|item| item.value == Value::Timestamp).map(|item| &*item.name),
            Self::Whole { .. } | Self::Versions { .. } => None,
        }
    }

    /// The timestamp's text in `value`, exactly as sent.
    ///
    /// # Errors
    /// [`Refusal::MissingTimestamp`] without one, [`Refusal::InvalidTimestamp`] with two.
    pub fn timestamp<'a>(&self, value: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let wanted = self.timestamp_name().ok_or(Refusal::MissingTimestamp)?;
        let mut texts = items(value).filter_map(name_and_value).filter(|(name, _)| *name == wanted.as_bytes());
        match (texts.next(), texts.next()) {
            (None, _) => Err(Refusal::MissingTimestamp),
            (Some((_, text)), None) => Ok(text),
            (Some(_), Some(_)) => Err(Refusal::InvalidTimestamp),
        }
    }

    /// The MACs that `value` offers; none where it is written wrong and can never verify.
    ///
    /// # Errors
    /// [`Refusal::MissingSignature`] where there is none of the version looked for.
    pub fn macs(&self, value: &[u8]) -> Result<Vec<Mac>, Refusal> {
        match self {
            Self::Whole { prefix, encoding, suffix } => {
                let text = value.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_suffix(suffix.as_bytes()));
                Ok(text.and_then(|text| encoding.decode(text)).into_iter().collect())
            }
            Self::Parameters(parameters) => {
                let Some((wanted, encoding)) = parameters.iter().find_map(Parameter::mac) else {
                    return Err(Refusal::MissingSignature);
                };
                let offers = Offers::collect(wanted, |text| encoding.decode(text), items(value).map(name_and_value));
                // Whatever else stands there, a list without the version looked for has no signature.
                if offers.is_without() { Err(Refusal::MissingSignature) } else { offers.finish() }
            }
            Self::Versions { version, encoding } => {
                let items = value.split(|byte| *byte == b' ').map(|item| split_at_first(item, b','));
                Offers::collect(version, |text| encoding.decode(text), items).finish()
            }
        }
    }

    /// The header's value for `mac`, as the vendor writes it.
    pub fn write(&self, mac: &Mac, timestamp: &str) -> String {
        match self {
            Self::Whole { prefix, encoding, suffix } => format!("{prefix}{}{suffix}", encoding.encode(mac)),
            Self::Versions { version, encoding } => format!("{version},{}", encoding.encode(mac)),
            Self::Parameters(parameters) => {
                let write = |item: &Parameter| match item.value {
                    Value::Mac(encoding) => format!("{}={}", item.name, encoding.encode(mac)),
                    Value::Timestamp => format!("{}={timestamp}", item.name),
                };
                parameters.iter().map(write).collect::<Vec<_>>().join(",")
            }
        }
    }
}

impl Parameter {
    fn parse(item: &str) -> Result<Self, String> {
        let wrong = || format!("`{item}` is not `name={{hex}}`, `name={{base64}}` or `name={{timestamp}}`");
        let (name, value) = item.trim().split_once('=').filter(|(name, _)| is_name(name)).ok_or_else(wrong)?;
        let value = match template::pieces(value)?.as_slice() {
            [Piece::Placeholder("timestamp")] => Value::Timestamp,
            [Piece::Placeholder(name)] => Value::Mac(Encoding::named(name).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        Ok(Self { name: name.into(), value })
    }

    fn mac(&self) -> Option<(&str, Encoding)> {
        match self.value {
            Value::Mac(encoding) => Some((&self.name, encoding)),
            Value::Timestamp => None,
        }
    }
}

impl Encoding {
    fn named(placeholder: &str) -> Option<Self> {
        match placeholder {
            "hex" => Some(Self::Hex),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }

    fn decode(self, text: &[u8]) -> Option<Mac> {
        match self {
            Self::Hex => Mac::from_hex(text),
            Self::Base64 => Mac::from_base64(text),
        }
    }

    fn encode(self, mac: &Mac) -> String {
        match self {
            Self::Hex => mac.to_hex(),
            Self::Base64 => mac.to_base64(),
        }
    }
}

fn is_name(name: &str) -> bool {
    is_token(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B64: &str = "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=";

    fn nice() -> Format {
        Format::parse("v1={hex},t={timestamp}").unwrap()
    }

    fn count(format: &Format, value: &str) -> Result<usize, Refusal> {
        format.macs(value.as_bytes()).map(|macs| macs.len())
    }

    #[test]
    fn formats_are_told_apart() {
        assert!(matches!(Format::parse("{hex}"), Ok(Format::Whole { encoding: Encoding::Hex, .. })));
        assert!(matches!(Format::parse("sha256={base64}"), Ok(Format::Whole { encoding: Encoding::Base64, .. })));
        assert!(matches!(Format::parse("t={timestamp}, v1={hex}"), Ok(Format::Parameters(_))));
        assert!(matches!(Format::parse("v1,{base64}"), Ok(Format::Versions { .. })));
        assert_eq!(nice().timestamp_name(), Some("t"));
    }

    #[test]
    fn formats_that_cannot_work_are_faults() {
        for wrong in [
            "",
            "hex",
            "{HEX}",
            "{sha256}",
            "{hex}{hex}",
            "{hex}.{base64}",
            "{timestamp}",
            "v1={hex}.{timestamp}",
            "t={timestamp},u={timestamp},v1={hex}",
            "v1={hex},v1={hex}",
            "v1={hex},v2={base64}",
            "t={timestamp},x={timestamp}",
            "v1={hex},",
            "v1={hex},t",
            "v1={hex},t=5",
            "v1=a{hex},t={timestamp}",
            "v1,{timestamp}",
            "v1,{hex},{base64}",
            "v1,v1",
            "v1={hex},t={id}",
            "{hex",
        ] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameter_lists_take_any_order_and_blanks() {
        for value in [
            format!("v1={A},t=5"),
            format!("t=5,v1={A}"),
            format!("  t=5 ,\t v1={A} "),
            format!("v0={A},t=5,v1={A},scheme=x=y,key.id=,_="),
        ] {
            assert_eq!(count(&nice(), &value), Ok(1), "{value}");
            assert_eq!(nice().timestamp(value.as_bytes()), Ok(b"5".as_slice()), "{value}");
        }
    }

    #[test]
    fn parameter_lists_hold_one_timestamp() {
        let timestamp = |value: &str| nice().timestamp(value.as_bytes()).map(<[u8]>::to_vec);
        assert_eq!(timestamp(""), Err(Refusal::MissingTimestamp));
        assert_eq!(timestamp(&format!("v1={A}")), Err(Refusal::MissingTimestamp));
        assert_eq!(timestamp(&format!("v1={A},T=5")), Err(Refusal::MissingTimestamp));
        assert_eq!(timestamp(&format!("v1={A};t=5")), Err(Refusal::MissingTimestamp));
        assert_eq!(timestamp(&format!("t=5,v1={A},t=5")), Err(Refusal::InvalidTimestamp));
        assert_eq!(timestamp(&format!("t=,v1={A}")), Ok(vec![]), "empty, which no unit takes");
    }

    #[test]
    fn parameter_lists_hold_one_to_eight_macs() {
        let list = |n: usize| format!("{}t=5", format!("v1={A},").repeat(n));
        assert_eq!(count(&nice(), &list(0)), Err(Refusal::MissingSignature));
        assert_eq!(count(&nice(), &list(1)), Ok(1));
        assert_eq!(count(&nice(), &list(8)), Ok(8));
        assert_eq!(count(&nice(), &list(9)), Ok(0));
        assert_eq!(count(&nice(), &list(200)), Ok(0));
    }

    #[test]
    fn other_versions_alone_are_missing_signatures() {
        for others in [format!("v0={A}"), format!("v2={A}"), format!("V1={A}"), format!("v2={A},v1=zz"), A.into()] {
            assert_eq!(count(&nice(), &format!("t=5,{others}")), Err(Refusal::MissingSignature), "{others}");
        }
    }

    #[test]
    fn anything_else_in_a_parameter_list_offers_nothing() {
        for wrong in [
            format!("v1={A},t=5,"),
            format!("v1={A},,t=5"),
            format!("v1={A},t=5,junk"),
            format!("v1={A},t=5,=x"),
            format!("v1={A},t=5,a b=c"),
            format!("v1={A}0,t=5"),
            format!("v1={A}{A},t=5"),
            format!("v1={A},v1=,t=5"),
            "v1=,t=5".into(),
            format!("v1= {A},t=5"),
            format!("v1=\"{A}\",t=5"),
        ] {
            assert_eq!(count(&nice(), &wrong), Ok(0), "{wrong}");
        }
    }

    #[test]
    fn version_lists_are_separated_by_single_spaces() {
        let format = Format::parse("v1,{base64}").unwrap();
        assert_eq!(count(&format, &format!("v1,{B64}")), Ok(1));
        assert_eq!(count(&format, &format!("v1a,xyz v1,{B64} v2,{B64} v1,{B64}")), Ok(2));
        assert_eq!(count(&format, &format!("v2,{B64}")), Err(Refusal::MissingSignature));
        for wrong in [
            String::new(),
            B64.into(),
            format!("v1={B64}"),
            format!("v1,{B64} "),
            format!("v1,{B64}  v1,{B64}"),
            format!("v1,{B64},v1,{B64}"),
            format!("v1,{B64} junk"),
            format!("v1,{A}"),
        ] {
            assert_eq!(count(&format, &wrong), Ok(0), "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mac = Mac::from_hex(A.as_bytes()).unwrap();
        for text in ["{hex}", "sha256={base64};", "v1={hex},t={timestamp}", "v1,{base64}", "t={timestamp},s={base64}"] {
            let format = Format::parse(text).unwrap();
            let macs = format.macs(format.write(&mac, "5").as_bytes()).unwrap();
            assert_eq!(macs.len(), 1, "{text}");
            assert!(bool::from(macs[0].matches(&mac)), "{text}");
        }
    }
}
