//! Text that a terminal can be trusted with: aligned tables, fields one a line, and control characters made visible.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

pub(super) use crate::escape::visible;

use super::short_ids;

/// Columns under their headings, aligned, two blanks apart, whole. Every cell is made visible with [`visible`].
pub(super) fn table<const N: usize>(headings: [&'static str; N], rows: &[[String; N]]) -> String {
    fitted(headings, rows, Fit::default())
}

/// The same, as `fit` says.
pub(super) fn fitted<const N: usize>(headings: [&'static str; N], rows: &[[String; N]], fit: Fit) -> String {
    let mut columns = Columns::under(headings, &[], fit);
    let body = columns.lines(rows);
    format!("{}{body}", columns.heading()).trim_end_matches('\n').to_owned()
}

/// What is left out of a table so that it can be looked at; by default nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Fit {
    /// The columns of the terminal.
    pub(super) width: Option<usize>,
    /// Whether of a long id only the beginning is shown.
    pub(super) short_ids: bool,
}

/// Columns whose rows come little by little: as wide as the rows so far ask for.
pub(super) struct Columns<const N: usize> {
    headings: [&'static str; N],
    widths: [usize; N],
    /// Which of them hold ids: they are never cut where nobody could tell what was.
    ids: &'static [usize],
    fit: Fit,
}

impl<const N: usize> Columns<N> {
    /// As wide as their headings.
    pub(super) fn under(headings: [&'static str; N], ids: &'static [usize], fit: Fit) -> Self {
        Self { widths: headings.map(|heading| heading.chars().count()), headings, ids, fit }
    }

    /// The headings, with a line end.
    pub(super) fn heading(&self) -> String {
        line(&self.headings.map(str::to_owned), &self.widths)
    }

    /// `rows`, each with a line end. Every cell is made visible with [`visible`].
    pub(super) fn lines(&mut self, rows: &[[String; N]]) -> String {
        let mut rows: Vec<[String; N]> =
            rows.iter().map(|row| row.each_ref().map(|cell| visible(cell, false))).collect();
        if self.fit.short_ids {
            self.ids.iter().for_each(|column| short_ids::shorten(&mut rows, *column));
        }
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        if let Some(most) = self.fit.width {
            self.narrow(most);
        }
        rows.iter().map(|row| line(&self.cut(row), &self.widths)).collect()
    }

    /// Takes from the widest columns, but ids, what makes a line longer than `most`.
    fn narrow(&mut self, most: usize) {
        let gaps = 2 * N.saturating_sub(1);
        while self.widths.iter().sum::<usize>() + gaps > most {
            let columns = self.widths.iter_mut().enumerate().filter(|(column, _)| !self.ids.contains(column));
            let Some((_, width)) = columns.max_by_key(|(_, width)| **width) else { return };
            if *width <= NARROWEST {
                return;
            }
            *width -= 1;
        }
    }

    fn cut(&self, row: &[String; N]) -> [String; N] {
        let mut cells = row.clone();
        for (cell, &width) in cells.iter_mut().zip(&self.widths) {
            if cell.chars().count() > width {
                *cell = cell.chars().take(width.saturating_sub(1)).chain(['…']).collect();
            }
        }
        cells
    }
}

/// A column with less than that says nothing.
const NARROWEST: usize = 6;

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
    fn a_table_fits_and_ids_stay_whole_enough() {
        let id = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let rows = [[id.clone(), "x".repeat(60), "3".to_owned()]];
        let fit = Fit { width: Some(40), short_ids: true };
        let mut columns = Columns::under(["ID", "WHAT", "N"], &[0], fit);
        assert_eq!(columns.lines(&rows), format!("sha256:0123456789ab  {}…  3\n", "x".repeat(15)));
        let mut whole = Columns::under(["ID", "WHAT", "N"], &[0], Fit::default());
        assert!(whole.lines(&rows).starts_with(&format!("{id}  {}  3", "x".repeat(60))));
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
