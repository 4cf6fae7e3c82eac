//! Listings on stdout, written page by page as the store gives them: a table, or one JSON array. Holds one page.

use serde_json::Value;

use crate::operations;
use crate::store::{Cursor, Page, PagedFilter, StoreError};

use super::failure::Failure;
use super::output;
use super::table::Columns;

/// What stands in a listing, in `N` columns.
pub(super) trait Row<const N: usize> {
    /// What stands above the columns.
    const HEADINGS: [&'static str; N];
    /// It in a table.
    fn cells(&self) -> [String; N];
    /// It as JSON.
    fn summary(&self) -> Value;
}

/// Lists what matches `filter` as the store gives it.
pub(super) async fn print<const N: usize, F: PagedFilter, R: Row<N>>(
    filter: &F,
    json: bool,
    page: impl AsyncFn(&F, Option<Cursor>) -> Result<Page<R>, StoreError>,
) -> Result<(), Failure> {
    let mut listing = Listing::new(R::HEADINGS, json);
    if operations::each(filter, page, |rows| listing.write(&rows)).await? { listing.end() } else { Ok(()) }
}

/// Lists `rows`, which are all there are.
pub(super) fn print_all<const N: usize, R: Row<N>>(rows: &[R], json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(R::HEADINGS, json);
    if rows.is_empty() || listing.write(rows)? { listing.end() } else { Ok(()) }
}

/// A listing being written.
struct Listing<const N: usize> {
    columns: Columns<N>,
    json: bool,
    rows: u64,
    begun: bool,
}

impl<const N: usize> Listing<N> {
    /// A table under `headings`, or an array where `json`.
    fn new(headings: [&'static str; N], json: bool) -> Self {
        Self { columns: Columns::under(headings), json, rows: 0, begun: false }
    }

    /// Writes `rows`; whether anybody still reads.
    fn write(&mut self, rows: &[impl Row<N>]) -> Result<bool, Failure> {
        let text = if self.json {
            self.array(rows.iter().map(Row::summary))?
        } else {
            let lines = self.columns.lines(&rows.iter().map(Row::cells).collect::<Vec<_>>());
            if self.begun { lines } else { self.columns.heading() + &lines }
        };
        self.begun = true;
        output::write(text.as_bytes())
    }

    /// Writes what is left: the end of the array, or the headings over nothing.
    fn end(mut self) -> Result<(), Failure> {
        if !self.json {
            return if self.begun { Ok(()) } else { output::print_bytes(self.columns.heading().as_bytes()) };
        }
        let nothing: [Value; 0] = [];
        let begin = self.array(nothing.into_iter())?;
        let end = if self.rows == 0 { "]\n" } else { "\n]\n" };
        self.begun = true;
        output::print_bytes(format!("{begin}{end}").as_bytes())
    }

    /// The next elements, as `serde_json` would write them in one go.
    fn array(&mut self, values: impl Iterator<Item = Value>) -> Result<String, Failure> {
        let mut text = if self.begun { String::new() } else { "[".to_owned() };
        for value in values {
            text.push_str(if self.rows == 0 { "\n  " } else { ",\n  " });
            let element = serde_json::to_string_pretty(&value);
            let element = element.map_err(|error| Failure::runtime("cannot write JSON", &error))?;
            // No text in JSON holds a line end as it is.
            text.push_str(&element.replace('\n', "\n  "));
            self.rows += 1;
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_array_in_pieces_is_the_array_in_one() {
        for count in [0, 1, 2, 5] {
            let values: Vec<Value> = (0..count).map(|n| json!({ "n": n, "text": "a\nb", "list": [1, {}] })).collect();
            let mut listing = Listing::new(["N"], true);
            let mut text = String::new();
            for value in &values {
                text.push_str(&listing.array([value.clone()].into_iter()).unwrap());
                listing.begun = true;
            }
            text.push_str(&listing.array([].into_iter()).unwrap());
            text.push_str(if count == 0 { "]" } else { "\n]" });
            assert_eq!(text, serde_json::to_string_pretty(&values).unwrap());
        }
    }
}
