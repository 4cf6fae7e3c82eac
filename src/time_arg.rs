//! Points in time as people give them: a date, RFC 3339, or how long ago.

use jiff::{SignedDuration, Timestamp, civil};

/// A point in time on the command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimeArg {
    /// This very one.
    At(Timestamp),
    /// So long before now.
    Ago(SignedDuration),
}

impl TimeArg {
    /// The point it means when it is `now`.
    pub(crate) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(age) => now.checked_sub(age).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Reads RFC 3339 (`2026-05-01T12:00:00Z`), a date (`2026-05-01`, midnight UTC) or an age (`90s`, `15m`, `2h`, `3d`).
pub(crate) fn parse(text: &str) -> Result<TimeArg, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(TimeArg::At(at));
    }
    if let Some(at) = text.parse::<civil::Date>().ok().and_then(midnight) {
        return Ok(TimeArg::At(at));
    }
    age(text).map(TimeArg::Ago).map_err(|()| {
        "expected a time such as 2026-05-01T12:00:00Z, a date such as 2026-05-01, or how long ago such as 90s, 15m, 2h, 3d"
            .to_owned()
    })
}

/// Reads an age (`90s`, `15m`, `2h`, `3d`, `1w`).
pub(crate) fn parse_age(text: &str) -> Result<SignedDuration, String> {
    age(text).map_err(|()| "expected a number with a unit, such as 90s, 15m, 2h, 3d".to_owned())
}

fn midnight(date: civil::Date) -> Option<Timestamp> {
    date.to_datetime(civil::Time::midnight()).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp())
}

fn age(text: &str) -> Result<SignedDuration, ()> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = number.parse().map_err(|_| ())?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(()),
    };
    number.checked_mul(unit).map(SignedDuration::from_secs).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> String {
        let now: Timestamp = "2026-05-02T00:00:00Z".parse().unwrap();
        parse(text).unwrap().resolve(now).to_string()
    }

    #[test]
    fn all_three_forms_are_understood() {
        assert_eq!(resolved("2026-05-01T12:00:00Z"), "2026-05-01T12:00:00Z");
        assert_eq!(resolved("2026-05-01T14:00:00+02:00"), "2026-05-01T12:00:00Z");
        assert_eq!(resolved("2026-05-01"), "2026-05-01T00:00:00Z");
        assert_eq!(resolved("90s"), "2026-05-01T23:58:30Z");
        assert_eq!(resolved("2h"), "2026-05-01T22:00:00Z");
        assert_eq!(resolved("1w"), "2026-04-25T00:00:00Z");
    }

    #[test]
    fn nonsense_is_refused_and_extremes_do_not_overflow() {
        for text in ["", "h", "2", "-2h", "2 h", "2hours", "9223372036854775807w", "yesterday", "2026-13-01"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(TimeArg::Ago(SignedDuration::from_secs(i64::MAX)).resolve(Timestamp::UNIX_EPOCH), Timestamp::MIN);
    }
}
