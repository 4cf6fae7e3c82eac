//! Long ids by their beginnings: as much as tells them apart where they stand, which commands take for the whole.

use std::collections::HashSet;

/// An id up to here is shown whole, in characters.
const WHOLE: usize = 24;
/// As much is shown of a longer one at least, behind what stands before its last colon.
const SHORTEST: usize = 12;

/// No id is longer, in characters.
const LONGEST: usize = 512;

/// Shortens the ids in `column` of `rows`.
pub(super) fn shorten<const N: usize>(rows: &mut [[String; N]], column: usize) {
    let ids: HashSet<String> = rows.iter().filter_map(|row| row.get(column)).cloned().collect();
    let more = (0..LONGEST).find(|more| is_unique(&ids, *more)).unwrap_or(LONGEST);
    for id in rows.iter_mut().filter_map(|row| row.get_mut(column)) {
        *id = beginning(id, more);
    }
}

/// Whether with `more` characters all of `ids` look different.
fn is_unique(ids: &HashSet<String>, more: usize) -> bool {
    let shown: HashSet<String> = ids.iter().map(|id| beginning(id, more)).collect();
    shown.len() == ids.len()
}

fn beginning(id: &str, more: usize) -> String {
    let before = id.rsplit_once(':').map_or(0, |(before, _)| before.chars().count() + 1);
    let most = before + SHORTEST + more;
    if id.chars().count() <= WHOLE.max(most) { id.to_owned() } else { id.chars().take(most).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(ids: &[&str]) -> Vec<String> {
        let mut rows: Vec<[String; 1]> = ids.iter().map(|id| [(*id).to_owned()]).collect();
        shorten(&mut rows, 0);
        rows.into_iter().map(|[id]| id).collect()
    }

    #[test]
    fn as_much_is_shown_as_tells_them_apart() {
        let digest = |end: &str| format!("sha256:0123456789abcd{end}{}", "0".repeat(40));
        assert_eq!(shortened(&[&digest("e1")]), ["sha256:0123456789ab"]);
        assert_eq!(shortened(&[&digest("e1"), &digest("e2")]), ["sha256:0123456789abcde1", "sha256:0123456789abcde2"]);
        assert_eq!(shortened(&["e1", "msg_01234567890123456789"]), ["e1", "msg_01234567890123456789"]);
        assert_eq!(shortened(&["0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"]), ["0199aaaa-bbb"]);
        let twice = digest("e1");
        assert_eq!(shortened(&[&twice, &twice]), ["sha256:0123456789ab", "sha256:0123456789ab"]);
        assert_eq!(shortened(&[&format!("nice:{}", "ü".repeat(30))]), [format!("nice:{}", "ü".repeat(12))]);
    }
}
