//! What a SQLite store holds, in numbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::store::error::StoreError;
use crate::store::sql::sql;
use crate::store::sqlite::counters;
use crate::store::sqlite::ids;
use crate::store::sqlite::rows::Names;
use crate::store::stats::{SinkStats, SourceStats, Stats, StoreSize};
use crate::store::stored::{time, unsigned};

/// Answered by the narrow rows alone.
const EVENTS: &str = "
SELECT source, count(*), min(received_at), max(received_at) FROM arrivals GROUP BY source";

const DELIVERED: &str = sql!("SELECT sink, count(*) FROM deliveries WHERE state = {DELIVERED} GROUP BY sink");

/// How large the database at `path` is.
pub(super) fn size(path: &Path) -> StoreSize {
    let free = rustix::fs::statvfs(path).ok().map(|volume| volume.f_bavail.saturating_mul(volume.f_frsize));
    StoreSize { bytes: length(path) + length(&beside(path, "-wal")), free_bytes: free }
}

/// What the database at `path` holds.
pub(super) fn stats(conn: &Connection, path: &Path, retention: Duration) -> Result<Stats, StoreError> {
    let number = |sql: &str| Ok::<u64, StoreError>(unsigned(conn.query_row(sql, [], |row| row.get(0))?));
    let page = number("PRAGMA page_size")?;
    let size = size(path);
    let mut stats = Stats {
        bytes: size.bytes,
        reusable_bytes: Some(number("PRAGMA freelist_count")? * page),
        free_bytes: size.free_bytes,
        retention_seconds: retention.as_secs(),
        ids: unsigned(ids::count(conn)?),
        quarantine_entries: unsigned(counters::get(conn, "quarantine_entries")?),
        quarantine_bytes: unsigned(counters::get(conn, "quarantine_bytes")?),
        audit_records: unsigned(counters::get(conn, "audit_entries")?),
        ..Stats::default()
    };
    events(conn, &mut stats)?;
    stats.sinks = sinks(conn)?;
    Ok(stats)
}

fn events(conn: &Connection, stats: &mut Stats) -> Result<(), StoreError> {
    let names = Names::sources(conn)?;
    let mut sql = conn.prepare(EVENTS)?;
    let mut rows = sql.query([])?;
    while let Some(row) = rows.next()? {
        let events = unsigned(row.get(1)?);
        let (oldest, newest) = (time(row.get(2)?).ok(), time(row.get(3)?).ok());
        stats.events += events;
        stats.oldest = [stats.oldest, oldest].into_iter().flatten().min();
        stats.newest = [stats.newest, newest].into_iter().flatten().max();
        stats.sources.push(SourceStats { source: names.name(row, 0), events });
    }
    stats.sources.sort_by(|a, b| a.source.cmp(&b.source));
    Ok(())
}

fn sinks(conn: &Connection) -> Result<Vec<SinkStats>, StoreError> {
    let mut sql = conn.prepare(DELIVERED)?;
    let rows = sql.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    let delivered = rows.collect::<Result<std::collections::HashMap<_, _>, _>>()?;
    let mut sql = conn.prepare("SELECT id, name, pending, dead FROM sinks ORDER BY name")?;
    let read = |row: &rusqlite::Row<'_>| {
        let id: i64 = row.get(0)?;
        Ok(SinkStats {
            sink: row.get::<_, String>(1)?.into(),
            pending: unsigned(row.get(2)?),
            delivered: unsigned(delivered.get(&id).copied().unwrap_or(0)),
            dead: unsigned(row.get(3)?),
        })
    };
    Ok(sql.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(suffix);
    name.into()
}
