//! Erasing an event: what its sender said is overwritten, in the database at once and in the log when that is cut.

use rusqlite::params;

use crate::event::{Digest, EventKey};
use crate::store::erasure::{ErasedParts, Erasure};
use crate::store::error::StoreError;
use crate::store::sql::sql;
use crate::store::sqlite::file::Role;
use crate::store::sqlite::quarantine;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::retention::loosen;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::transaction::Tx;
use crate::store::stored::DEAD;

const ERASE: &str = "
UPDATE events SET content_type = '', key = '', request_id = '', client_ip = NULL, traceparent = NULL, headers = NULL,
    body = x'', erased = ?2
WHERE seq = ?1";

/// Erases the events of `keys`; `None` where there is nothing, or nothing left.
pub(super) fn erase(tx: &mut Tx<'_>, keys: &[EventKey], erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError> {
    // Of what is deleted while this holds, no byte is left in the file.
    tx.overwrite(true)?;
    let erased = erase_all(tx, keys, erasure);
    tx.overwrite(false)?;
    erased
}

fn erase_all(tx: &mut Tx<'_>, keys: &[EventKey], erasure: &Erasure) -> Result<Option<ErasedParts>, StoreError> {
    let mut erased = None;
    for key in keys {
        let Some(seq) = tx.find(key)? else { continue };
        let sql = "SELECT s.name, e.id, e.body, e.erased IS NOT NULL FROM events e JOIN sources s ON s.id = e.source
                   WHERE e.seq = ?1";
        let row: (String, String, Vec<u8>, bool) = {
            let mut sql = tx.conn.prepare_cached(sql)?;
            sql.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        };
        let (source, id, body, before) = row;
        if before {
            continue;
        }
        let parts =
            ErasedParts { quarantined: from_quarantine(tx, &source, &id, &body)?, deliveries: deliveries(tx, seq)? };
        let left = format!("{}{}", Digest::of(&body), erasure.stored());
        tx.conn.prepare_cached(ERASE)?.execute(params![seq, left])?;
        erased = Some(parts);
    }
    Ok(erased)
}

/// Takes refused requests away that name the event or have its body, whichever source they were sent to.
fn from_quarantine(tx: &Tx<'_>, source: &str, id: &str, body: &[u8]) -> Result<u64, StoreError> {
    let sql = "SELECT id FROM quarantine WHERE source = ?1 AND event_id = ?2 OR body = ?3 AND body <> x''";
    let mut sql = tx.conn.prepare_cached(sql)?;
    let same = sql.query_map(params![source, id, body], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let mut gone = 0;
    for entry in same {
        gone += u64::from(quarantine::remove(tx, entry)?);
    }
    Ok(gone)
}

/// Takes open deliveries of event `seq` away, whoever has claimed them, and what the sinks said of the others.
fn deliveries(tx: &mut Tx<'_>, seq: i64) -> Result<u64, StoreError> {
    let (first, last) = (seq * SINKS, seq * SINKS + SINKS - 1);
    let gone = {
        let sql =
            sql!("DELETE FROM deliveries WHERE id BETWEEN ?1 AND ?2 AND state <> {DELIVERED} RETURNING id, state");
        let mut sql = tx.conn.prepare_cached(sql)?;
        let rows = sql.query_map([first, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<Vec<(i64, i64)>, _>>()?
    };
    for (id, state) in &gone {
        let dead = *state == DEAD;
        tx.count(id % SINKS, if dead { 0 } else { -1 }, if dead { -1 } else { 0 });
    }
    tx.conn.execute("UPDATE deliveries SET error = NULL WHERE id BETWEEN ?1 AND ?2", [first, last])?;
    loosen(tx, seq)?;
    Ok(gone.len() as u64)
}

/// Copies the log into the database and cuts it: what it held of deleted rows is gone too. `false` where somebody reads
/// what was there before, or writes without a pause.
pub(super) async fn cut_log(readers: &Readers) -> Result<bool, StoreError> {
    readers
        .apart(Role::Checkpointer, |conn| {
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            for _ in 0..3 {
                let busy: i64 = conn.query_row(sql, [], |row| row.get(0))?;
                if busy == 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
}
