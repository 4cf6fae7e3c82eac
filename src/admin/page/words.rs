//! Numbers and times as people read them at night: with units, and times both ways.

use std::borrow::Borrow;

use jiff::Timestamp;

use crate::escape::visible;

/// A time, relative and absolute.
pub(super) struct Moment {
    /// For machines.
    pub(super) iso: String,
    /// `2026-05-01 12:00:00 UTC`.
    pub(super) absolute: String,
    /// `3 min ago`.
    pub(super) relative: String,
}

impl Moment {
    /// `iso`, which is a time of ours, as seen `now`.
    pub(super) fn of(iso: &str, now: Timestamp) -> Self {
        let at = iso.parse::<Timestamp>().ok();
        let absolute = at.map_or_else(|| iso.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
        let relative = at.map_or_else(String::new, |at| relative(at.duration_since(now).as_secs()));
        Self { iso: iso.to_owned(), absolute, relative }
    }
}

/// So many seconds from now.
fn relative(seconds: i64) -> String {
    let span = span(seconds.unsigned_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// A duration in its largest unit.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// [`span`] of a gauge.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an age, which is no longer than centuries"
)]
pub(super) fn age(seconds: impl Borrow<f64>) -> String {
    let seconds = *seconds.borrow();
    if seconds < 1.0 { "–".to_owned() } else { span(seconds as u64) }
}

/// How much a minute: small rates with a digit behind the point, nothing as a dash.
pub(super) fn rate(by_minute: impl Borrow<f64>) -> String {
    let by_minute = *by_minute.borrow();
    if by_minute <= 0.0 {
        "–".to_owned()
    } else if by_minute < 10.0 {
        format!("{by_minute:.1}")
    } else {
        grouped(by_minute)
    }
}

/// A count with its digits in groups.
pub(super) fn grouped(count: impl Borrow<f64>) -> String {
    let digits = format!("{:.0}", count.borrow());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time in milliseconds, with its unit.
pub(super) fn millis(time: impl Borrow<Option<f64>>) -> String {
    match *time.borrow() {
        None => "–".to_owned(),
        Some(time) if time.is_infinite() => "> 10 s".to_owned(),
        Some(time) if time < 1.0 => format!("{time:.2} ms"),
        Some(time) if time < 1000.0 => format!("{time:.0} ms"),
        Some(time) => format!("{:.1} s", time / 1000.0),
    }
}

/// A size in bytes, with its unit.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub(super) fn bytes(size: impl Borrow<u64>) -> String {
    let size = *size.borrow();
    match size {
        0..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{:.1} KiB", size as f64 / 1_024.0),
        _ => format!("{:.1} MiB", size as f64 / 1_048_576.0),
    }
}

/// [`bytes()`] of a gauge.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size in memory")]
pub(super) fn bytes_of(size: impl Borrow<f64>) -> String {
    bytes(*size.borrow() as u64)
}

/// How far a clock is off, with its sign and unit.
pub(super) fn skew(seconds: impl Borrow<f64>) -> String {
    // Adding zero makes a negative one positive.
    format!("{:+.1} s", (seconds.borrow() * 10.0).round() / 10.0 + 0.0)
}

/// A sender's words on one line, with what acts or hides spelled out.
pub(super) fn text(words: &str) -> String {
    visible(words, false)
}

/// A sender's words with their line ends.
pub(super) fn lines(words: &str) -> String {
    visible(words, true)
}

/// Whether `value` is what was asked for.
pub(super) fn is(asked: impl Borrow<Option<String>>, value: &str) -> bool {
    asked.borrow().as_deref() == Some(value)
}

/// An id that fits into a table; the whole of it stands in the title.
pub(super) fn short(id: &str) -> String {
    const ENDS: usize = 10;
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= 2 * ENDS + 4 {
        return id.to_owned();
    }
    let (Some(first), Some(last)) = (chars.get(..ENDS + 4), chars.get(chars.len() - ENDS..)) else {
        return id.to_owned();
    };
    first.iter().chain(&['…']).chain(last).collect()
}

/// The address of the page of one event.
pub(super) fn event_place(source: &str, id: &str) -> String {
    format!("/event?source={}&id={}", encoded(source), encoded(id))
}

/// `text` as a value of a query.
pub(super) fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_both_ways() {
        let now: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let of = |iso: &str| {
            let moment = Moment::of(iso, now);
            (moment.relative, moment.absolute)
        };
        let at = |words: &str, absolute: &str| (words.to_owned(), absolute.to_owned());
        assert_eq!(of("2026-05-01T11:59:00.5Z"), at("59 s ago", "2026-05-01 11:59:00 UTC"));
        assert_eq!(of("2026-05-01T11:00:00Z"), at("60 min ago", "2026-05-01 11:00:00 UTC"));
        assert_eq!(of("2026-05-01T15:00:00Z"), at("in 3 h", "2026-05-01 15:00:00 UTC"));
        assert_eq!(of("junk"), at("", "junk"));
    }

    #[test]
    fn numbers_have_units_and_ids_fit() {
        assert_eq!((bytes(12), bytes(1536), bytes(3 << 20)), ("12 B".into(), "1.5 KiB".into(), "3.0 MiB".into()));
        assert_eq!((rate(0.0), rate(1.25), rate(1234.0)), ("–".into(), "1.2".into(), "1\u{202f}234".into()));
        assert_eq!(
            (millis(Some(0.25)), millis(Some(16.0)), millis(None)),
            ("0.25 ms".into(), "16 ms".into(), "–".into())
        );
        assert_eq!(short("ev-1"), "ev-1");
        assert_eq!(short(&format!("sha256:{}", "ab".repeat(32))), "sha256:abababa…ababababab");
        assert_eq!(encoded("a&b=<é>"), "a%26b%3D%3C%C3%A9%3E");
    }
}
