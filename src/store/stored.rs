//! What every backend stores alike: the numbers of states, and how times and counts stand in rows.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::EventId;
use crate::store::delivery::{LONGEST_WAIT, State};
use crate::store::error::StoreError;

/// The state of a delivery, as stored.
pub(super) const PENDING: i64 = 0;
/// Likewise.
pub(super) const DELIVERED: i64 = 1;
/// Likewise.
pub(super) const DEAD: i64 = 2;

/// A stored state; a number that means none waits, as it was never settled.
pub(super) const fn state(stored: i64) -> State {
    match stored {
        DELIVERED => State::Delivered,
        DEAD => State::Dead,
        _ => State::Pending,
    }
}

/// `state` as stored.
pub(super) const fn state_number(state: State) -> i64 {
    match state {
        State::Pending => PENDING,
        // No delivery is in that state: it is what an event is in that has none.
        State::Delivered | State::Stored => DELIVERED,
        State::Dead => DEAD,
    }
}

/// Microseconds since 1970, as times are stored.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A duration in microseconds.
pub(super) fn micros_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// How long a wait or a lease is, in microseconds: within what counts as put off.
pub(super) fn wait(duration: Duration) -> i64 {
    micros_of(duration.min(LONGEST_WAIT))
}

/// What is due later than this counts as due.
pub(super) fn furthest(now: i64) -> i64 {
    now.saturating_add(wait(LONGEST_WAIT))
}

/// A duration of so many microseconds; none where it is negative.
pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A stored time.
pub(super) fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt(format!("time {micros}")))
}

/// The wall-clock time so many microseconds after `now`; the last there is where it does not fit.
pub(super) fn shown(now: Timestamp, after: i64) -> Timestamp {
    let shown = micros(now).saturating_add(after);
    let furthest = if shown < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(shown).unwrap_or(furthest)
}

/// A count, which is never negative.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A stored event id.
pub(super) fn event_id(id: &str) -> Result<EventId, StoreError> {
    EventId::new(id).ok_or_else(|| StoreError::Corrupt("an event id that is none".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_comes_back() {
        for of in [State::Pending, State::Delivered, State::Dead] {
            assert_eq!(state(state_number(of)), of);
        }
    }

    #[test]
    fn a_time_beyond_all_bounds_is_still_shown() {
        assert_eq!(shown(Timestamp::UNIX_EPOCH, i64::MAX), Timestamp::MAX);
        assert_eq!(shown(Timestamp::UNIX_EPOCH, i64::MIN), Timestamp::MIN);
    }
}
