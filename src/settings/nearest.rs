//! Finds the name that somebody probably meant.

/// The one of `known` that `name` is most likely a slip of; `None` where nothing is close.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One slip in three letters, so that "x" does not suggest "id".
    let limit = name.chars().count().max(3) / 3;
    let scored = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    scored.filter(|(score, _)| (1..=limit).contains(score)).min().map(|(_, candidate)| candidate)
}

/// ` (did you mean "…"?)`, or nothing.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|candidate| format!(" (did you mean {candidate}?)")).unwrap_or_default()
}

/// How many letters must be put in, taken out or replaced (Levenshtein), one row at a time.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // What it takes to get from what was read of `from` to each beginning of `to` but the empty one.
    let mut row: Vec<usize> = (1..=to.len()).collect();
    for (read, a) in from.chars().enumerate() {
        let (mut diagonal, mut left) = (read, read + 1);
        for (cell, b) in row.iter_mut().zip(&to) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_else(|| from.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["body_timeout", "idle_timeout", "path"];
        assert_eq!(nearest("body_timout", known), Some("body_timeout"));
        assert_eq!(nearest("paht", ["path", "x"]), None, "a swap is two slips in four letters");
        assert_eq!(nearest("pth", known), Some("path"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
