//! Between rows and the types of `crate::event` and `crate::store`; decides nothing.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, Row};

use crate::event::{Event, EventId, KeptHeaders, Name, Payload};
use crate::store::delivery::{DeliveryStatus, State};
use crate::store::error::StoreError;
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::schema::SINKS;
use crate::store::stored::{duration, event_id, state, time};

/// The name, in listings, of what cannot be read.
const UNREADABLE: &str = "unreadable";

/// How much has passed at `now` since `at`; none where that is yet to come.
pub(super) fn since(at: i64, now: i64) -> Duration {
    duration(now.saturating_sub(at))
}

/// A limit for `LIMIT`.
pub(super) fn limit(rows: Option<u64>) -> i64 {
    rows.map_or(-1, |rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

/// Names by their numbers.
pub(super) struct Names(HashMap<i64, Name>);

impl Names {
    /// All sources.
    pub(super) fn sources(conn: &Connection) -> Result<Self, StoreError> {
        Self::load(conn, "SELECT id, name FROM sources")
    }

    /// All sinks.
    pub(super) fn sinks(conn: &Connection) -> Result<Self, StoreError> {
        Self::load(conn, "SELECT id, name FROM sinks")
    }

    fn load(conn: &Connection, sql: &str) -> Result<Self, StoreError> {
        let mut sql = conn.prepare_cached(sql)?;
        let rows = sql.query_map([], |row| Ok((row.get(0)?, Name::from(row.get::<_, String>(1)?))))?;
        Ok(Self(rows.collect::<Result<_, _>>()?))
    }

    /// The name with number `id`.
    pub(super) fn get(&self, id: i64) -> Result<Name, StoreError> {
        self.0.get(&id).cloned().ok_or_else(|| StoreError::Corrupt(format!("no name {id}")))
    }

    /// The name whose number is in `column`, for a listing.
    pub(super) fn name(&self, row: &Row<'_>, column: usize) -> Name {
        let name = row.get(column).ok().and_then(|id| self.get(id).ok());
        name.unwrap_or_else(|| UNREADABLE.into())
    }

    /// The number of `name`, when it was ever used.
    pub(super) fn id(&self, name: &Name) -> Option<i64> {
        self.0.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    /// All names with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Name)> {
        self.0.iter().map(|(id, name)| (*id, name))
    }

    /// The event in the columns `sql::EVENT` from `first` on, whose source is named here, with `body`.
    pub(super) fn event(&self, row: &Row<'_>, first: usize, body: Vec<u8>) -> Result<Event, StoreError> {
        let id: String = row.get(first + 1)?;
        let ip: Option<String> = row.get(first + 7)?;
        Ok(Event {
            source: self.get(row.get(first)?)?,
            id: event_id(&id)?,
            kind: row.get(first + 2)?,
            received_at: time(row.get(first + 3)?)?,
            content_type: row.get(first + 4)?,
            payload: Payload::from(Bytes::from(body)),
            key: row.get(first + 5)?,
            request_id: row.get(first + 6)?,
            client_ip: ip.and_then(|ip| ip.parse().ok()),
            traceparent: row.get(first + 8)?,
            headers: KeptHeaders::from_stored(row.get(first + 9)?),
        })
    }

    /// The event in the columns `sql::EVENT` from `first` on, for a listing, which must show even what cannot be read as a
    /// whole: whatever of it can be.
    pub(super) fn shown(&self, row: &Row<'_>, first: usize, body: Vec<u8>) -> Event {
        let text = |column: usize| row.get::<_, String>(first + column).ok();
        let id = text(1).and_then(|id| EventId::new(&id));
        Event {
            source: self.name(row, first),
            id: id.unwrap_or_else(EventId::unreadable),
            kind: text(2).unwrap_or_default(),
            received_at: row.get(first + 3).ok().and_then(|at| time(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH),
            content_type: text(4).unwrap_or_default(),
            payload: Payload::from(Bytes::from(body)),
            key: text(5).unwrap_or_default(),
            request_id: text(6).unwrap_or_default(),
            client_ip: text(7).and_then(|ip| ip.parse().ok()),
            traceparent: text(8),
            headers: KeptHeaders::from_stored(row.get(first + 9).ok().flatten()),
        }
    }
}

/// The deliveries of event `seq`, in the order of their sinks' names.
pub(super) fn deliveries(
    conn: &Connection,
    sinks: &Names,
    clock: &StoreClock,
    seq: i64,
) -> Result<Vec<DeliveryStatus>, StoreError> {
    let sql =
        "SELECT sink, state, attempts, due_at, error, replays, duplicate FROM deliveries WHERE id BETWEEN ?1 AND ?2";
    let mut sql = conn.prepare_cached(sql)?;
    let mut rows = sql.query([seq * SINKS, seq * SINKS + SINKS - 1])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let state = state(row.get(1)?);
        found.push(DeliveryStatus {
            sink: sinks.name(row, 0),
            state,
            attempts: row.get(2).unwrap_or(0),
            replays: row.get(5).unwrap_or(0),
            duplicate: row.get(6).unwrap_or(false),
            next_attempt_at: row.get(3).ok().filter(|_| state == State::Pending).map(|due| clock.shown(due)),
            last_error: row.get(4).ok().flatten(),
        });
    }
    found.sort_by(|a, b| a.sink.cmp(&b.sink));
    Ok(found)
}
