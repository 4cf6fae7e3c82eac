//! Listings on stdout, written page by page as the store gives them: a table, or one JSON array. Holds one page.

use std::cell::Cell;

use serde_json::Value;

use crate::operations;
use crate::store::{Cursor, Page, PagedFilter, StoreError};

use super::failure::Failure;
use super::output;
use super::table::{Columns, Fit};

/// What stands in a listing, in `N` columns.
pub(super) trait Row<const N: usize> {
    /// What stands above the columns.
    const HEADINGS: [&'static str; N];
    /// Which columns hold ids.
    const IDS: &'static [usize];
    /// It in a table.
    fn cells(&self) -> [String; N];
    /// It as JSON.
    fn summary(&self) -> Value;
}

/// How a listing looks.
#[derive(clap::Args, Debug)]
pub(super) struct Form {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    table: TableArgs,
}

/// What is shown of a table at a terminal; elsewhere all of it is.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct TableArgs {
    /// Let lines be longer than the terminal is wide, and show ids whole
    #[arg(long)]
    wide: bool,
    /// Show ids whole
    #[arg(long)]
    full_id: bool,
}

impl TableArgs {
    /// What is left out.
    pub(super) fn fit(self) -> Fit {
        let width = output::terminal_width().filter(|_| !self.wide);
        Fit { width, short_ids: width.is_some() && !self.full_id }
    }
}

/// Rows that are counted behind those that are listed, at most.
const COUNTED: u64 = 10_000;

/// Lists what matches `filter` as the store gives it, and says how much of it that was.
pub(super) async fn print<const N: usize, F: PagedFilter, R: Row<N>>(
    filter: &F,
    form: &Form,
    page: impl AsyncFn(&F, Option<Cursor>) -> Result<Page<R>, StoreError>,
) -> Result<(), Failure> {
    let mut listing = Listing::new(R::HEADINGS, R::IDS, form);
    let mut listed = 0;
    let behind = Cell::new(None);
    let remembered = async |filter: &F, from| {
        let found = page(filter, from).await?;
        behind.set(found.next);
        Ok(found)
    };
    let write = |rows: Vec<R>| {
        listed += rows.len() as u64;
        listing.write(&rows)
    };
    if !operations::each(filter, remembered, write).await? {
        return Ok(());
    }
    listing.end()?;
    // Whoever reads JSON reads no words, unless somebody looks on.
    if form.json && !output::is_watched() {
        return Ok(());
    }
    let (more, whole) = count(filter, behind.get(), page).await?;
    if more > 0 || !whole {
        let at_least = if whole { "" } else { "more than " };
        output::tell(&format!("{listed} of {at_least}{}: --limit shows more", listed + more));
    }
    Ok(())
}

/// How many rows match `filter` from `from` on, and whether that is all of them: a search that finds little among many is
/// not walked to its end for a number.
async fn count<F: PagedFilter, R>(
    filter: &F,
    mut from: Option<Cursor>,
    page: impl AsyncFn(&F, Option<Cursor>) -> Result<Page<R>, StoreError>,
) -> Result<(u64, bool), Failure> {
    let (mut filter, mut count) = (filter.clone(), 0);
    filter.set_limit(Some(COUNTED));
    for _ in 0..COUNTED.div_ceil(F::ROWS) {
        let Some(cursor) = from else { break };
        let found = page(&filter, Some(cursor)).await?;
        count += found.rows.len() as u64;
        from = found.next;
    }
    Ok((count, from.is_none()))
}

/// Lists `rows`, which are all there are.
pub(super) fn print_all<const N: usize, R: Row<N>>(rows: &[R], form: &Form) -> Result<(), Failure> {
    let mut listing = Listing::new(R::HEADINGS, R::IDS, form);
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
    fn new(headings: [&'static str; N], ids: &'static [usize], form: &Form) -> Self {
        Self { columns: Columns::under(headings, ids, form.table.fit()), json: form.json, rows: 0, begun: false }
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
            let table = TableArgs { wide: false, full_id: false };
            let mut listing = Listing::new(["N"], &[], &Form { json: true, table });
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
