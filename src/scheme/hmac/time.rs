//! The units a sender may tell time in, for the HMAC scheme: unix seconds, unix milliseconds, RFC 3339.

use jiff::Timestamp;

use crate::clock::UnixSeconds;

/// How a timestamp is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::scheme) enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339, section 5.6, with any offset.
    Rfc3339,
}

/// The most digits a unix time may have; as many always fit a `u64`.
const MAX_DIGITS: usize = 19;

/// The most digits of a second's fraction: nanoseconds.
const MAX_FRACTION: usize = 9;

impl Unit {
    /// Every one, the usual one first.
    pub(super) const ALL: [Self; 3] = [Self::Seconds, Self::Millis, Self::Rfc3339];

    /// Reads a timestamp; `None` where the text is not one. What fits no `i64` is the latest one: out of any window.
    pub(super) fn read(self, text: &[u8]) -> Option<UnixSeconds> {
        match self {
            Self::Seconds => Some(UnixSeconds(i64::try_from(digits(text)?).unwrap_or(i64::MAX))),
            Self::Millis => Some(UnixSeconds(i64::try_from(digits(text)? / 1000).unwrap_or(i64::MAX))),
            Self::Rfc3339 => rfc3339(text),
        }
    }

    /// Writes `at` as a sender would.
    pub(super) fn write(self, at: Timestamp) -> String {
        match self {
            Self::Seconds => at.as_second().to_string(),
            Self::Millis => at.as_millisecond().to_string(),
            Self::Rfc3339 => at.to_string(),
        }
    }
}

/// One to nineteen ASCII digits; no sign, no blank, no point.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return None;
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// `YYYY-MM-DDTHH:MM:SS[.f](Z|±HH:MM)`; the parser behind it takes many other forms, so the shape is checked first.
fn rfc3339(text: &[u8]) -> Option<UnixSeconds> {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let (start, rest) = text.split_at_checked(SHAPE.len())?;
    let fits = |shape: &u8, byte: &u8| match shape {
        b'd' => byte.is_ascii_digit(),
        other => other.eq_ignore_ascii_case(byte),
    };
    if !SHAPE.iter().zip(start).all(|(shape, byte)| fits(shape, byte)) {
        return None;
    }
    let offset = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if !(1..=MAX_FRACTION).contains(&length) {
                return None;
            }
            fraction.get(length..)?
        }
    };
    let known = match offset {
        b"Z" | b"z" => true,
        [b'+' | b'-', a, b, b':', c, d] => [a, b, c, d].into_iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let at: Timestamp = std::str::from_utf8(text).ok().filter(|_| known)?.parse().ok()?;
    Some(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Unit::Seconds.read(text.as_bytes()).map(|at| at.0)
    }

    #[test]
    fn unix_time_is_one_to_nineteen_digits() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("0001700000000"), Some(1_700_000_000));
        assert_eq!(seconds("9223372036854775807"), Some(i64::MAX));
        assert_eq!(seconds("9999999999999999999"), Some(i64::MAX), "well-formed, and out of any window");
        for wrong in
            ["", "+1", "-1", " 1", "1 ", "1.0", "1e9", "0x1", "1_0", "\u{661}", "00000000000000000001", "1700000000Z"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn milliseconds_are_cut_to_seconds() {
        assert_eq!(Unit::Millis.read(b"1700000000999"), Some(UnixSeconds(1_700_000_000)));
        assert_eq!(Unit::Millis.read(b"9999999999999999999"), Some(UnixSeconds(9_999_999_999_999_999)));
    }

    #[test]
    fn rfc3339_is_held_to_its_shape() {
        for right in ["2023-11-14T22:13:20Z", "2023-11-14t22:13:20z", "2023-11-14T23:13:20.999+01:00"] {
            assert_eq!(Unit::Rfc3339.read(right.as_bytes()), Some(UnixSeconds(1_700_000_000)), "{right}");
        }
        for wrong in [
            "2023-11-14 22:13:20Z",
            "2023-11-14T22:13:20",
            "2023-11-14T22:13Z",
            "20231114T221320Z",
            "2023-02-30T00:00:00Z",
            "2023-11-14T25:13:20Z",
            "2023-11-14T22:13:20+01:00[Europe/Paris]",
            "2023-11-14T22:13:20,5Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20.0123456789Z",
            "2023-11-14T22:13:20+0100",
            "+2023-11-14T22:13:20Z",
            "1700000000",
            "",
        ] {
            assert_eq!(Unit::Rfc3339.read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        for unit in [Unit::Seconds, Unit::Millis, Unit::Rfc3339] {
            assert_eq!(unit.read(unit.write(at).as_bytes()), Some(at.into()));
        }
    }
}
