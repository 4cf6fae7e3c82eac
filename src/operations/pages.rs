//! Goes through what the store lists, a page at a time: whoever reads a million rows holds one page.

use crate::store::{Cursor, Page, PagedFilter, Pager, StoreError};

/// Hands each page of what matches `filter` to `take`, until there is no more or `take` says that it wants none;
/// whether it was given all.
///
/// # Errors
/// Those of the store and of `take`.
pub async fn each<F: PagedFilter, R, E: From<StoreError>>(
    filter: &F,
    page: impl AsyncFn(&F, Option<Cursor>) -> Result<Page<R>, StoreError>,
    mut take: impl FnMut(Vec<R>) -> Result<bool, E>,
) -> Result<bool, E> {
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let found = page(filter, from).await?;
        if !take(pager.take(found))? {
            return Ok(false);
        }
    }
    Ok(true)
}
