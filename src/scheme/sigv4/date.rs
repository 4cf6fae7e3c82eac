//! The date of AWS Signature Version 4, `YYYYMMDDTHHMMSSZ`: read strictly, written for signing.

use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::clock::UnixSeconds;
use crate::scheme::Refusal;
use crate::scheme::header::Occurrence;

/// The header that carries it; `Date` is no substitute.
pub(super) const HEADER: &str = "x-amz-date";

/// Length of `YYYYMMDDTHHMMSSZ`.
const LEN: usize = 16;

/// Length of its date.
const DAY_LEN: usize = 8;

/// `YYYYMMDD`, as in a scope.
pub(super) type Day = [u8; DAY_LEN];

/// A date as sent, known to have the right shape and to name a real moment.
#[derive(Clone, Copy)]
pub(super) struct AmzDate<'a> {
    text: &'a [u8; LEN],
    at: UnixSeconds,
}

impl<'a> AmzDate<'a> {
    /// The date of a request.
    ///
    /// # Errors
    /// [`Refusal::MissingTimestamp`] without the header; [`Refusal::InvalidTimestamp`] for two or for one that is wrong.
    pub(super) fn of(head: &'a Parts) -> Result<Self, Refusal> {
        match Occurrence::of(&head.headers, HEADER) {
            Occurrence::Absent => Err(Refusal::MissingTimestamp),
            Occurrence::Once(text) => Self::parse(text).ok_or(Refusal::InvalidTimestamp),
            Occurrence::Repeated => Err(Refusal::InvalidTimestamp),
        }
    }

    fn parse(text: &'a [u8]) -> Option<Self> {
        let text: &[u8; LEN] = text.try_into().ok()?;
        let [y0, y1, y2, y3, m0, m1, d0, d1, b'T', h0, h1, n0, n1, s0, s1, b'Z'] = *text else { return None };
        let year = i16::from(two(y0, y1)?) * 100 + i16::from(two(y2, y3)?);
        let moment =
            DateTime::new(year, two(m0, m1)?, two(d0, d1)?, two(h0, h1)?, two(n0, n1)?, two(s0, s1)?, 0).ok()?;
        let at = Offset::UTC.to_timestamp(moment).ok()?.into();
        Some(Self { text, at })
    }

    /// When that was.
    pub(super) const fn at(self) -> UnixSeconds {
        self.at
    }

    /// The date as sent.
    pub(super) const fn text(self) -> &'a [u8] {
        self.text
    }

    /// The day alone.
    pub(super) fn day(self) -> Day {
        let mut day = [0; DAY_LEN];
        day.copy_from_slice(&self.text[..DAY_LEN]);
        day
    }
}

/// The number that two ASCII digits are.
fn two(tens: u8, ones: u8) -> Option<i8> {
    let digit =
        |byte: u8| byte.is_ascii_digit().then(|| byte.wrapping_sub(b'0')).and_then(|digit| i8::try_from(digit).ok());
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// `at` as the header's value.
pub(super) fn write(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        AmzDate::parse(text.as_bytes()).map(|date| date.at().0)
    }

    #[test]
    fn real_moments_are_read() {
        assert_eq!(seconds("20150830T123600Z"), Some(1_440_938_160));
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20240229T235959Z"), Some(1_709_251_199));
        assert!(seconds("00010101T000000Z").is_some_and(|at| at < 0));
    }

    #[test]
    fn anything_else_is_not() {
        for wrong in [
            "20230229T000000Z",
            "20150832T123600Z",
            "20151330T123600Z",
            "20150030T123600Z",
            "20150800T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "20150830t123600z",
            "20150830T123600",
            "20150830 123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600+0000",
            "20150830T12360\u{660}",
            "+0150830T123600Z",
            "20150830T123600.0Z",
            " 20150830T123600Z",
            "1440938160",
            "",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let at = Timestamp::from_second(1_440_938_160).unwrap();
        assert_eq!(write(at), "20150830T123600Z");
    }
}
