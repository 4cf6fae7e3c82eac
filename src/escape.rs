//! Which characters of somebody else's text must not reach a log or a terminal as they are.

/// Whether `c` acts instead of showing: control characters, line separators, marks that reorder what stands around
/// them, and code points that show nothing at all, so that one name reads as another.
///
/// The invisible ones are Unicode's `Default_Ignorable_Code_Point` (UAX #44, table 9) and the blanks that no font draws
/// but that are no spaces either; what reorders is `Bidi_Control` (UAX #9, 2).
#[must_use]
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether all of `text` is printable ASCII, as nearly all texts are. Looks at each byte whatever it has found, so that many
/// are looked at together.
#[must_use]
pub(crate) fn is_printable_ascii(text: &[u8]) -> bool {
    text.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// `text` with everything that acts or hides written as an escape: a sender must not move an operator's cursor, nor make
/// one name look like another.
/// Line ends and tabs stay when `lines`.
#[must_use]
pub(crate) fn visible(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if lines && (c == '\n' || c == '\t') {
            shown.push(c);
        } else if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shows_stays_and_what_acts_or_hides_does_not() {
        for c in "aé°ß日本🙂 \u{a0}\u{2010}\u{2026}\u{202f}\u{3000}".chars() {
            assert!(!is_hidden(c), "{}", c.escape_unicode());
        }
        for c in "\n\u{1b}\u{7f}\u{85}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{fe0f}\u{e0041}"
            .chars()
        {
            assert!(is_hidden(c), "{}", c.escape_unicode());
        }
    }

    #[test]
    fn what_is_printable_ascii_hides_nothing() {
        for byte in 0..=u8::MAX {
            let text = [[b'x'; 40].as_slice(), &[byte], &[b'x'; 40]].concat();
            assert_eq!(is_printable_ascii(&text), byte.is_ascii_graphic() || byte == b' ', "{byte}");
            assert!(!is_printable_ascii(&text) || !is_hidden(char::from(byte)));
        }
    }
}
