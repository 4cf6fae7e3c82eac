//! Reads a SQLite store in order, for its migration to another; changes nothing but an outdated schema.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row};

use crate::event::Name;
use crate::store::backend::Clocks;
use crate::store::error::StoreError;
use crate::store::quarantine::Quarantined;
use crate::store::sink_controls::RateOverride;
use crate::store::sql::{EVENT, EVENT_COLUMNS};
use crate::store::sqlite::clock::StoreClock;
use crate::store::sqlite::file::{self, Role};
use crate::store::sqlite::open_files::OpenFiles;
use crate::store::sqlite::readers::Readers;
use crate::store::sqlite::rows::Names;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::{counters, foreign, quarantine, sink_controls};
use crate::store::stored::{state, unsigned};
use crate::store::transfer::{MovedAudit, MovedDelivery, MovedEvent, MovedPause, STEP, STEP_BYTES};

/// A daemon writes to its store every two seconds, to know whether it still can.
const WATCHED: Duration = Duration::from_secs(4);

/// A store being read.
pub(crate) struct Export(Readers, StoreClock);

impl Export {
    /// Opens the existing store at `sqlite:PATH`.
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        let path = file::path(url)?;
        let opened = tokio::task::spawn_blocking(move || open(path)).await;
        let (files, clock) =
            opened.map_err(|error| StoreError::Unavailable(format!("opening broke off: {error}")))??;
        Ok(Self(Readers::new(Arc::new(files)), clock))
    }

    /// Which store this is: a number given when it was made.
    pub(crate) async fn identity(&self) -> Result<i64, StoreError> {
        self.0.read(|conn| counters::get(conn, "store")).await
    }

    /// Whether a daemon probes it: that is so twice within [`WATCHED`] where one runs on it.
    pub(crate) async fn is_probed(&self) -> Result<bool, StoreError> {
        let probes = || self.0.read(|conn| counters::get(conn, "probe"));
        let before = probes().await?;
        tokio::time::sleep(WATCHED).await;
        Ok(probes().await? != before)
    }

    /// How many events there are.
    pub(crate) async fn count(&self) -> Result<u64, StoreError> {
        let count =
            self.0.read(|conn| Ok(conn.query_row("SELECT count(*) FROM events", [], |row| row.get(0))?)).await?;
        Ok(unsigned(count))
    }

    /// The next events after `after`, and what to ask with next.
    pub(crate) async fn events(&self, after: i64) -> Result<(i64, Vec<MovedEvent>), StoreError> {
        let now = self.1.now();
        self.0.read(move |conn| events(conn, now, after)).await
    }

    /// The next quarantine entries after `after`.
    pub(crate) async fn quarantine(&self, after: i64) -> Result<Vec<Quarantined>, StoreError> {
        self.0.read(move |conn| quarantine::after(conn, after, STEP, STEP_BYTES)).await
    }

    /// The next pauses of sinks after `after`.
    pub(crate) async fn pauses(&self, after: i64) -> Result<Vec<MovedPause>, StoreError> {
        let now = self.1.now();
        self.0.read(move |conn| sink_controls::after(conn, after, now)).await
    }

    /// The rates that operators gave.
    pub(crate) async fn rates(&self) -> Result<Vec<(Name, RateOverride)>, StoreError> {
        self.0.read(sink_controls::rates).await
    }

    /// The next audit records after `after`.
    pub(crate) async fn audit(&self, after: i64) -> Result<Vec<MovedAudit>, StoreError> {
        self.0
            .read(move |conn| {
                let mut sql = conn.prepare_cached("SELECT id, record FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2")?;
                let read = |row: &Row<'_>| Ok(MovedAudit { id: row.get(0)?, record: row.get(1)? });
                Ok(sql.query_map([after, STEP], read)?.collect::<Result<_, _>>()?)
            })
            .await
    }
}

fn open(path: PathBuf) -> Result<(OpenFiles, StoreClock), StoreError> {
    foreign::refuse(&path)?;
    let files = OpenFiles::open(path)?;
    let clock = StoreClock::open(&mut files.connect(Role::Writer)?, &Clocks::default())?;
    Ok((files, clock))
}

fn events(conn: &Connection, now: i64, after: i64) -> Result<(i64, Vec<MovedEvent>), StoreError> {
    let (sources, sinks) = (Names::sources(conn)?, Names::sinks(conn)?);
    let sql = format!("SELECT {EVENT}, e.body, e.seq, e.erased FROM events e WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2");
    let mut sql = conn.prepare_cached(&sql)?;
    let mut rows = sql.query([after, STEP])?;
    let (mut last, mut found, mut bytes) = (after, Vec::new(), 0);
    while bytes < STEP_BYTES
        && let Some(row) = rows.next()?
    {
        last = row.get(EVENT_COLUMNS + 1)?;
        let event = sources.event(row, 0, row.get(EVENT_COLUMNS)?)?;
        bytes += event.payload.bytes().len();
        let erased = row.get(EVENT_COLUMNS + 2)?;
        found.push(MovedEvent { event, deliveries: deliveries(conn, &sinks, now, last)?, erased });
    }
    Ok((last, found))
}

fn deliveries(conn: &Connection, sinks: &Names, now: i64, seq: i64) -> Result<Vec<MovedDelivery>, StoreError> {
    let sql = "SELECT sink, state, attempts, due_at, queued_at, error, replays, duplicate FROM deliveries
               WHERE id BETWEEN ?1 AND ?2";
    let mut sql = conn.prepare_cached(sql)?;
    let mut rows = sql.query([seq * SINKS, seq * SINKS + SINKS - 1])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(MovedDelivery {
            sink: sinks.get(row.get(0)?)?,
            state: state(row.get(1)?),
            attempts: row.get(2)?,
            due_in: row.get::<_, i64>(3)?.saturating_sub(now),
            queued_in: row.get::<_, i64>(4)?.saturating_sub(now),
            error: row.get(5)?,
            replays: row.get(6)?,
            duplicate: row.get(7)?,
        });
    }
    Ok(found)
}
