//! Listings in pages, each found by the key of the last row before it: whoever reads a million rows holds a few hundred.
//!
//! No snapshot is held between two pages. What is listed goes from new to old, so what comes meanwhile is left out and
//! nothing stands there twice.

/// A filter that may bound how many rows it selects.
pub trait PagedFilter: Clone {
    /// Rows of a page where nothing speaks for more.
    const ROWS: u64 = 500;

    /// At most this many rows in all.
    fn limit(&self) -> Option<u64>;

    /// Changes the limit.
    fn set_limit(&mut self, limit: Option<u64>);

    /// Rows of a page.
    fn most_rows(&self) -> u64 {
        Self::ROWS
    }

    /// How many rows the next page has at most.
    fn page_rows(&self) -> u64 {
        self.limit().unwrap_or(u64::MAX).min(self.most_rows())
    }
}

/// Some rows of a listing.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` after the last. There may be one after a page that is not full: a search stops
    /// after so many rows, found or not.
    pub next: Option<Cursor>,
}

/// Where a page begins; means something only to the listing that gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor(pub i64, pub i64);

impl<T> Page<T> {
    /// The page that `rows` make, each with the cursor that goes on after it; fewer than `wanted` are the last.
    #[must_use]
    pub fn of(rows: Vec<(Cursor, T)>, wanted: u64) -> Self {
        let next = rows.last().map(|(cursor, _)| *cursor).filter(|_| rows.len() as u64 >= wanted);
        Self { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
    }
}

/// Goes through the pages of a listing, up to the limit of its filter.
#[derive(Clone, Debug)]
pub struct Pager<F> {
    filter: F,
    from: Option<Cursor>,
    over: bool,
}

impl<F: PagedFilter> Pager<F> {
    /// From the first page of `filter` on.
    #[must_use]
    pub fn new(filter: &F) -> Self {
        Self { filter: filter.clone(), from: None, over: false }
    }

    /// What to ask the store with for the next page; `None` after the last.
    #[must_use]
    pub fn next(&self) -> Option<(&F, Option<Cursor>)> {
        (!self.over).then_some((&self.filter, self.from))
    }

    /// Takes the page that was asked for, and gives its rows.
    pub fn take<T>(&mut self, page: Page<T>) -> Vec<T> {
        let Page { rows, next } = page;
        let left = self.filter.limit().map(|limit| limit.saturating_sub(rows.len() as u64));
        self.filter.set_limit(left);
        self.from = next;
        self.over = next.is_none() || left == Some(0);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Filter(Option<u64>);

    impl PagedFilter for Filter {
        fn limit(&self) -> Option<u64> {
            self.0
        }

        fn set_limit(&mut self, limit: Option<u64>) {
            self.0 = limit;
        }
    }

    /// A store of the numbers below `held`, newest first.
    fn page(held: i64, filter: &Filter, from: Option<Cursor>) -> Page<i64> {
        let wanted = filter.page_rows();
        let first = from.map_or(held, |cursor| cursor.0);
        let rows = (0..first).rev().take(usize::try_from(wanted).unwrap());
        Page::of(rows.map(|row| (Cursor(row, 0), row)).collect(), wanted)
    }

    fn all(held: i64, limit: Option<u64>) -> (Vec<i64>, usize) {
        let (mut pager, mut found, mut largest) = (Pager::new(&Filter(limit)), Vec::new(), 0);
        while let Some((filter, from)) = pager.next() {
            let rows = pager.take(page(held, filter, from));
            largest = largest.max(rows.len());
            found.extend(rows);
        }
        (found, largest)
    }

    #[test]
    fn every_row_once_in_bounded_pages_and_no_more_than_asked_for() {
        for held in [0, 1, 499, 500, 501, 1000, 12_345] {
            for limit in [None, Some(0), Some(1), Some(500), Some(501), Some(9_999_999)] {
                let (found, largest) = all(held, limit);
                let expected: Vec<i64> =
                    (0..held).rev().take(usize::try_from(limit.unwrap_or(u64::MAX)).unwrap()).collect();
                assert_eq!(found, expected, "{held} {limit:?}");
                assert!(largest <= 500);
            }
        }
    }
}
