//! The queue of audit records towards the SIEM: appended up to a capacity, claimed by lease, removed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::params;

use crate::store::audit_queue::{AuditQueue, QueuedAudit, Rewrite};
use crate::store::error::StoreError;
use crate::store::sqlite::counters;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::{furthest, unsigned, wait};

const COUNT: &str = "audit_entries";

/// The audit queue of a SQLite store.
pub(super) struct SqliteAuditQueue {
    /// For changes.
    pub writer: Arc<Writer>,
    /// For the count.
    pub readers: Readers,
}

#[async_trait]
impl AuditQueue for SqliteAuditQueue {
    async fn push(&self, records: Vec<String>, capacity: u64) -> Result<u64, StoreError> {
        if records.is_empty() {
            return Ok(0);
        }
        self.writer.call(move |tx| push(tx, &records, capacity)).await
    }

    async fn claim(&self, limit: usize, lease: Duration) -> Result<Vec<QueuedAudit>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let lease = wait(lease);
        self.writer.call(move |tx| claim(tx, limit, lease)).await
    }

    async fn remove(&self, ids: &[i64]) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        self.writer
            .call(move |tx| {
                let mut gone = 0;
                for id in &ids {
                    gone += tx.conn.prepare_cached("DELETE FROM audit WHERE id = ?1")?.execute([id])?;
                }
                tx.set_counter(COUNT, tx.counter(COUNT)? - i64::try_from(gone).unwrap_or(0))
            })
            .await
    }

    async fn release(&self, ids: &[i64], after: Duration, refused: bool) -> Result<(), StoreError> {
        let ids = ids.to_vec();
        let after = wait(after);
        self.writer
            .call(move |tx| {
                let sql = "UPDATE audit SET due_at = ?2, attempts = attempts + ?3 WHERE id = ?1";
                for id in &ids {
                    tx.conn.prepare_cached(sql)?.execute([*id, tx.now + after, i64::from(refused)])?;
                }
                Ok(())
            })
            .await
    }

    async fn rewrite(&self, rewrite: Rewrite) -> Result<u64, StoreError> {
        self.writer.call(move |tx| rewrite_all(tx, &rewrite)).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        self.readers.read(|conn| Ok(unsigned(counters::get(conn, COUNT)?))).await
    }
}

fn push(tx: &Tx<'_>, records: &[String], capacity: u64) -> Result<u64, StoreError> {
    let held = tx.counter(COUNT)?;
    let room = capacity.saturating_sub(unsigned(held));
    let fits = usize::try_from(room).unwrap_or(usize::MAX).min(records.len());
    let mut sql = tx.conn.prepare_cached("INSERT INTO audit (record) VALUES (?1)")?;
    for record in records.iter().take(fits) {
        sql.execute([record])?;
    }
    if fits > 0 {
        tx.set_counter(COUNT, held + i64::try_from(fits).unwrap_or(0))?;
    }
    Ok((records.len() - fits) as u64)
}

fn rewrite_all(tx: &Tx<'_>, rewrite: &Rewrite) -> Result<u64, StoreError> {
    let changed = {
        let mut sql = tx.conn.prepare_cached("SELECT id, record FROM audit")?;
        let mut rows = sql.query([])?;
        let mut changed = Vec::new();
        while let Some(row) = rows.next()? {
            let record = row.get_ref(1)?.as_str_or_null().ok().flatten().unwrap_or_default();
            if let Some(record) = rewrite(record) {
                changed.push((row.get::<_, i64>(0)?, record));
            }
        }
        changed
    };
    tx.overwrite(true)?;
    let updated = changed.iter().try_for_each(|(id, record)| {
        tx.conn.prepare_cached("UPDATE audit SET record = ?2 WHERE id = ?1")?.execute(params![id, record]).map(drop)
    });
    tx.overwrite(false)?;
    updated?;
    Ok(changed.len() as u64)
}

fn claim(tx: &Tx<'_>, limit: i64, lease: i64) -> Result<Vec<QueuedAudit>, StoreError> {
    let sql = "SELECT id, record, attempts FROM audit WHERE due_at <= ?1 OR due_at > ?2 ORDER BY id LIMIT ?3";
    let mut sql = tx.conn.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| {
        // Whatever it has become, it goes out: it must not hold up the others.
        let record = row.get_ref(1)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
        let record = String::from_utf8_lossy(record).into_owned();
        Ok(QueuedAudit { id: row.get(0)?, record, attempts: row.get(2).unwrap_or(0) })
    };
    let due: Vec<QueuedAudit> = sql.query_map([tx.now, furthest(tx.now), limit], read)?.collect::<Result<_, _>>()?;
    let mut take = tx.conn.prepare_cached("UPDATE audit SET due_at = ?2 WHERE id = ?1")?;
    for audit in &due {
        take.execute([audit.id, tx.now + lease])?;
    }
    Ok(due)
}
