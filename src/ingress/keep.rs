//! Which of a request's headers stay with its event, and how much of them.

use http::HeaderMap;

use crate::event::KeptHeaders;

/// The most that one event keeps: bytes of names and values.
const MAX_BYTES: usize = 4096;

/// The headers called `names`, in that order, a repeated one with all of its values in theirs; and the names of those for
/// which there was no room. One that does not fit whole is left out, and makes room for those behind it: a value that was
/// cut would be another value.
pub(super) fn keep<'a>(names: &'a [String], headers: &HeaderMap) -> (KeptHeaders, Vec<&'a str>) {
    let (mut room, mut kept, mut left_out) = (MAX_BYTES, Vec::new(), Vec::new());
    for name in names {
        let values: Vec<&[u8]> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
        let bytes = values.iter().map(|value| name.len() + value.len()).sum();
        match room.checked_sub(bytes) {
            Some(left) => {
                room = left;
                kept.extend(values.into_iter().map(|value| (name.as_str(), value)));
            }
            None => left_out.push(name.as_str()),
        }
    }
    (kept.into_iter().collect(), left_out)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn kept(names: &[&str], headers: &[(&'static str, &[u8])]) -> (Vec<(String, usize)>, Vec<String>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        let (kept, left_out) = keep(&names, &map);
        let kept = kept.iter().map(|(name, value)| (name.to_owned(), value.len())).collect();
        (kept, left_out.into_iter().map(str::to_owned).collect())
    }

    fn lines(lines: &[(&str, usize)]) -> Vec<(String, usize)> {
        lines.iter().map(|(name, length)| ((*name).to_owned(), *length)).collect()
    }

    #[test]
    fn they_come_in_the_order_of_the_list_and_repeated_ones_in_their_own() {
        let headers: &[(&str, &[u8])] =
            &[("x-b", b"1"), ("x-other", b"0"), ("x-a", b"22"), ("x-b", b"333"), ("x-c", b"")];
        let found = kept(&["x-a", "x-b", "x-absent", "x-c"], headers);
        assert_eq!(found, (lines(&[("x-a", 2), ("x-b", 1), ("x-b", 3), ("x-c", 0)]), vec![]));
    }

    #[test]
    fn four_kibibytes_of_names_and_values_fit_and_a_byte_more_leaves_a_whole_header_out() {
        let value = vec![b'v'; 4092];
        let found = |length: usize| kept(&["x-aa", "x-b"], &[("x-aa", &value[..length]), ("x-b", b"")]);
        assert_eq!(found(4089), (lines(&[("x-aa", 4089), ("x-b", 0)]), vec![]));
        assert_eq!(found(4090), (lines(&[("x-aa", 4090)]), vec!["x-b".to_owned()]));
        let value = &value[..4093 - 4];
        assert_eq!(kept(&["x-a"], &[("x-a", value), ("x-a", b"")]).1, [""; 0]);
        let repeated = kept(&["x-a", "x-b"], &[("x-a", value), ("x-a", b"12"), ("x-b", b"3")]);
        assert_eq!(repeated, (lines(&[("x-b", 1)]), vec!["x-a".to_owned()]), "all of its values or none");
    }
}
