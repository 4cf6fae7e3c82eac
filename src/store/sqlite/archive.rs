//! What was accepted: listed, looked up, delivered again.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params_from_iter};

use crate::event::{EventKey, Name};
use crate::store::archive::{Archive, Archived, EventFilter, EventRef};
use crate::store::delivery::State;
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::sql::{EVENT, EVENT_COLUMNS};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::erase::erase;
use crate::store::sqlite::ids;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::replay::{discard, requeue};
use crate::store::sqlite::rows::{self, Names, limit};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::selection;
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
    let wanted = filter.page_rows();
    let Some(mut conditions) = selection::events(filter, &sources, &sinks) else { return Ok(Page::of(Vec::new(), 0)) };
    if let Some(Cursor(seq, _)) = from {
        conditions.add("e.seq < ?", [seq.into()]);
    }
    conditions.values.push(limit(Some(wanted)).into());
    let mut sql = conn.prepare_cached(&listing(filter, &conditions.sql()))?;
    let mut rows = sql.query(params_from_iter(conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(EVENT_COLUMNS + 1)?;
        let deliveries = rows::deliveries(conn, &sinks, clock, seq)?;
        let archived = Archived {
            event: sources.shown(row, 0, Vec::new()),
            bytes: unsigned(row.get(EVENT_COLUMNS).unwrap_or(0)),
            state: State::of_event(&deliveries),
            deliveries,
            erased: erasure(row, EVENT_COLUMNS + 2),
        };
        found.push((Cursor(seq, 0), archived));
    }
    Ok(Page::of(found, wanted))
}

/// A page of what matches `conditions`, which `filter` came to. Where columns of the narrow index are looked for, that is
/// read instead of the rows with their bodies.
fn listing(filter: &EventFilter, conditions: &str) -> String {
    let index = if selection::is_narrowed(filter) { "INDEXED BY events_listed" } else { "" };
    format!(
        "SELECT {EVENT}, length(e.body), e.seq, e.erased FROM (
             SELECT e.seq AS found FROM events e {index} WHERE {conditions} ORDER BY e.seq DESC LIMIT ?
         ) JOIN events e ON e.seq = found ORDER BY e.seq DESC"
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::schema;

    /// How SQLite would look for what matches `filter`.
    fn plan(filter: &EventFilter) -> String {
        let mut conn = Connection::open_in_memory().unwrap();
        schema::migrate(&mut conn).unwrap();
        conn.execute_batch("INSERT INTO sources (name) VALUES ('a'); INSERT INTO sinks (name) VALUES ('x')").unwrap();
        let (sources, sinks) = (Names::sources(&conn).unwrap(), Names::sinks(&conn).unwrap());
        let mut conditions = selection::events(filter, &sources, &sinks).unwrap();
        conditions.add("e.seq < ?", [9.into()]);
        conditions.values.push(500.into());
        let sql = format!("EXPLAIN QUERY PLAN {}", listing(filter, &conditions.sql()));
        let mut sql = conn.prepare(&sql).unwrap();
        let rows = sql.query_map(params_from_iter(conditions.values), |row| row.get::<_, String>(3)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n")
    }

    /// What `docs/operations.md` says: source, type and time are looked for in the narrow index, from the newest on, states
    /// in the small indices of those. No more than a page is sorted.
    #[test]
    fn no_filter_reads_all_bodies() {
        let all = EventFilter::default;
        let at = Some(jiff::Timestamp::UNIX_EPOCH);
        for narrowed in [
            EventFilter { source: Some("a".into()), ..all() },
            EventFilter { kind: Some("t".into()), ..all() },
            EventFilter { since: at, ..all() },
            EventFilter { until: at, source: Some("a".into()), kind: Some("t".into()), ..all() },
            EventFilter { kind: Some("t".into()), sink: Some("x".into()), ..all() },
        ] {
            let plan = plan(&narrowed);
            assert!(plan.contains("COVERING INDEX events_listed (seq<?)"), "{narrowed:?}:\n{plan}");
        }
        for state in [State::Pending, State::Dead] {
            let plan = plan(&EventFilter { state: Some(state), ..all() });
            assert!(plan.contains("USING INTEGER PRIMARY KEY (rowid=?)"), "{state:?}:\n{plan}");
            assert!(plan.contains("SCAN deliveries USING") && !plan.contains("SCAN events"), "{state:?}:\n{plan}");
        }
        for filter in [all(), EventFilter { state: Some(State::Delivered), ..all() }] {
            let plan = plan(&filter);
            assert!(plan.contains("(seq<?)") || plan.contains("(rowid<?)"), "{plan}");
        }
        let plan = plan(&EventFilter { source: Some("a".into()), state: Some(State::Dead), ..all() });
        assert!(plan.contains("INDEX events_listed (seq=? AND source=?"), "{plan}");
    }
}
