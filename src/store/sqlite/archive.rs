//! What was accepted: listed, looked up, delivered again.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use crate::event::{EventKey, Name};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::ids;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::{self, EVENT, EVENT_COLUMNS, Names, limit, unsigned};
use crate::store::sqlite::schema::{DEAD, PENDING, SINKS};
use crate::store::sqlite::selection;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::{Archive, Archived, Cursor, EventRef, Filter, Page, StoreError, listing};

/// Events queued again in one transaction, so that a long replay never holds up inserts for long.
const STEP: usize = 200;

/// The accepted events of a SQLite store.
pub struct SqliteArchive {
    /// For replays.
    pub writer: Arc<Writer>,
    /// For listings.
    pub readers: Readers,
    /// For listings too.
    pub clock: StoreClock,
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn page(&self, filter: &Filter, from: Option<Cursor>) -> Result<Page<Archived>, StoreError> {
        let (filter, clock) = (filter.clone(), self.clock.clone());
        self.readers.read(move |conn| page(conn, &clock, &filter, from)).await
    }

    async fn get(&self, event: &EventRef) -> Result<Vec<Archived>, StoreError> {
        let (event, clock) = (event.clone(), self.clock.clone());
        self.readers.read(move |conn| get(conn, &clock, &event)).await
    }

    async fn replay(&self, events: &[EventRef], sinks: Option<&[Name]>) -> Result<u64, StoreError> {
        let sinks: Option<Arc<[Name]>> = sinks.map(Into::into);
        let mut queued = 0;
        for step in events.chunks(STEP) {
            let step = step.to_vec();
            let sinks = sinks.clone();
            queued += self
                .writer
                .call(move |tx| {
                    step.iter().try_fold(0, |sum, event| Ok(sum + replay_event(tx, event, sinks.as_deref())?))
                })
                .await?;
        }
        Ok(queued)
    }
}

fn page(
    conn: &Connection,
    clock: &StoreClock,
    filter: &Filter,
    from: Option<Cursor>,
) -> Result<Page<Archived>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let wanted = listing::rows(filter);
    let Some(mut conditions) = selection::events(filter, &sources, &sinks) else { return Ok(Page::of(Vec::new(), 0)) };
    if let Some(Cursor(seq, _)) = from {
        conditions.add("e.seq < ?", [seq.into()]);
    }
    conditions.values.push(limit(Some(wanted)).into());
    let sql = format!(
        "SELECT {EVENT}, length(e.body), e.seq FROM events e WHERE {} ORDER BY e.seq DESC LIMIT ?",
        conditions.sql()
    );
    let mut sql = conn.prepare_cached(&sql)?;
    let mut rows = sql.query(params_from_iter(conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(EVENT_COLUMNS + 1)?;
        let deliveries = rows::deliveries(conn, &sinks, clock, seq)?;
        let archived = Archived {
            event: sources.shown(row, 0, Vec::new()),
            bytes: unsigned(row.get(EVENT_COLUMNS).unwrap_or(0)),
            state: rows::worst(&deliveries),
            deliveries,
        };
        found.push((Cursor(seq, 0), archived));
    }
    Ok(Page::of(found, wanted))
}

fn get(conn: &Connection, clock: &StoreClock, event: &EventRef) -> Result<Vec<Archived>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let mut sql = conn.prepare_cached(&format!("SELECT {EVENT}, e.body FROM events e WHERE e.seq = ?1"))?;
    let mut found = Vec::new();
    for seq in named(conn, event)? {
        let mut rows = sql.query([seq])?;
        let row = rows.next()?.ok_or_else(|| StoreError::Corrupt(format!("an id without its event {seq}")))?;
        let body: Vec<u8> = row.get(EVENT_COLUMNS).unwrap_or_default();
        let deliveries = rows::deliveries(conn, &sinks, clock, seq)?;
        found.push(Archived {
            bytes: body.len() as u64,
            event: sources.shown(row, 0, body),
            state: rows::worst(&deliveries),
            deliveries,
        });
    }
    Ok(found)
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

fn replay_event(tx: &mut Tx<'_>, event: &EventRef, sinks: Option<&[Name]>) -> Result<u64, StoreError> {
    let mut queued = 0;
    for key in keys(tx.conn, event)? {
        let Some(seq) = tx.find(&key)? else { continue };
        let ids: Vec<i64> = if let Some(sinks) = sinks {
            sinks.iter().map(|sink| Ok(seq * SINKS + tx.sink(sink)?)).collect::<Result<_, StoreError>>()?
        } else {
            let mut sql = tx.conn.prepare_cached("SELECT id FROM deliveries WHERE id BETWEEN ?1 AND ?2")?;
            let rows = sql.query_map([seq * SINKS, seq * SINKS + SINKS - 1], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        for id in ids {
            queued += u64::from(requeue(tx, id)?);
        }
    }
    Ok(queued)
}

/// Queues delivery `id` again from attempt 0. One that is under way, or waits for its first attempt, is left alone.
pub fn requeue(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let (sink, now) = (id % SINKS, tx.now);
    let sql = "SELECT state, claimed_at IS NOT NULL OR (attempts = 0 AND due_at <= ?2) FROM deliveries WHERE id = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let held: Option<(i64, bool)> = tx.conn.prepare_cached(sql)?.query_row([id, now], read).optional()?;
    match held {
        Some((PENDING, true)) => return Ok(false),
        Some((PENDING, false)) => {}
        Some((DEAD, _)) => tx.count(sink, 1, -1),
        Some(_) | None => tx.count(sink, 1, 0),
    }
    // The lease stays, so that a claim from before cannot settle what is queued now.
    let sql = "INSERT INTO deliveries VALUES (?1, ?2, 0, 0, ?3, ?3, 0, NULL, NULL)
               ON CONFLICT (id) DO UPDATE SET state = 0, attempts = 0, due_at = ?3, queued_at = ?3, claimed_at = NULL,
                   error = NULL";
    tx.conn.prepare_cached(sql)?.execute(params![id, sink, now])?;
    tx.done.queued = true;
    Ok(true)
}
