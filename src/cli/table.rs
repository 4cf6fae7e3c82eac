//! Text that a terminal can be trusted with: aligned tables, fields one a line, and control characters made visible.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

pub(super) use crate::escape::visible;

/// Columns under their headings, aligned, two blanks apart. Every cell is made visible with [`visible`].
pub(super) fn table<const N: usize>(headings: [&'static str; N], rows: &[[String; N]]) -> String {
    let mut columns = Columns::under(headings);
    let body = columns.lines(rows);
    format!("{}{body}", columns.heading()).trim_end_matches('\n').to_owned()
}

/// Columns whose rows come little by little: as wide as the rows so far ask for.
pub(super) struct Columns<const N: usize> {
    headings: [&'static str; N],
    widths: [usize; N],
}

impl<const N: usize> Columns<N> {
    /// As wide as their headings.
    pub(super) fn under(headings: [&'static str; N]) -> Self {
        Self { widths: headings.map(|heading| heading.chars().count()), headings }
    }

    /// The headings, with a line end.
    pub(super) fn heading(&self) -> String {
        line(&self.headings.map(str::to_owned), &self.widths)
    }

    /// `rows`, each with a line end. Every cell is made visible with [`visible`].
    pub(super) fn lines(&mut self, rows: &[[String; N]]) -> String {
        let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell, false))).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        rows.iter().map(|row| line(row, &self.widths)).collect()
    }
}

fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut text = String::new();
    for (cell, &width) in cells.iter().zip(widths) {
        let _ = write!(text, "{cell:<width$}  ");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// `name  value` lines, names padded to one width. Every value is made visible with [`visible`].
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines =
        fields.iter().map(|(name, value)| format!("{name:<width$}  {}", visible(value, false)).trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

/// A body for a terminal.
pub(super) fn body(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => visible(text, true),
        Err(_) => format!("({} bytes that are not text; --body writes them)", bytes.len()),
    }
}

/// Puts one more member into a JSON object.
pub(super) fn put(object: &mut Value, name: &str, value: impl Into<Value>) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value.into());
    }
}

/// Puts a body into a JSON object: as `body` where it is text, else as `body_base64`.
pub(super) fn put_body(object: &mut Value, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => put(object, "body", text),
        Err(_) => put(object, "body_base64", BASE64.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_clean() {
        let rows = [["a".to_owned(), "long one".to_owned()], ["ümlaut".to_owned(), String::new()]];
        assert_eq!(table(["ID", "WHAT"], &rows), "ID      WHAT\na       long one\nümlaut");
        assert_eq!(table(["ID", "WHAT"], &[]), "ID  WHAT");
    }

    #[test]
    fn fields_line_up() {
        assert_eq!(fields(&[("id", "1".into()), ("source", "a".into())]), "id      1\nsource  a");
    }

    #[test]
    fn a_sender_cannot_move_the_cursor_or_add_a_row() {
        let rows = [["\u{1b}[2Jx\ny\u{202e}z".to_owned()]];
        assert_eq!(table(["A"], &rows), "A\n\\u{1b}[2Jx\\u{a}y\\u{202e}z");
        assert_eq!(visible("a\n\tb\r", true), "a\n\tb\\u{d}");
        assert_eq!(visible("o\u{200b}k\u{2028}", true), "o\\u{200b}k\\u{2028}");
    }
}
