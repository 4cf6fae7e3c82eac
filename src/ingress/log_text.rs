//! Text that a sender controls, made fit for a log record.

use std::borrow::Cow;

use crate::escape::{is_hidden, is_printable_ascii};

/// The longest text of a sender's in a record, in bytes.
pub(super) const MAX_BYTES: usize = 256;

/// `text` with what acts or hides ([`is_hidden`]) spelled out (`\\n`, `\\u{1b}`, `\\u{202e}`), cut at [`MAX_BYTES`] between
/// characters.
///
/// JSON would escape them too, but whoever reads the record unescapes that, and a terminal obeys what is left.
#[must_use]
pub(super) fn escape_for_log(text: &str) -> Cow<'_, str> {
    let plain = || is_printable_ascii(text.as_bytes()) || !text.chars().any(is_hidden);
    if text.len() <= MAX_BYTES && plain() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len().min(MAX_BYTES));
    for character in text.chars() {
        let start = shown.len();
        if is_hidden(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
        if shown.len() > MAX_BYTES {
            shown.truncate(start);
            break;
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(escape_for_log("short"), "short");
        let long = format!("{}é", "x".repeat(255));
        assert_eq!(escape_for_log(&long).len(), 255);
    }

    #[test]
    fn spells_control_characters_out() {
        assert_eq!(escape_for_log("a\r\n\u{1b}[31m"), "a\\r\\n\\u{1b}[31m");
        assert_eq!(escape_for_log(&"\n".repeat(300)).len(), 256);
        assert_eq!(escape_for_log("a\u{7f}b\u{85}c\u{9f}°é"), "a\\u{7f}b\\u{85}c\\u{9f}°é");
    }

    #[test]
    fn spells_out_what_breaks_lines_reorders_or_hides() {
        assert_eq!(escape_for_log("a\u{2028}b\u{202e}c\u{200b}d\u{feff}"), "a\\u{2028}b\\u{202e}c\\u{200b}d\\u{feff}");
        assert!(matches!(escape_for_log("日本 é"), Cow::Borrowed(_)));
    }
}
