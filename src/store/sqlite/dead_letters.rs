//! Deliveries that ran out of attempts: listed, queued again, given up.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, params_from_iter};

use crate::event::Name;
use crate::store::dead_letters::{DeadLetter, DeadLetterFilter, DeadLetters};
use crate::store::delivery::DeliveryId;
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::sql::{EVENT, EVENT_COLUMNS};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::replay::{discard, is_over, move_to, requeue};
use crate::store::sqlite::rows::{Names, limit};
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::selection;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::state;

/// Dead letters changed in one transaction, so that a million of them never hold up inserts for long.
const STEP: usize = 500;

/// The dead letters of a SQLite store.
pub(super) struct SqliteDeadLetters {
    /// For changes.
    pub writer: Arc<Writer>,
    /// For listings.
    pub readers: Readers,
    /// For listings too.
    pub clock: StoreClock,
}

#[async_trait]
impl DeadLetters for SqliteDeadLetters {
    async fn page(&self, filter: &DeadLetterFilter, from: Option<Cursor>) -> Result<Page<DeadLetter>, StoreError> {
        let (wanted, clock) = (filter.page_rows(), self.clock.clone());
        let filter = DeadLetterFilter { limit: Some(wanted), ..filter.clone() };
        let found = self.readers.read(move |conn| select(conn, &clock, &[], (&filter, false), from)).await?;
        Ok(Page::of(found, wanted))
    }

    async fn list(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        bodies: bool,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let (ids, filter, clock) = (numbers(ids), filter.clone(), self.clock.clone());
        let found = self.readers.read(move |conn| select(conn, &clock, &ids, (&filter, bodies), None)).await?;
        Ok(found.into_iter().map(|(_, letter)| letter).collect())
    }

    async fn replay(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        to: Option<&Name>,
    ) -> Result<u64, StoreError> {
        let to = to.cloned();
        self.each(ids, filter, move |tx, id| {
            if !is_over(tx, id)? {
                return Ok(false);
            }
            match &to {
                Some(to) => move_to(tx, id, to),
                None => requeue(tx, id, 1),
            }
        })
        .await
    }

    async fn discard(&self, ids: &[DeliveryId], filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        self.each(ids, filter, discard).await
    }
}

impl SqliteDeadLetters {
    /// Does `change` to each that matches now; returns how many it changed.
    async fn each<F>(&self, ids: &[DeliveryId], filter: &DeadLetterFilter, change: F) -> Result<u64, StoreError>
    where
        F: Fn(&mut Tx<'_>, i64) -> Result<bool, StoreError> + Clone + Send + 'static,
    {
        let (ids, filter) = (numbers(ids), filter.clone());
        let now = self.clock.now();
        let matching = self.readers.read(move |conn| matching(conn, now, &ids, &filter)).await?;
        let mut changed = 0;
        for step in matching.chunks(STEP) {
            let (step, change) = (step.to_vec(), change.clone());
            let work = move |tx: &mut Tx<'_>| {
                step.iter().try_fold(0, |sum, id| Ok::<u64, StoreError>(sum + u64::from(change(tx, *id)?)))
            };
            changed += self.writer.call(work).await?;
        }
        Ok(changed)
    }
}

fn numbers(ids: &[DeliveryId]) -> Vec<i64> {
    ids.iter().map(|id| id.0).collect()
}

fn matching(conn: &Connection, now: i64, ids: &[i64], filter: &DeadLetterFilter) -> Result<Vec<i64>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let Some(mut conditions) = selection::dead_letters(ids, filter, (&sources, &sinks), now) else {
        return Ok(Vec::new());
    };
    conditions.values.push(limit(filter.limit).into());
    let sql = format!(
        "SELECT d.id FROM deliveries d LEFT JOIN events e ON e.seq = d.id / {SINKS} WHERE {}
         ORDER BY d.due_at DESC, d.id DESC LIMIT ?",
        conditions.sql()
    );
    let mut sql = conn.prepare(&sql)?;
    let rows = sql.query_map(params_from_iter(conditions.values), |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Dead letters after `from`, newest first, each with the cursor that goes on after it. Also those whose event is damaged
/// or gone: nobody else would show them.
fn select(
    conn: &Connection,
    clock: &StoreClock,
    ids: &[i64],
    (filter, bodies): (&DeadLetterFilter, bool),
    from: Option<Cursor>,
) -> Result<Vec<(Cursor, DeadLetter)>, StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let known = (&sources, &sinks);
    let Some(mut conditions) = selection::dead_letters(ids, filter, known, clock.now()) else { return Ok(Vec::new()) };
    if let Some(Cursor(died, id)) = from {
        conditions.add("(d.due_at, d.id) < (?, ?)", [died.into(), id.into()]);
    }
    conditions.values.push(limit(filter.limit).into());
    let body = if bodies { "e.body" } else { "x''" };
    let sql = format!(
        "SELECT {EVENT}, {body}, d.id, d.sink, d.attempts, d.due_at, d.error, d.state
         FROM deliveries d LEFT JOIN events e ON e.seq = d.id / {SINKS} WHERE {}
         ORDER BY d.due_at DESC, d.id DESC LIMIT ?",
        conditions.sql()
    );
    let mut sql = conn.prepare(&sql)?;
    let mut rows = sql.query(params_from_iter(conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, died) = (row.get(EVENT_COLUMNS + 1)?, row.get(EVENT_COLUMNS + 4).unwrap_or(0));
        let letter = DeadLetter {
            event: sources.shown(row, 0, row.get(EVENT_COLUMNS).unwrap_or_default()),
            id: DeliveryId(id),
            state: state(row.get(EVENT_COLUMNS + 6)?),
            sink: sinks.name(row, EVENT_COLUMNS + 2),
            attempts: row.get(EVENT_COLUMNS + 3).unwrap_or(0),
            died_at: clock.shown(died),
            error: row.get(EVENT_COLUMNS + 5).unwrap_or_default(),
        };
        found.push((Cursor(died, id), letter));
    }
    Ok(found)
}
