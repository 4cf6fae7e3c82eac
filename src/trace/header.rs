//! Headers of which one value counts.

use http::HeaderMap;

/// The value of a header that stands once and is text; of one that stands twice nobody knows which holds.
pub(super) fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok().map(str::trim) }
}
