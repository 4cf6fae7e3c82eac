//! JSON, once: a strict pass over a verified body that picks out a few values and builds nothing.
//!
//! Stricter than most parsers where two of them could disagree: one object, nothing after it, no byte-order mark, no
//! lone surrogates (RFC 8259 8.2), at most [`MAX_DEPTH`] levels. Numbers are checked, never converted.

use std::borrow::Cow;

use crate::json_text::plain_bytes;

/// Objects and arrays within each other, the outermost counted.
pub(super) const MAX_DEPTH: usize = 128;
/// How many pointers one pass can follow: they travel as bits of a word.
const AT_ONCE: usize = 64;

/// RFC 6901 pointer, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pointer(Vec<String>);

impl Pointer {
    /// Takes `/a/b~1c` apart.
    #[must_use]
    pub(super) fn new(text: &str) -> Self {
        Self(text.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
    }
}

/// What stands at a pointer, as spelled in the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    /// With its quotes and escapes.
    String(&'a str),
    /// As spelled.
    Number(&'a str),
    /// `true`, `false`, an array or an object.
    Other,
    /// `null`.
    Null,
}

impl Value<'_> {
    /// The text of a string, unescaped.
    #[must_use]
    pub(super) fn text(&self) -> Option<String> {
        match self {
            // Most strings have no escapes.
            Self::String(raw) if !raw.contains('\\') => raw.get(1..raw.len() - 1).map(str::to_owned),
            Self::String(raw) => serde_json::from_str(raw).ok(),
            Self::Number(_) | Self::Other | Self::Null => None,
        }
    }
}

/// What a scan found at one pointer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Found<'a> {
    /// The first value there.
    pub value: Option<Value<'a>>,
    /// Whether some name on the way stands twice in its object, so that parsers may disagree about the value.
    pub twice: bool,
}

/// Why a body is not one JSON object, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotJson {
    what: &'static str,
    at: usize,
}

impl From<NotJson> for Cow<'static, str> {
    fn from(fault: NotJson) -> Self {
        format!("{} at byte {}", fault.what, fault.at).into()
    }
}

/// Checks that `body` is one JSON object and finds what stands at `pointers`, however many: one pass for each 64.
///
/// # Errors
/// [`NotJson`] at the first byte that breaks a rule.
pub(super) fn scan<'a>(body: &'a [u8], pointers: &[Pointer]) -> Result<Vec<Found<'a>>, NotJson> {
    let text = std::str::from_utf8(body).map_err(|error| NotJson { what: "not UTF-8", at: error.valid_up_to() })?;
    let (first, rest) = pointers.split_at(pointers.len().min(AT_ONCE));
    let mut found = pass(text, first)?;
    for more in rest.chunks(AT_ONCE) {
        found.append(&mut pass(text, more)?);
    }
    Ok(found)
}

/// One pass over `text`, which follows at most [`AT_ONCE`] pointers.
fn pass<'a>(text: &'a str, pointers: &[Pointer]) -> Result<Vec<Found<'a>>, NotJson> {
    let mut scanner = Scanner { text, at: 0, pointers, found: vec![Found::default(); pointers.len()] };
    scanner.blanks();
    if scanner.peek() != Some(b'{') {
        return Err(scanner.fault("expected an object"));
    }
    scanner.object(0, all(pointers.len()))?;
    scanner.blanks();
    if scanner.peek().is_some() { Err(scanner.fault("something follows the object")) } else { Ok(scanner.found) }
}

/// Pointers still being followed, one bit each.
type Followed = u64;

const fn all(count: usize) -> Followed {
    if count >= AT_ONCE { Followed::MAX } else { (1 << count) - 1 }
}

struct Scanner<'a, 'p> {
    text: &'a str,
    at: usize,
    pointers: &'p [Pointer],
    found: Vec<Found<'a>>,
}

impl<'a> Scanner<'a, '_> {
    const fn fault(&self, what: &'static str) -> NotJson {
        NotJson { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What has not been scanned.
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// What has been scanned from `start` on.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), NotJson> {
        self.blanks();
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(what))
        }
    }

    /// Whether the list goes on after an item: true at a comma, false at `close`.
    fn more(&mut self, close: u8) -> Result<bool, NotJson> {
        self.blanks();
        let next = self.peek();
        self.at += 1;
        match next {
            Some(b',') => Ok(true),
            Some(byte) if byte == close => Ok(false),
            _ => {
                self.at -= 1;
                Err(self.fault("expected a comma or the end of the list"))
            }
        }
    }

    /// Whether an object or array that has just been opened is empty; then it is closed as well.
    fn empty(&mut self, close: u8) -> bool {
        self.at += 1;
        self.blanks();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        empty
    }

    fn object(&mut self, depth: usize, followed: Followed) -> Result<(), NotJson> {
        if depth == MAX_DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        if self.empty(b'}') {
            return Ok(());
        }
        let mut seen = 0;
        loop {
            self.blanks();
            let start = self.at;
            self.string()?;
            let mut onward = 0;
            if followed != 0 {
                onward = self.named(self.since(start), depth, followed);
                self.twice(seen & onward);
                seen |= onward;
            }
            self.expect(b':', "expected a colon")?;
            self.value(depth + 1, onward)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize, followed: Followed) -> Result<(), NotJson> {
        if depth == MAX_DEPTH {
            return Err(self.fault("nested too deeply"));
        }
        if self.empty(b']') {
            return Ok(());
        }
        let mut index = 0_usize;
        loop {
            let onward = if followed == 0 { 0 } else { self.matching(&index.to_string(), depth, followed) };
            self.value(depth + 1, onward)?;
            if !self.more(b']')? {
                return Ok(());
            }
            index += 1;
        }
    }

    /// The pointers that go on through member `name` (raw) at `depth`.
    fn named(&self, name: &str, depth: usize, followed: Followed) -> Followed {
        if name.contains('\\') {
            serde_json::from_str::<String>(name).map_or(0, |name| self.matching(&name, depth, followed))
        } else {
            self.matching(name.trim_matches('"'), depth, followed)
        }
    }

    fn matching(&self, name: &str, depth: usize, followed: Followed) -> Followed {
        let goes_on = |pointer: &Pointer| pointer.0.get(depth).is_some_and(|token| token == name);
        let pointers = self.pointers.iter().enumerate();
        let onward = pointers.filter(|(index, pointer)| followed & (1 << index) != 0 && goes_on(pointer));
        onward.fold(0, |onward, (index, _)| onward | 1 << index)
    }

    fn twice(&mut self, pointers: Followed) {
        if pointers == 0 {
            return;
        }
        for (index, found) in self.found.iter_mut().enumerate() {
            found.twice |= pointers & (1 << index) != 0;
        }
    }

    /// A value `depth` names below the top, with the pointers that lead to or through it.
    fn value(&mut self, depth: usize, followed: Followed) -> Result<(), NotJson> {
        self.blanks();
        let start = self.at;
        let first = self.peek();
        match first {
            Some(b'"') => self.string()?,
            Some(b'{') => self.object(depth, followed)?,
            Some(b'[') => self.array(depth, followed)?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => self.number()?,
        }
        if followed == 0 {
            return Ok(());
        }
        let value = match first {
            Some(b'"') => Value::String(self.since(start)),
            Some(b'{' | b'[' | b't' | b'f') => Value::Other,
            Some(b'n') => Value::Null,
            _ => Value::Number(self.since(start)),
        };
        for (index, (found, pointer)) in self.found.iter_mut().zip(self.pointers).enumerate() {
            if followed & (1 << index) != 0 && pointer.0.len() == depth {
                found.value.get_or_insert(value);
            }
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), NotJson> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("expected a value"))
        }
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("expected a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), NotJson> {
        let sign = usize::from(self.peek() == Some(b'-'));
        self.at += sign;
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ if sign == 0 => return Err(self.fault("expected a value")),
            _ => return Err(self.fault("expected a digit")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// A string with its quotes.
    fn string(&mut self) -> Result<(), NotJson> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a string"));
        }
        self.at += 1;
        loop {
            self.at += plain_bytes(self.rest());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.fault("control character in a string")),
                None => return Err(self.fault("unfinished string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        let escaped = self.peek();
        match escaped {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unit()? {
                0xd800..0xdc00 => self.low_surrogate(),
                0xdc00..0xe000 => Err(self.fault("lone surrogate")),
                _ => Ok(()),
            },
            _ => Err(self.fault("unknown escape")),
        }
    }

    fn low_surrogate(&mut self) -> Result<(), NotJson> {
        if self.rest().starts_with(b"\\u") {
            self.at += 1;
            if matches!(self.unit()?, 0xdc00..0xe000) {
                return Ok(());
            }
        }
        Err(self.fault("lone surrogate"))
    }

    /// The four hex digits after `u`, at which the scanner stands.
    fn unit(&mut self) -> Result<u16, NotJson> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let unit = digits.and_then(|digits| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let unit = unit.ok_or_else(|| self.fault("expected four hex digits"))?;
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests;
