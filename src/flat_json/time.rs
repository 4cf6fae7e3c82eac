//! Points in time as the two records of each request have them: what jiff writes (RFC 3339, in UTC), but for its way
//! through the calendar, which is taken once a second.

use std::cell::RefCell;

use jiff::Timestamp;
use serde::Serializer;

/// A second, and its text.
struct Second {
    number: i64,
    /// Down to the second, and what was last written behind it.
    text: String,
    length: usize,
}

thread_local! {
    static LAST: RefCell<Second> = const { RefCell::new(Second { number: i64::MIN, text: String::new(), length: 0 }) };
}

/// For `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    // Before 1970 fractions count backwards.
    let (number, Ok(fraction)) = (at.as_second(), u32::try_from(at.subsec_nanosecond())) else {
        return serializer.collect_str(at);
    };
    LAST.with_borrow_mut(|last| {
        if last.number != number {
            last.text = Timestamp::from_second(number).unwrap_or(*at).to_string();
            // Without the Z.
            last.length = last.text.len().saturating_sub(1);
            last.number = number;
        }
        last.text.truncate(last.length);
        push_fraction(&mut last.text, fraction);
        last.text.push('Z');
        serializer.serialize_str(&last.text)
    })
}

/// As many of nine digits as are needed.
fn push_fraction(text: &mut String, nanoseconds: u32) {
    if nanoseconds == 0 {
        return;
    }
    let mut digits = itoa::Buffer::new();
    // A one in front keeps the zeros.
    let digits = digits.format(1_000_000_000 + nanoseconds);
    text.push('.');
    text.push_str(digits.get(1..).unwrap_or_default().trim_end_matches('0'));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(at: Timestamp) -> String {
        serialize(&at, serde_json::value::Serializer).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn fractions_are_as_long_as_they_need_to_be() {
        for exact in [
            "2026-05-01T12:00:00Z",
            "2026-05-01T12:00:00.5Z",
            "2026-05-01T12:00:00.000000001Z",
            "2026-05-01T12:00:00.123456Z",
            "2026-05-01T12:00:01.999999999Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.5Z",
            "9999-12-30T22:00:00.9Z",
        ] {
            assert_eq!(text(exact.parse().unwrap()), exact);
        }
    }

    proptest! {
        #[test]
        fn it_is_what_jiff_writes(
            times in prop::collection::vec((-5_000_000_000_i64..200_000_000_000, 0_i32..1_000_000_000), 1..5),
        ) {
            for (second, nanosecond) in times {
                let at = Timestamp::new(second, nanosecond).unwrap();
                prop_assert_eq!(text(at), at.to_string());
                prop_assert_eq!(text(at), at.to_string(), "the same second once more");
            }
        }
    }
}
