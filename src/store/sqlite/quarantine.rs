//! Refused requests, bounded in entries and bytes; the oldest make room.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::{event_id, limit, micros, time, unsigned};
use crate::store::sqlite::transaction::{self, Tx};
use crate::store::sqlite::writer::Writer;
use crate::store::{Filter, Quarantine, QuarantineBounds, Quarantined, StoreError};

const COLUMNS: &str = "id, source, reason, received_at, request_id, client_ip, target, headers, event_id";
const BYTES: &str = "length(body) + length(CAST(headers AS BLOB))";

/// Entries removed in one transaction at most, so that inserts behind it do not wait for long.
const STEP: usize = 256;

/// The quarantine of a SQLite store.
pub struct SqliteQuarantine {
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

    async fn list(&self, filter: &Filter) -> Result<Vec<Quarantined>, StoreError> {
        let filter = filter.clone();
        self.readers
            .read(move |conn| {
                let (condition, values) = condition(&filter);
                let sql = format!("SELECT {COLUMNS}, x'' FROM quarantine WHERE {condition} ORDER BY id DESC LIMIT ?");
                let mut sql = conn.prepare_cached(&sql)?;
                let mut rows = sql.query(params_from_iter(values))?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(entry(row)?);
                }
                Ok(found)
            })
            .await
    }

    async fn get(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        self.readers
            .read(move |conn| {
                let mut sql = conn.prepare_cached(&format!("SELECT {COLUMNS}, body FROM quarantine WHERE id = ?1"))?;
                let mut rows = sql.query([id])?;
                rows.next()?.map(entry).transpose()
            })
            .await
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64, StoreError> {
        let ids = ids.to_vec();
        self.writer.call(move |tx| ids.iter().try_fold(0, |gone, id| Ok(gone + u64::from(remove(tx, *id)?)))).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.readers.read(|conn| Ok(unsigned(transaction::counter(conn, "quarantine_entries")?))).await
    }

    async fn resize(&self, bounds: QuarantineBounds) -> Result<(), StoreError> {
        self.bounds.store(Arc::new(bounds));
        while self.writer.call(move |tx| make_room(tx, bounds, i64::MAX, STEP)).await? {}
        Ok(())
    }
}

fn condition(filter: &Filter) -> (String, Vec<Value>) {
    let mut parts = vec!["1"];
    let mut values = Vec::new();
    let mut add = |part, value: Value| {
        parts.push(part);
        values.push(value);
    };
    if let Some(source) = &filter.source {
        add("source = ?", source.as_str().to_owned().into());
    }
    if let Some(reason) = &filter.error {
        add("reason = ?", reason.clone().into());
    }
    if let Some(since) = filter.since {
        add("received_at >= ?", micros(since).into());
    }
    if let Some(until) = filter.until {
        add("received_at < ?", micros(until).into());
    }
    values.push(limit(filter.limit).into());
    (parts.join(" AND "), values)
}

fn put(tx: &Tx<'_>, entry: &Quarantined, bounds: QuarantineBounds) -> Result<i64, StoreError> {
    let sql = "INSERT INTO quarantine (source, reason, received_at, request_id, client_ip, target, headers, event_id,
               body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.conn.prepare_cached(sql)?.execute(params![
        entry.source.as_str(),
        entry.reason,
        micros(entry.received_at),
        entry.request_id,
        entry.client_ip.map(|ip| ip.to_string()),
        entry.target,
        entry.headers,
        entry.event_id.as_ref().map(crate::event::EventId::as_str),
        &entry.body[..],
    ])?;
    let id = tx.conn.last_insert_rowid();
    let bytes = i64::try_from(entry.body.len() + entry.headers.len()).unwrap_or(i64::MAX);
    grow(tx, 1, bytes)?;
    make_room(tx, bounds, id, STEP)?;
    Ok(id)
}

/// Removes up to `step` of the oldest entries before `id`, as far as the bounds ask for it; says whether more have to go.
fn make_room(tx: &Tx<'_>, bounds: QuarantineBounds, id: i64, step: usize) -> Result<bool, StoreError> {
    for _ in 0..step {
        let fits = unsigned(tx.counter("quarantine_entries")?) <= bounds.max_entries
            && unsigned(tx.counter("quarantine_bytes")?) <= bounds.max_bytes;
        let oldest: Option<i64> =
            tx.conn.prepare_cached("SELECT min(id) FROM quarantine")?.query_row([], |row| row.get(0))?;
        match oldest {
            Some(oldest) if !fits && oldest < id => remove(tx, oldest)?,
            _ => return Ok(false),
        };
    }
    Ok(true)
}

fn remove(tx: &Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let sql = format!("DELETE FROM quarantine WHERE id = ?1 RETURNING {BYTES}");
    let mut sql = tx.conn.prepare_cached(&sql)?;
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

/// The next entries after `id`, oldest first, with bodies.
pub fn after(conn: &Connection, id: i64, count: i64) -> Result<Vec<Quarantined>, StoreError> {
    let sql = format!("SELECT {COLUMNS}, body FROM quarantine WHERE id > ?1 ORDER BY id LIMIT ?2");
    let mut sql = conn.prepare_cached(&sql)?;
    let mut rows = sql.query([id, count])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(entry(row)?);
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
