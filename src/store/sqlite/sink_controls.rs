//! What operators decide about sinks: a row for each pause, of which the open one says that the sink is paused.
//!
//! Pauses that are over stay for as long as something waits that was queued before their end: its age leaves them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::event::Name;
use crate::store::error::StoreError;
use crate::store::sink_controls::{Pause, RateOverride, SinkControl, SinkControls};
use crate::store::sqlite::oldest::oldest;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::{micros, time};
use crate::store::transfer::{MovedPause, STEP};

/// Decisions about the sinks of a SQLite store.
pub(super) struct SqliteSinkControls {
    /// For changes.
    pub writer: Arc<Writer>,
    /// For everything else.
    pub readers: Readers,
}

const PAUSED: &str = "SELECT sink, paused_at, paused_by, reason FROM pauses WHERE ended IS NULL";
const RATES: &str = "SELECT sink, set_at, set_by, rate FROM rates";

#[async_trait]
impl SinkControls for SqliteSinkControls {
    async fn all(&self) -> Result<Vec<(Name, SinkControl)>, StoreError> {
        self.readers.read(|conn| Ok(all(conn)?.into_iter().collect())).await
    }

    async fn pause(&self, sink: &Name, pause: &Pause) -> Result<bool, StoreError> {
        let (sink, pause) = (sink.clone(), pause.clone());
        self.writer
            .call(move |tx| {
                let sql = "INSERT INTO pauses (sink, began, paused_at, paused_by, reason) VALUES (?1, ?2, ?3, ?4, ?5)
                           ON CONFLICT DO NOTHING";
                let values = params![sink.as_str(), tx.now, micros(pause.at), pause.by, pause.reason];
                Ok(tx.conn.prepare_cached(sql)?.execute(values)? > 0)
            })
            .await
    }

    async fn resume(&self, sink: &Name) -> Result<Option<Pause>, StoreError> {
        let sink = sink.clone();
        self.writer.call(move |tx| resume(tx, &sink)).await
    }

    async fn set_rate(&self, sink: &Name, rate: Option<&RateOverride>) -> Result<(), StoreError> {
        let (sink, rate) = (sink.clone(), rate.cloned());
        self.writer
            .call(move |tx| {
                let Some(rate) = &rate else {
                    tx.conn.execute("DELETE FROM rates WHERE sink = ?1", [sink.as_str()])?;
                    return Ok(());
                };
                let sql = "INSERT INTO rates (sink, rate, set_at, set_by) VALUES (?1, ?2, ?3, ?4)
                           ON CONFLICT (sink) DO UPDATE SET rate = ?2, set_at = ?3, set_by = ?4";
                tx.conn.execute(sql, params![sink.as_str(), rate.rate, micros(rate.at), rate.by])?;
                Ok(())
            })
            .await
    }
}

fn all(conn: &Connection) -> Result<BTreeMap<Name, SinkControl>, StoreError> {
    let mut found: BTreeMap<Name, SinkControl> = BTreeMap::new();
    let mut sql = conn.prepare_cached(PAUSED)?;
    let mut rows = sql.query([])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get::<_, String>(0)?.into()).or_default().paused = Some(pause(row)?);
    }
    let mut sql = conn.prepare_cached(RATES)?;
    let mut rows = sql.query([])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get::<_, String>(0)?.into()).or_default().rate = Some(rate(row)?);
    }
    Ok(found)
}

/// What was decided about `sink`.
pub(super) fn of(conn: &Connection, sink: &Name) -> Result<SinkControl, StoreError> {
    let one = |sql: &str, column: &str| format!("{sql} {column} sink = ?1");
    let paused =
        conn.prepare_cached(&one(PAUSED, "AND"))?.query_row([sink.as_str()], |row| Ok(pause(row))).optional()?;
    let rate = conn.prepare_cached(&one(RATES, "WHERE"))?.query_row([sink.as_str()], |row| Ok(rate(row))).optional()?;
    Ok(SinkControl { paused: paused.transpose()?, rate: rate.transpose()? })
}

fn pause(row: &Row<'_>) -> Result<Pause, StoreError> {
    Ok(Pause { at: time(row.get(1)?)?, by: row.get(2)?, reason: row.get(3)? })
}

fn rate(row: &Row<'_>) -> Result<RateOverride, StoreError> {
    Ok(RateOverride { at: time(row.get(1)?)?, by: row.get(2)?, rate: row.get(3)? })
}

/// The next pauses after `after`, by whichever sink, at store time `now`.
pub(super) fn after(conn: &Connection, after: i64, now: i64) -> Result<Vec<MovedPause>, StoreError> {
    let sql =
        "SELECT sink, paused_at, paused_by, reason, id, began, ended FROM pauses WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut sql = conn.prepare_cached(sql)?;
    let mut rows = sql.query([after, STEP])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(MovedPause {
            id: row.get(4)?,
            sink: row.get::<_, String>(0)?.into(),
            began_in: row.get::<_, i64>(5)?.saturating_sub(now),
            ended_in: row.get::<_, Option<i64>>(6)?.map(|ended| ended.saturating_sub(now)),
            pause: pause(row)?,
        });
    }
    Ok(found)
}

/// All rates that were given.
pub(super) fn rates(conn: &Connection) -> Result<Vec<(Name, RateOverride)>, StoreError> {
    Ok(all(conn)?.into_iter().filter_map(|(sink, control)| Some((sink, control.rate?))).collect())
}

fn resume(tx: &mut Tx<'_>, sink: &Name) -> Result<Option<Pause>, StoreError> {
    let Some(pause) = of(tx.conn, sink)?.paused else { return Ok(None) };
    tx.conn
        .execute("UPDATE pauses SET ended = ?2 WHERE sink = ?1 AND ended IS NULL", params![sink.as_str(), tx.now])?;
    let over = "DELETE FROM pauses WHERE sink = ?1 AND ended <= coalesce(?2, ended)";
    tx.conn.execute(over, params![sink.as_str(), oldest(tx.conn, sink)?])?;
    // Those that wait look at once.
    tx.done.queued = true;
    Ok(Some(pause))
}
