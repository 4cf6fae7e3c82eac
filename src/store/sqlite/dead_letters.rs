//! Deliveries that ran out of attempts: listed, queued again, given up.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::types::Value;
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
use crate::store::sqlite::rows::Names;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::selection::{self, Conditions};
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::state;

/// Dead letters that one page looks at: those that it does not want are left to the next.
const LOOKED: i64 = 8192;
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
        let (wanted, clock, filter) = (filter.page_rows(), self.clock.clone(), filter.clone());
        self.readers
            .read(move |conn| {
                let walk = Walk { ids: &[], filter: &filter, from, most: Some(LOOKED) };
                let (found, looked_to) = letters(conn, &clock, &walk, Some(wanted), false)?;
                Ok(Page { rows: found, next: looked_to })
            })
            .await
    }

    async fn list(
        &self,
        ids: &[DeliveryId],
        filter: &DeadLetterFilter,
        bodies: bool,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let (ids, filter, clock) = (numbers(ids), filter.clone(), self.clock.clone());
        self.readers
            .read(move |conn| {
                let walk = Walk { ids: &ids, filter: &filter, from: None, most: None };
                Ok(letters(conn, &clock, &walk, filter.limit, bodies)?.0)
            })
            .await
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
        let matching = self
            .readers
            .read(move |conn| {
                let walk = Walk { ids: &ids, filter: &filter, from: None, most: None };
                matching(conn, now, &walk)
            })
            .await?;
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

/// Which dead letters to look at, newest first, and how many of them at most.
struct Walk<'w> {
    ids: &'w [i64],
    filter: &'w DeadLetterFilter,
    from: Option<Cursor>,
    most: Option<i64>,
}

impl Walk<'_> {
    /// Hands where each lies to `take` until that has had enough; gives where it broke off, if it did.
    fn each(
        &self,
        conn: &Connection,
        now: i64,
        mut take: impl FnMut(Cursor) -> Result<bool, StoreError>,
    ) -> Result<Option<Cursor>, StoreError> {
        let parts = selection::over(self.ids, self.filter, &Names::sinks(conn)?, now);
        let Some((sql, values)) = self.sql(parts) else { return Ok(None) };
        let mut sql = conn.prepare_cached(&sql)?;
        let mut rows = sql.query(params_from_iter(values))?;
        let mut looked = 0;
        while let Some(row) = rows.next()? {
            let at = Cursor(row.get(0).unwrap_or(0), row.get(1)?);
            looked += 1;
            if take(at)? || self.most == Some(looked) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The walk along all indexes at once: each gives its rows in order, so that nothing is sorted and nobody reads further
    /// than is asked.
    fn sql(&self, parts: Vec<Conditions>) -> Option<(String, Vec<Value>)> {
        let (mut walks, mut values) = (Vec::new(), Vec::new());
        for mut part in parts {
            if let Some(Cursor(died, id)) = self.from {
                part.add("(d.due_at, d.id) < (?, ?)", [died.into(), id.into()]);
            }
            walks.push(format!("SELECT d.due_at AS at, d.id AS id FROM deliveries d WHERE {}", part.sql()));
            values.append(&mut part.values);
        }
        let sql = format!("{} ORDER BY at DESC, id DESC", walks.join(" UNION ALL "));
        (!walks.is_empty()).then_some((sql, values))
    }
}

fn one(what: &str, conditions: &Conditions) -> String {
    let conditions = conditions.sql();
    format!(
        "SELECT {what} FROM deliveries d LEFT JOIN events e ON e.seq = d.id / {SINKS} WHERE {conditions} AND d.id = ?"
    )
}

fn matching(conn: &Connection, now: i64, walk: &Walk<'_>) -> Result<Vec<i64>, StoreError> {
    let Some(conditions) = selection::dead_letters(walk.filter, &Names::sources(conn)?) else { return Ok(Vec::new()) };
    let mut sql = conn.prepare_cached(&one("1", &conditions))?;
    let mut found = Vec::new();
    let full = |found: usize| walk.filter.limit.is_some_and(|most| found as u64 >= most);
    if full(0) {
        return Ok(found);
    }
    walk.each(conn, now, |Cursor(_, id)| {
        if sql.exists(params_from_iter(conditions.values.iter().cloned().chain([id.into()])))? {
            found.push(id);
        }
        Ok(full(found.len()))
    })?;
    Ok(found)
}

/// Dead letters of `walk`, `wanted` of them, and where the next page begins. Also those whose event is damaged or gone:
/// nobody else would show them.
fn letters(
    conn: &Connection,
    clock: &StoreClock,
    walk: &Walk<'_>,
    wanted: Option<u64>,
    bodies: bool,
) -> Result<(Vec<DeadLetter>, Option<Cursor>), StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let Some(conditions) = selection::dead_letters(walk.filter, &sources) else { return Ok((Vec::new(), None)) };
    let body = if bodies { "e.body" } else { "x''" };
    let what = format!("{EVENT}, {body}, d.sink, d.attempts, d.error, d.state");
    let mut sql = conn.prepare_cached(&one(&what, &conditions))?;
    let mut found = Vec::new();
    let full = |found: usize| wanted.is_some_and(|most| found as u64 >= most);
    if full(0) {
        return Ok((found, None));
    }
    let next = walk.each(conn, clock.now(), |Cursor(died, id)| {
        let mut rows = sql.query(params_from_iter(conditions.values.iter().cloned().chain([id.into()])))?;
        if let Some(row) = rows.next()? {
            found.push(DeadLetter {
                event: sources.shown(row, 0, row.get(EVENT_COLUMNS).unwrap_or_default()),
                id: DeliveryId(id),
                state: state(row.get(EVENT_COLUMNS + 4)?),
                sink: sinks.name(row, EVENT_COLUMNS + 1),
                attempts: row.get(EVENT_COLUMNS + 2).unwrap_or(0),
                died_at: clock.shown(died),
                error: row.get(EVENT_COLUMNS + 3).unwrap_or_default(),
            });
        }
        Ok(full(found.len()))
    })?;
    Ok((found, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::testing::{empty, plan};

    /// Dead letters in the order of their deaths, what waits for each sink in that of its due times: merged, not sorted.
    #[test]
    fn no_listing_walks_all_deliveries_or_sorts_them() {
        let conn = empty();
        conn.execute_batch("INSERT INTO sinks (name) VALUES ('x'), ('y'), ('z')").unwrap();
        let sinks = Names::sinks(&conn).unwrap();
        let all = DeadLetterFilter::default;
        for filter in [
            all(),
            DeadLetterFilter { sink: Some("x".into()), ..all() },
            DeadLetterFilter { gone: vec!["y".into(), "z".into()], ..all() },
            DeadLetterFilter { gone: vec!["y".into()], sink: Some("y".into()), ..all() },
            DeadLetterFilter { error: Some("e".into()), ..all() },
        ] {
            for from in [None, Some(Cursor(5, 6))] {
                let walk = Walk { ids: &[], filter: &filter, from, most: None };
                let (sql, values) = walk.sql(selection::over(&[], &filter, &sinks, 7)).unwrap();
                let plan = plan(&conn, &sql, params_from_iter(values));
                for line in &plan {
                    let indexes = ["deliveries_dead", "deliveries_due (sink=?", "deliveries_claimed (sink=?"];
                    let walks = indexes.iter().any(|index| line.contains(&format!("INDEX {index}")));
                    let merges = line.starts_with("MERGE") || ["LEFT", "RIGHT"].contains(&line.as_str());
                    assert!(walks || merges, "{filter:?}:\n{plan:#?}");
                }
            }
        }
        let conditions = selection::dead_letters(&all(), &Names::sources(&conn).unwrap()).unwrap();
        let plan = plan(&conn, &one("e.id", &conditions), [1]);
        assert!(plan.iter().all(|line| line.contains("INTEGER PRIMARY KEY (rowid=?)")), "{plan:#?}");
    }
}
