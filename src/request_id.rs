//! What a request is called: in its access record, in its answer, at its event and where it was refused.

use std::sync::Arc;

use jiff::Timestamp;

/// Hexadecimal digits of the time in front, in milliseconds since 1970.
const TIME_DIGITS: usize = 12;
/// Digits in all.
const DIGITS: usize = 32;

/// One for a request that arrives `now`: 48 bits of time, so that what it brought is found without an index, and 80 random
/// ones; unique, not secret.
pub(crate) fn new(now: Timestamp) -> Arc<str> {
    let millis = u128::try_from(now.as_millisecond()).unwrap_or(0);
    let id = millis << 80 | fastrand::u128(..) >> 48;
    let mut digits = [0; DIGITS];
    // Digits are text, as many as there is room for. Written at once: as format arguments it takes five allocations.
    let written = hex::encode_to_slice(id.to_be_bytes(), &mut digits).ok().and_then(|()| str::from_utf8(&digits).ok());
    written.unwrap_or_default().into()
}

/// When the request called `text` arrived, by the clock of whoever took it; `None` where that is no such name.
pub(crate) fn arrived(text: &str) -> Option<Timestamp> {
    let is_one = text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let millis = i64::from_str_radix(text.get(..TIME_DIGITS).filter(|_| is_one)?, 16).ok()?;
    Timestamp::from_millisecond(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_time_and_no_two_are_the_same() {
        let now: Timestamp = "2026-05-01T12:00:00.123Z".parse().unwrap();
        let (one, other) = (new(now), new(now));
        assert!(one != other && one.len() == DIGITS, "{one} {other}");
        assert_eq!(arrived(&one), Some(now));
        for wrong in ["", "019", &one[1..], &one.to_uppercase(), &format!("{one}0"), "not-a-request-id-of-ours-at-all!"]
        {
            assert_eq!(arrived(wrong), None, "{wrong}");
        }
    }
}
