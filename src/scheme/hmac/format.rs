//! How a signature stands in its header: alone, in a parameter list, or in a space-separated list of versions.
//! For the HMAC scheme; it reads and writes header values, and proves nothing.

use super::list::{Offers, is_token, is_version, items, name_and_value, split_at_first};
use super::template::{self, Piece};
use crate::scheme::Refusal;
use crate::scheme::mac::{Algorithm, Mac};

/// How the signature header is written; read from `signature_format`.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Format {
    /// `sha256={hex}`: one MAC between fixed texts.
    Whole { prefix: Box<str>, encoding: Encoding, suffix: Box<str> },
    /// `v1={hex},t={timestamp}`: items `name=value` at commas (or semicolons), in any order. That of the MAC may be
    /// repeated.
    Parameters { items: Vec<Parameter>, separator: char },
    /// `v1,{base64}`: items `version,value` at single spaces.
    Versions { version: Box<str>, encoding: Encoding },
}

/// One item that a parameter list must hold.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    name: Box<str>,
    value: Value,
}

/// What an item of a parameter list holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Value {
    Mac(Encoding),
    Timestamp,
}

/// How a MAC is written as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    /// Hex digits, any case.
    Hex,
    /// Base64: either alphabet is read, with padding or without; the standard one is written, padded.
    Base64,
    /// As `Base64`, but the URL alphabet is written, unpadded.
    Base64Url,
}

/// What the values of `signature_format` look like, for faults.
const EXAMPLES: &str = "`{hex}`, `{base64}`, `{base64url}`, `sha256={hex}`, `v1={hex},t={timestamp}` or `v1,{base64}`";

impl Format {
    /// Reads the value of `signature_format`.
    ///
    /// # Errors
    /// What is wrong, for the operator.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        for piece in template::pieces(text)? {
            if let Piece::Placeholder(name) = piece
                && Encoding::named(name).is_none()
                && name != "timestamp"
            {
                return Err(format!("`{{{name}}}` is not a placeholder; write {EXAMPLES}"));
            }
        }
        if let Some((version, value)) = text.split_once(',') {
            let versions = is_name(version) && !value.contains(',');
            return if versions { Self::versions(version, value) } else { Self::parameters(text, ',') };
        }
        // A semicolon may also be the end of a text around one signature.
        if text.contains(';') && text.split(';').all(|item| item.contains('{')) {
            return Self::parameters(text, ';');
        }
        // `v1={hex}`: a sender that names its version may send several of them, while it rotates its secret.
        match text.split_once('=') {
            Some((name, _)) if is_version(name.as_bytes()) => Self::parameters(text, ','),
            _ => Self::whole(text),
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

    fn parameters(text: &str, separator: char) -> Result<Self, String> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for item in text.split(separator) {
            let item = Parameter::parse(item)?;
            // `v1={hex},v1={hex}` says that a sender may repeat it.
            if item.mac().is_none() || !parameters.contains(&item) {
                parameters.push(item);
            }
        }
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
        Ok(Self::Parameters { items: parameters, separator })
    }

    /// Whether the header holds the timestamp too.
    pub(super) fn has_timestamp(&self) -> bool {
        self.timestamp_name().is_some()
    }

    /// Whether it is a list of versions in base64, as Standard Webhooks writes it.
    pub(super) const fn is_list_of_base64(&self) -> bool {
        matches!(self, Self::Versions { encoding: Encoding::Base64 | Encoding::Base64Url, .. })
    }

    /// The name of the item that holds the timestamp, where one does.
    fn timestamp_name(&self) -> Option<&str> {
        match self {
            Self::Parameters { items, .. } => {
                items.iter().find(|item| item.value == Value::Timestamp).map(|item| &*item.name)
            }
            Self::Whole { .. } | Self::Versions { .. } => None,
        }
    }

    /// The timestamp's text in `value`, exactly as sent.
    ///
    /// # Errors
    /// [`Refusal::MissingTimestamp`] without one, [`Refusal::InvalidTimestamp`] with two.
    pub(super) fn timestamp<'a>(&self, value: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let wanted = self.timestamp_name().ok_or(Refusal::MissingTimestamp)?;
        let mut texts =
            items(value, self.separator()).filter_map(name_and_value).filter(|(name, _)| *name == wanted.as_bytes());
        match (texts.next(), texts.next()) {
            (None, _) => Err(Refusal::MissingTimestamp),
            (Some((_, text)), None) => Ok(text),
            (Some(_), Some(_)) => Err(Refusal::InvalidTimestamp),
        }
    }

    fn separator(&self) -> char {
        if let Self::Parameters { separator, .. } = self { *separator } else { ',' }
    }

    /// The MACs of `algorithm` that `value` offers; none where it is written wrong and can never verify.
    ///
    /// # Errors
    /// [`Refusal::MissingSignature`] where there is none of the version looked for.
    pub(super) fn macs(&self, value: &[u8], algorithm: Algorithm) -> Result<Vec<Mac>, Refusal> {
        match self {
            Self::Whole { prefix, encoding, suffix } => {
                let text = value.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_suffix(suffix.as_bytes()));
                Ok(text.and_then(|text| encoding.decode(text, algorithm)).into_iter().collect())
            }
            Self::Parameters { items: parameters, separator } => {
                let Some((wanted, encoding)) = parameters.iter().find_map(Parameter::mac) else {
                    return Err(Refusal::MissingSignature);
                };
                let items = items(value, *separator).map(name_and_value);
                let offers = Offers::collect(wanted, |text| encoding.decode(text, algorithm), items);
                // Whatever else stands there, a list without the version looked for has no signature.
                if offers.is_without() { Err(Refusal::MissingSignature) } else { offers.finish() }
            }
            Self::Versions { version, encoding } => {
                let items = value.split(|byte| *byte == b' ').map(|item| split_at_first(item, b','));
                Offers::collect(version, |text| encoding.decode(text, algorithm), items).finish()
            }
        }
    }

    /// The header's value for `mac`, as the vendor writes it.
    pub(super) fn write(&self, mac: &Mac, timestamp: &str) -> String {
        match self {
            Self::Whole { prefix, encoding, suffix } => format!("{prefix}{}{suffix}", encoding.encode(mac)),
            Self::Versions { version, encoding } => format!("{version},{}", encoding.encode(mac)),
            Self::Parameters { items, separator } => {
                let write = |item: &Parameter| match item.value {
                    Value::Mac(encoding) => format!("{}={}", item.name, encoding.encode(mac)),
                    Value::Timestamp => format!("{}={timestamp}", item.name),
                };
                items.iter().map(write).collect::<Vec<_>>().join(&separator.to_string())
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
            "base64url" => Some(Self::Base64Url),
            _ => None,
        }
    }

    fn decode(self, text: &[u8], algorithm: Algorithm) -> Option<Mac> {
        match self {
            Self::Hex => Mac::from_hex(text, algorithm),
            Self::Base64 | Self::Base64Url => Mac::from_base64(text, algorithm),
        }
    }

    fn encode(self, mac: &Mac) -> String {
        match self {
            Self::Hex => mac.to_hex(),
            Self::Base64 => mac.to_base64(),
            Self::Base64Url => mac.to_base64url(),
        }
    }
}

fn is_name(name: &str) -> bool {
    is_token(name.as_bytes())
}

#[cfg(test)]
mod tests;
