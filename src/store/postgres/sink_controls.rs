//! What operators decide about sinks: a row for each pause, of which the open one says that the sink is paused.
//!
//! Pauses that are over stay for as long as something waits that was queued before their end: its age leaves them out.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::event::Name;
use crate::store::error::StoreError;
use crate::store::postgres::clock::clock;
use crate::store::postgres::rows::text;
use crate::store::postgres::session::Pool;
use crate::store::sink_controls::{Pause, RateOverride, SinkControl, SinkControls};
use crate::store::sql::sql;
use crate::store::stored::{micros, time};

/// Decisions about the sinks of a PostgreSQL store.
pub(super) struct PostgresSinkControls {
    /// For all of it.
    pub pool: Pool,
}

const PAUSED: &str = "SELECT sink, paused_at, paused_by, reason FROM gatepost_pauses
                      WHERE ended IS NULL AND ($1::text IS NULL OR sink = $1)";
const RATES: &str = "SELECT sink, set_at, set_by, rate FROM gatepost_rates WHERE $1::text IS NULL OR sink = $1";

const PAUSE: &str = sql!(
    clock!(),
    "paused AS (
    INSERT INTO gatepost_pauses (sink, began, paused_at, paused_by, reason) SELECT $1, t, $2, $3, $4 FROM clock
    ON CONFLICT DO NOTHING RETURNING sink
)
SELECT sink FROM paused"
);

const RESUME: &str = sql!(
    clock!(),
    "resumed AS (
    UPDATE gatepost_pauses SET ended = t FROM clock WHERE sink = $1 AND ended IS NULL
    RETURNING sink, paused_at, paused_by, reason
), told AS (
    SELECT pg_notify('gatepost_queued', '') FROM resumed
)
SELECT sink, paused_at, paused_by, reason FROM resumed, told"
);

const TIDY: &str = sql!(
    "
DELETE FROM gatepost_pauses WHERE sink = $1 AND ended <= coalesce(
    (SELECT min(queued_at) FROM gatepost_deliveries WHERE state = {PENDING} AND sink = $1), ended)"
);

const SET_RATE: &str = "
INSERT INTO gatepost_rates (sink, rate, set_at, set_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (sink) DO UPDATE SET rate = excluded.rate, set_at = excluded.set_at, set_by = excluded.set_by";

#[async_trait]
impl SinkControls for PostgresSinkControls {
    async fn all(&self) -> Result<Vec<(Name, SinkControl)>, StoreError> {
        Ok(read(&self.pool, None).await?.into_iter().collect())
    }

    async fn pause(&self, sink: &Name, pause: &Pause) -> Result<bool, StoreError> {
        let reason = pause.reason.as_deref().map(text);
        let rows = self.pool.query(PAUSE, &[&sink.as_str(), &micros(pause.at), &text(&pause.by), &reason]).await?;
        Ok(!rows.is_empty())
    }

    async fn resume(&self, sink: &Name) -> Result<Option<Pause>, StoreError> {
        let rows = self.pool.query(RESUME, &[&sink.as_str()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        self.pool.execute(TIDY, &[&sink.as_str()]).await?;
        Ok(Some(paused(row)?))
    }

    async fn set_rate(&self, sink: &Name, rate: Option<&RateOverride>) -> Result<(), StoreError> {
        match rate {
            None => self.pool.execute("DELETE FROM gatepost_rates WHERE sink = $1", &[&sink.as_str()]).await?,
            Some(RateOverride { rate, at, by }) => {
                self.pool.execute(SET_RATE, &[&sink.as_str(), rate, &micros(*at), &text(by)]).await?
            }
        };
        Ok(())
    }
}

/// What was decided about `sink`, or about all.
pub(super) async fn read(pool: &Pool, sink: Option<&Name>) -> Result<BTreeMap<Name, SinkControl>, StoreError> {
    let sink = sink.map(Name::as_str);
    let mut found: BTreeMap<Name, SinkControl> = BTreeMap::new();
    for row in pool.query(PAUSED, &[&sink]).await? {
        found.entry(row.try_get::<_, &str>(0)?.into()).or_default().paused = Some(paused(&row)?);
    }
    for row in pool.query(RATES, &[&sink]).await? {
        let rate = RateOverride { at: time(row.try_get(1)?)?, by: row.try_get(2)?, rate: row.try_get(3)? };
        found.entry(row.try_get::<_, &str>(0)?.into()).or_default().rate = Some(rate);
    }
    Ok(found)
}

fn paused(row: &Row) -> Result<Pause, StoreError> {
    Ok(Pause { at: time(row.try_get(1)?)?, by: row.try_get(2)?, reason: row.try_get(3)? })
}
