//! Between rows and the types of `crate::event` and `crate::store`; decides nothing.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_postgres::Row;

use crate::event::{Event, EventId, KeptHeaders, Name, Payload};
use crate::store::delivery::{DeliveryStatus, State};
use crate::store::error::StoreError;
use crate::store::sql::EVENT_COLUMNS;
use crate::store::stored::{event_id, shown, state, time};

/// `text` as PostgreSQL takes it: without NUL, which it cannot store and which only a hostile sender sends.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{2400}").into() } else { text.into() }
}

/// A limit for `LIMIT`; NULL means all.
pub(super) fn limit(rows: Option<u64>) -> Option<i64> {
    rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

/// The event in the columns `sql::EVENT` from `first` on, and the body after them.
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
        headers: KeptHeaders::from_stored(row.try_get(first + 9)?),
    })
}

/// The event in the columns `sql::EVENT` from `first` on and the body after them, for a listing, which must show even what
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
        headers: KeptHeaders::from_stored(row.try_get(first + 9).ok().flatten()),
    }
}

/// A delivery in the columns sink, state, attempts, how soon it is due, error, replays, duplicate from `first` on, at wall time `now`.
pub(super) fn delivery(row: &Row, first: usize, now: Timestamp) -> Result<DeliveryStatus, StoreError> {
    let state = state(row.try_get::<_, i16>(first + 1)?.into());
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
