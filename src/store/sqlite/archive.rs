//! What was accepted: listed, looked up, delivered again.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row};

use crate::event::{EventKey, Name};
use crate::store::archive::{Archive, Archived, EventFilter, EventRef};
use crate::store::delivery::State;
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page};
use crate::store::sql::{EVENT, EVENT_COLUMNS};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::erase::erase;
use crate::store::sqlite::ids;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::replay::{discard, requeue};
use crate::store::sqlite::rows::{self, Names};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::search;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::unsigned;

/// Events queued again in one transaction, so that a long replay never holds up inserts for long.
const STEP: usize = 200;

/// The accepted events of a SQLite store.
pub(super) struct SqliteArchive {
    /// For replays.
    pub writer: Arc<Writer>,
    /// For listings.
    pub readers: Readers,
    /// For listings too.
    pub clock: StoreClock,
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn page(&self, filter: &EventFilter, from: Option<Cursor>) -> Result<Page<Archived>, StoreError> {
        let (filter, clock) = (filter.clone(), self.clock.clone());
        self.readers.read(move |conn| page(conn, &clock, &filter, from)).await
    }

    async fn get(&self, event: &EventRef) -> Result<Vec<Archived>, StoreError> {
        let (event, clock) = (event.clone(), self.clock.clone());
        self.readers.read(move |conn| get(conn, &clock, &event)).await
    }

    async fn replay(&self, events: &[EventRef], sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError> {
        let sinks: Option<Arc<[Name]>> = sinks.map(Into::into);
        let gone: Arc<[Name]> = gone.into();
        let mut queued = 0;
        for step in events.chunks(STEP) {
            let step = step.to_vec();
            let (sinks, gone) = (sinks.clone(), Arc::clone(&gone));
            queued += self
                .writer
                .call(move |tx| {
                    let sinks = sinks.as_deref();
                    step.iter().try_fold(0, |sum, event| Ok(sum + replay_event(tx, event, sinks, &gone)?))
                })
                .await?;
        }
        Ok(queued)
    }

    async fn erase(&self, event: &EventRef, erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError> {
        let (event, erasure) = (event.clone(), erasure.clone());
        self.writer
            .call(move |tx| {
                let keys = keys(tx.conn, &event)?;
                erase(tx, &keys, &erasure)
            })
            .await
    }
}

fn page(
    conn: &Connection,
    clock: &StoreClock,
    filter: &EventFilter,
    from: Option<Cursor>,
) -> Result<Page<Archived>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let found = search::find(conn, filter, (&sources, &sinks), from)?;
    let mut sql =
        conn.prepare_cached(&format!("SELECT {EVENT}, length(e.body), e.erased FROM events e WHERE seq = ?1"))?;
    let mut rows = Vec::with_capacity(found.seqs.len());
    for seq in found.seqs {
        let mut row = sql.query([seq])?;
        let Some(row) = row.next()? else { continue };
        let deliveries = rows::deliveries(conn, &sinks, clock, seq)?;
        rows.push(Archived {
            event: sources.shown(row, 0, Vec::new()),
            bytes: unsigned(row.get(EVENT_COLUMNS).unwrap_or(0)),
            state: State::of_event(&deliveries),
            deliveries,
            erased: erasure(row, EVENT_COLUMNS + 1),
        });
    }
    Ok(Page { rows, next: found.next })
}

fn get(conn: &Connection, clock: &StoreClock, event: &EventRef) -> Result<Vec<Archived>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let mut sql = conn.prepare_cached(&format!("SELECT {EVENT}, e.body, e.erased FROM events e WHERE e.seq = ?1"))?;
    let mut found = Vec::new();
    for seq in named(conn, event)? {
        let mut rows = sql.query([seq])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Corrupt(format!("an id without its event {seq}")))?;
        let body: Vec<u8> = row.get(EVENT_COLUMNS).unwrap_or_default();
        let deliveries = rows::deliveries(conn, &sinks, clock, seq)?;
        found.push(Archived {
            bytes: body.len() as u64,
            event: sources.shown(row, 0, body),
            state: State::of_event(&deliveries),
            deliveries,
            erased: erasure(row, EVENT_COLUMNS + 1),
        });
    }
    Ok(found)
}

fn erasure(row: &Row<'_>, column: usize) -> Option<Erasure> {
    Erasure::from_stored(row.get::<_, Option<String>>(column).unwrap_or(Some(String::new())).as_deref())
}

/// The events that `event` names, newest first.
fn named(conn: &Connection, event: &EventRef) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    for key in keys(conn, event)? {
        found.extend(ids::find(conn, &key)?);
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// The keys `event` may mean: an id alone is looked up under every source there ever was.
fn keys(conn: &Connection, event: &EventRef) -> Result<Vec<EventKey>, StoreError> {
    if let Some(source) = &event.source {
        return Ok(vec![EventKey::of(source, &event.id)]);
    }
    Ok(Names::sources(conn)?.iter().map(|(_, source)| EventKey::of(source, &event.id)).collect())
}

fn replay_event(tx: &mut Tx<'_>, event: &EventRef, sinks: Option<&[Name]>, gone: &[Name]) -> Result<u64, StoreError> {
    let known = Names::sinks(tx.conn)?;
    let gone: Vec<i64> = gone.iter().filter_map(|sink| known.id(sink)).collect();
    let mut queued = 0;
    for key in keys(tx.conn, event)? {
        let Some(seq) = tx.find(&key)? else { continue };
        let erased = "SELECT 1 FROM events WHERE seq = ?1 AND erased IS NOT NULL";
        if tx.conn.prepare_cached(erased)?.exists([seq])? {
            continue;
        }
        let (first, last) = (seq * SINKS, seq * SINKS + SINKS - 1);
        let (held, replays) = {
            let mut sql = tx.conn.prepare_cached("SELECT id, replays FROM deliveries WHERE id BETWEEN ?1 AND ?2")?;
            let rows = sql.query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let rows = rows.collect::<Result<Vec<(i64, i64)>, _>>()?;
            let replays = rows.iter().map(|(_, replays)| *replays).max().unwrap_or(0);
            (rows.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), replays)
        };
        let of_gone = |id: &i64| gone.contains(&(id % SINKS));
        let wanted: Vec<i64> = match sinks {
            Some(sinks) => sinks.iter().map(|sink| Ok(first + tx.sink(sink)?)).collect::<Result<_, StoreError>>()?,
            None => held.iter().copied().filter(|id| !of_gone(id)).collect(),
        };
        for &id in &wanted {
            queued += u64::from(requeue(tx, id, replays + 1)?);
        }
        if sinks.is_some() {
            for id in held.into_iter().filter(|id| of_gone(id) && !wanted.contains(id)) {
                discard(tx, id)?;
            }
        }
    }
    Ok(queued)
}
