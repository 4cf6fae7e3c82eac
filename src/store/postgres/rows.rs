//! Between rows and the types of `crate::event` and `crate::store`; decides nothing.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::event::{Event, EventId, Name, Payload};
use crate::store::delivery::{DeliveryStatus, LONGEST_WAIT, State};
use crate::store::error::StoreError;

/// The columns of `gatepost_events e` that [`event`] reads, from the first on.
pub(super) const EVENT: &str = "e.source, e.id, e.kind, e.received_at, e.content_type, e.key, e.request_id, e.client_ip, \
                         e.traceparent";
/// How many columns [`EVENT`] has; a body column follows.
pub(super) const EVENT_COLUMNS: usize = 9;

/// `text` as PostgreSQL takes it: without NUL, which it cannot store and which only a hostile sender sends.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{2400}").into() } else { text.into() }
}

/// Microseconds since 1970, as stored.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A stored time.
pub(super) fn time(micros: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt(format!("time {micros}")))
}

/// How long a wait or a lease is, in microseconds: within what counts as put off.
pub(super) fn wait(duration: Duration) -> i64 {
    i64::try_from(duration.min(LONGEST_WAIT).as_micros()).unwrap_or(i64::MAX)
}

/// A duration of so many microseconds; none where it is negative.
pub(super) fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// The wall-clock time so many microseconds after `now`; the last there is where it does not fit.
pub(super) fn shown(now: Timestamp, after: i64) -> Timestamp {
    let furthest = if after < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros(now).saturating_add(after)).unwrap_or(furthest)
}

/// A count, which is never negative.
pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// A limit for `LIMIT`; NULL means all.
pub(super) fn limit(rows: Option<u64>) -> Option<i64> {
    rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

/// A stored event id.
pub(super) fn event_id(id: &str) -> Result<EventId, StoreError> {
    EventId::new(id).ok_or_else(|| StoreError::Corrupt("an event id that is none".into()))
}

/// The event in the columns [`EVENT`] from `first` on, and the body after them.
pub(super) fn event(row: &Row, first: usize) -> Result<Event, StoreError> {
    let ip: Option<String> = row.try_get(first + 7)?;
    let body: Option<Vec<u8>> = row.try_get(first + EVENT_COLUMNS)?;
    Ok(Event {
        source: row.try_get::<_, &str>(first)?.into(),
        id: event_id(row.try_get(first + 1)?)?,
        kind: row.try_get(first + 2)?,
        received_at: time(row.try_get(first + 3)?)?,
        content_type: row.try_get(first + 4)?,
        payload: Payload::from(Bytes::from(body.unwrap_or_default())),
        key: row.try_get(first + 5)?,
        request_id: row.try_get(first + 6)?,
        client_ip: ip.and_then(|ip| ip.parse().ok()),
        traceparent: row.try_get(first + 8)?,
    })
}

/// The event in the columns [`EVENT`] from `first` on and the body after them, for a listing, which must show even what
/// cannot be read as a whole or is gone: whatever there is.
pub(super) fn shown_event(row: &Row, first: usize) -> Event {
    let text = |column: usize| row.try_get::<_, Option<String>>(first + column).ok().flatten();
    let body: Option<Vec<u8>> = row.try_get(first + EVENT_COLUMNS).ok().flatten();
    let received_at = row.try_get::<_, Option<i64>>(first + 3).ok().flatten();
    Event {
        source: text(0).map_or_else(|| Name::from("unreadable"), Name::from),
        id: text(1).and_then(|id| EventId::new(&id)).unwrap_or_else(EventId::unreadable),
        kind: text(2).unwrap_or_default(),
        received_at: received_at.and_then(|at| time(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
        content_type: text(4).unwrap_or_default(),
        payload: Payload::from(Bytes::from(body.unwrap_or_default())),
        key: text(5).unwrap_or_default(),
        request_id: text(6).unwrap_or_default(),
        client_ip: text(7).and_then(|ip| ip.parse().ok()),
        traceparent: text(8),
    }
}

/// A stored delivery state.
pub(super) const fn state(stored: i16) -> State {
    match stored {
        1 => State::Delivered,
        2 => State::Dead,
        _ => State::Pending,
    }
}

/// `state` as stored.
pub(super) const fn state_code(state: State) -> i16 {
    match state {
        State::Pending => 0,
        State::Delivered => 1,
        State::Dead => 2,
    }
}

/// A delivery in the columns sink, state, attempts, how soon it is due, error, replays, duplicate from `first` on, at wall time `now`.
pub(super) fn delivery(row: &Row, first: usize, now: Timestamp) -> Result<DeliveryStatus, StoreError> {
    let state = state(row.try_get(first + 1)?);
    Ok(DeliveryStatus {
        sink: row.try_get::<_, &str>(first)?.into(),
        state,
        attempts: u32::try_from(row.try_get::<_, i32>(first + 2)?).unwrap_or(0),
        replays: u32::try_from(row.try_get::<_, i32>(first + 5)?).unwrap_or(0),
        duplicate: row.try_get(first + 6)?,
        next_attempt_at: if state == State::Pending { Some(shown(now, row.try_get(first + 3)?)) } else { None },
        last_error: row.try_get(first + 4)?,
    })
}
