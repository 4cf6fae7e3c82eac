//! Durations as operators write them: a number and a unit, `"250ms"`, `"10s"`, `"5m"`, `"96h"`, `"30d"`.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The units, longest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration: ASCII digits, then one unit, nothing else.
///
/// # Errors
/// What was expected, in words.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let length = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length);
    let (Some(length), false) = (length, number.is_empty()) else {
        return Err(format!("expected a number and a unit (ms, s, m, h or d) such as \"10s\", found {text:?}"));
    };
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(length));
    millis.map(Duration::from_millis).ok_or_else(|| format!("{text:?} is too long"))
}

/// Reads a duration that must lie within `range`.
///
/// # Errors
/// What was expected, in words.
pub(crate) fn parse_within(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, String> {
    let duration = parse(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (from, to) = (write(*range.start()), write(*range.end()));
    Err(format!("expected a duration from {from} to {to}, found {text:?}"))
}

/// Writes a duration in hours, seconds or milliseconds, the longest that needs no fraction; what is finer is dropped.
#[must_use]
pub(crate) fn write(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Days and minutes would turn the "96h" and "300s" that everybody knows into "4d" and "5m".
    let whole = |unit: &str, length: u64| millis > 0 && unit != "d" && unit != "m" && millis.is_multiple_of(length);
    match UNITS.iter().find(|(unit, length)| whole(unit, *length)) {
        Some((unit, length)) => format!("{}{unit}", millis / length),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read() {
        let read = |text| parse(text).unwrap().as_millis();
        assert_eq!(read("250ms"), 250);
        assert_eq!(read("1s"), 1_000);
        assert_eq!(read("5m"), 300_000);
        assert_eq!(read("96h"), 345_600_000);
        assert_eq!(read("4d"), 345_600_000);
        assert_eq!(read("0s"), 0);
    }

    #[test]
    fn what_is_not_a_number_and_a_unit_is_refused() {
        for text in ["", "s", "10", "10 s", " 10s", "10s ", "-1s", "+1s", "1.5h", "1h30m", "10S", "١s", "10sec", "1e3s"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("99999999999999999999s").is_err());
        assert!(parse("18446744073709551615d").is_err());
    }

    #[test]
    fn ranges_include_their_ends() {
        let range = Duration::from_secs(1)..=Duration::from_mins(15);
        for (text, fits) in [("999ms", false), ("1s", true), ("15m", true), ("901s", false)] {
            assert_eq!(parse_within(text, &range).is_ok(), fits, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        for text in ["0s", "250ms", "1500ms", "10s", "60s", "300s", "1h", "96h"] {
            assert_eq!(write(parse(text).unwrap()), text);
        }
    }
}
