//! Key `rate`: how many deliveries a sink gets within a second or a minute at most.

use std::fmt;
use std::time::Duration;

/// More than a sink takes by far; what has begun is remembered for as long as it counts.
const MOST: usize = 100_000;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

/// At most `count` deliveries begin within any time of length `per`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// At least one.
    pub count: usize,
    /// A second or a minute.
    pub per: Duration,
}

impl Rate {
    /// Reads `100/s` or `600/m`.
    ///
    /// # Errors
    /// What was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a number from 1 to {MOST} and /s or /m, such as \"100/s\", found {text:?}");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let per = match unit {
            "s" => SECOND,
            "m" => MINUTE,
            _ => return Err(wrong()),
        };
        let digits = count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|count| digits && (1..=MOST).contains(count)).ok_or_else(wrong)?;
        Ok(Self { count, per })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, if self.per == MINUTE { 'm' } else { 's' })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for good in ["1/s", "100/s", "100000/s", "1/m", "600/m"] {
            assert_eq!(Rate::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "", "100", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "1 /s", "1/ s", "1/S", "1/h", "1/s/s", "100001/s", "1e3/s",
        ] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }
}
