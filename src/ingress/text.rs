//! Text that a sender controls, made fit for a log record.

/// The longest text of a sender's in a record, in bytes.
pub const MAX_BYTES: usize = 256;

/// `text` cut at [`MAX_BYTES`] on a character boundary. JSON escapes what is left.
#[must_use]
pub fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = format!("{}é", "x".repeat(255));
        assert_eq!(clip(&long).len(), 255);
    }
}
