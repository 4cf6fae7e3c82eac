//! Refused requests, bounded in entries and bytes; the oldest of the kind that holds most make room.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use crate::event::EventId;
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::quarantine::{Quarantine, QuarantineBounds, QuarantineFilter, Quarantined};
use crate::store::sql::QUARANTINED;
use crate::store::sqlite::counters;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::limit;
use crate::store::sqlite::selection::{self, Conditions};
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::{event_id, micros, time, unsigned};

/// What each source and reason holds, and its oldest entry; answered by an index alone.
const SHARES: &str = "SELECT count(*) AS entries, sum(bytes), min(id) FROM quarantine GROUP BY source, reason";

/// Entries that a change of the bounds removes in one transaction: each asks for the shares, and inserts wait behind it.
const STEP: usize = 32;

/// The quarantine of a SQLite store.
pub(super) struct SqliteQuarantine {
    /// For changes.
    pub writer: Arc<Writer>,
    /// For listings.
    pub readers: Readers,
    /// How large it may grow.
    pub bounds: ArcSwap<QuarantineBounds>,
}

#[async_trait]
impl Quarantine for SqliteQuarantine {
    /// An entry larger than the whole quarantine is not kept: it would push out all others. Its id is 0.
    async fn put(&self, entry: Quarantined) -> Result<i64, StoreError> {
        let bounds = **self.bounds.load();
        let bytes = (entry.body.len() + entry.headers.len()) as u64;
        if bytes > bounds.max_bytes || bounds.max_entries == 0 {
            return Ok(0);
        }
        self.writer.call(move |tx| put(tx, &entry, bounds)).await
    }

    async fn same(&self, entry: &Quarantined) -> Result<Option<i64>, StoreError> {
        let entry = entry.clone();
        self.readers.read(move |conn| same(conn, &entry)).await
    }

    async fn page(&self, filter: &QuarantineFilter, from: Option<Cursor>) -> Result<Page<Quarantined>, StoreError> {
        let (filter, wanted) = (filter.clone(), filter.page_rows());
        self.readers
            .read(move |conn| {
                let mut conditions = selection::quarantine(&filter);
                if let Some(Cursor(id, _)) = from {
                    conditions.add("id < ?", [id.into()]);
                }
                conditions.values.push(limit(Some(wanted)).into());
                let mut sql = conn.prepare_cached(&listing(&filter, &conditions))?;
                let mut rows = sql.query(params_from_iter(conditions.values))?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    let entry = entry(row)?;
                    found.push((Cursor(entry.id, 0), entry));
                }
                Ok(Page::of(found, wanted))
            })
            .await
    }

    async fn get(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        self.readers
            .read(move |conn| {
                let mut sql =
                    conn.prepare_cached(&format!("SELECT {QUARANTINED}, body FROM quarantine WHERE id = ?1"))?;
                let mut rows = sql.query([id])?;
                rows.next()?.map(entry).transpose()
            })
            .await
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let ids = ids.to_vec();
        self.writer
            .call(move |tx| {
                tx.overwrite(true)?;
                let gone = ids.iter().try_fold(0, |gone, id| Ok(gone + u64::from(remove(tx, *id)?)));
                tx.overwrite(false)?;
                gone
            })
            .await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.readers.read(|conn| Ok(unsigned(counters::get(conn, "quarantine_entries")?))).await
    }

    async fn resize(&self, bounds: QuarantineBounds) -> Result<(), StoreError> {
        self.bounds.store(Arc::new(bounds));
        while self.writer.call(move |tx| make_room(tx, bounds, i64::MAX, STEP)).await? {}
        Ok(())
    }
}

/// A page of what matches `conditions`, which `filter` came to. Source and reason are looked for in an index, which is not in
/// the order of the listing: what is sorted are numbers, and no more than the quarantine holds.
fn listing(filter: &QuarantineFilter, conditions: &Conditions) -> String {
    let narrowed = filter.source.is_some() || filter.reason.is_some();
    let index = if narrowed { "INDEXED BY quarantine_shares" } else { "" };
    format!(
        "SELECT {QUARANTINED}, x'' FROM quarantine WHERE id IN (
             SELECT id FROM quarantine {index} WHERE {} ORDER BY id DESC LIMIT ?
         ) ORDER BY id DESC",
        conditions.sql()
    )
}

fn same(conn: &Connection, entry: &Quarantined) -> Result<Option<i64>, StoreError> {
    let sql = "SELECT id FROM quarantine WHERE source = ?1 AND event_id = ?2 AND reason = ?3 AND body = ?4 LIMIT 1";
    let event = entry.event_id.as_ref().map(EventId::as_str);
    let values = params![entry.source.as_str(), event, entry.reason, &entry.body[..]];
    Ok(conn.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?)
}

fn put(tx: &Tx<'_>, entry: &Quarantined, bounds: QuarantineBounds) -> Result<i64, StoreError> {
    let sql = "INSERT INTO quarantine (source, reason, received_at, request_id, client_ip, target, headers, event_id,
               body, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let bytes = i64::try_from(entry.body.len() + entry.headers.len()).unwrap_or(i64::MAX);
    tx.conn.prepare_cached(sql)?.execute(params![
        entry.source.as_str(),
        entry.reason,
        micros(entry.received_at),
        entry.request_id,
        entry.client_ip.map(|ip| ip.to_string()),
        entry.target,
        entry.headers,
        entry.event_id.as_ref().map(EventId::as_str),
        &entry.body[..],
        bytes,
    ])?;
    let id = tx.conn.last_insert_rowid();
    grow(tx, 1, bytes)?;
    make_room(tx, bounds, id, usize::MAX)?;
    Ok(id)
}

/// Removes up to `step` entries before `id`, each the oldest of whoever holds most, as far as the bounds ask for it; says
/// whether more have to go.
fn make_room(tx: &Tx<'_>, bounds: QuarantineBounds, id: i64, step: usize) -> Result<bool, StoreError> {
    for _ in 0..step {
        let most = if unsigned(tx.counter("quarantine_bytes")?) > bounds.max_bytes {
            "sum(bytes)"
        } else if unsigned(tx.counter("quarantine_entries")?) > bounds.max_entries {
            "entries"
        } else {
            return Ok(false);
        };
        // Never the new one itself, which is looked for.
        let sql = format!("{SHARES} HAVING min(id) < ?1 ORDER BY {most} DESC, min(id) LIMIT 1");
        let oldest: Option<i64> = tx.conn.prepare_cached(&sql)?.query_row([id], |row| row.get(2)).optional()?;
        match oldest {
            Some(oldest) => remove(tx, oldest)?,
            None => return Ok(false),
        };
    }
    Ok(true)
}

pub(super) fn remove(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let mut sql = tx.conn.prepare_cached("DELETE FROM quarantine WHERE id = ?1 RETURNING bytes")?;
    let mut rows = sql.query([id])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    let bytes: i64 = row.get(0)?;
    // To the end, or the deletion is not complete.
    while rows.next()?.is_some() {}
    grow(tx, -1, -bytes)?;
    Ok(true)
}

fn grow(tx: &Tx<'_>, entries: i64, bytes: i64) -> Result<(), StoreError> {
    tx.set_counter("quarantine_entries", tx.counter("quarantine_entries")? + entries)?;
    tx.set_counter("quarantine_bytes", tx.counter("quarantine_bytes")? + bytes)
}

/// The next entries after `id`, oldest first, with bodies: at most `count`, and no more once they have `bytes`.
pub(super) fn after(conn: &Connection, id: i64, count: i64, bytes: usize) -> Result<Vec<Quarantined>, StoreError> {
    let sql = format!("SELECT {QUARANTINED}, body FROM quarantine WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut sql = conn.prepare_cached(&sql)?;
    let mut rows = sql.query([id, count])?;
    let (mut found, mut held) = (Vec::new(), 0);
    while held < bytes
        && let Some(row) = rows.next()?
    {
        let entry = entry(row)?;
        held += entry.body.len() + entry.headers.len();
        found.push(entry);
    }
    Ok(found)
}

fn entry(row: &Row<'_>) -> Result<Quarantined, StoreError> {
    let ip: Option<String> = row.get(5)?;
    let event: Option<String> = row.get(8)?;
    Ok(Quarantined {
        id: row.get(0)?,
        source: row.get::<_, String>(1)?.into(),
        reason: row.get(2)?,
        received_at: time(row.get(3)?)?,
        request_id: row.get(4)?,
        client_ip: ip.and_then(|ip| ip.parse().ok()),
        target: row.get(6)?,
        headers: row.get(7)?,
        event_id: event.as_deref().map(event_id).transpose()?,
        body: row.get::<_, Vec<u8>>(9)?.into(),
    })
}
