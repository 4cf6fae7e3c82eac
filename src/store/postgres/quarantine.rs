//! Refused requests, bounded in entries and bytes over all replicas; the oldest make room.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio_postgres::Row;

use crate::event::EventId;
use crate::store::postgres::rows::{event_id, limit, micros, text, time, unsigned};
use crate::store::postgres::schema::BOUNDS;
use crate::store::postgres::selection::Conditions;
use crate::store::postgres::session::{Pool, Session, Values, within};
use crate::store::{Filter, Quarantine, QuarantineBounds, Quarantined, StoreError};

const COLUMNS: &str = "id, source, reason, received_at, request_id, client_ip, target, headers, event_id";

const PUT: &str = "
INSERT INTO gatepost_quarantine (source, reason, received_at, request_id, client_ip, target, headers, event_id, body,
    bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";

const MAKE_ROOM: &str = "
DELETE FROM gatepost_quarantine WHERE id <= (
    SELECT max(id) FROM (
        SELECT id, row_number() OVER (ORDER BY id DESC) AS entries, sum(bytes) OVER (ORDER BY id DESC) AS bytes
        FROM gatepost_quarantine
    ) AS held WHERE entries > $1 OR bytes > $2::bigint)";

/// The quarantine of a PostgreSQL store.
pub struct PostgresQuarantine {
    /// For all of it.
    pub pool: Pool,
    /// How large it may grow.
    pub bounds: ArcSwap<QuarantineBounds>,
}

#[async_trait]
impl Quarantine for PostgresQuarantine {
    /// An entry larger than the whole quarantine is not kept: it would push out all others. Its id is 0.
    async fn put(&self, entry: Quarantined) -> Result<i64, StoreError> {
        let bytes = (entry.body.len() + entry.headers.len()) as u64;
        let bounds = **self.bounds.load();
        if bytes > bounds.max_bytes || bounds.max_entries == 0 {
            return Ok(0);
        }
        within(self.keep(&entry, bounds)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Quarantined>, StoreError> {
        let mut conditions = Conditions::quarantine(filter);
        let count = conditions.parameter(limit(filter.limit));
        let condition = conditions.sql();
        let sql = format!(
            "SELECT {COLUMNS}, ''::bytea FROM gatepost_quarantine WHERE {condition} ORDER BY id DESC LIMIT {count}"
        );
        within(async {
            let lent = self.pool.lend().await?;
            let rows = lent.session.client().query(&sql, &conditions.values()).await?;
            lent.done();
            rows.iter().map(entry).collect()
        })
        .await
    }

    async fn get(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        let sql = "SELECT id, source, reason, received_at, request_id, client_ip, target, headers, event_id, body
                   FROM gatepost_quarantine WHERE id = $1";
        self.pool.query(sql, &[&id]).await?.first().map(entry).transpose()
    }

    async fn remove(&self, ids: &[i64]) -> Result<u64, StoreError> {
        self.pool.execute("DELETE FROM gatepost_quarantine WHERE id = ANY ($1)", &[&ids]).await
    }

    async fn count(&self) -> Result<u64, StoreError> {
        let rows = self.pool.query("SELECT count(*) FROM gatepost_quarantine", &[]).await?;
        Ok(unsigned(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0)))
    }

    async fn resize(&self, bounds: QuarantineBounds) -> Result<(), StoreError> {
        self.bounds.store(Arc::new(bounds));
        self.pool.execute(MAKE_ROOM, &[&bound(bounds.max_entries), &bound(bounds.max_bytes)]).await?;
        Ok(())
    }
}

fn bound(bound: u64) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}

impl PostgresQuarantine {
    async fn keep(&self, entry: &Quarantined, bounds: QuarantineBounds) -> Result<i64, StoreError> {
        let lent = self.pool.lend().await?;
        lent.session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({BOUNDS})")).await?;
        let id = add(&lent.session, entry).await?;
        lent.session.execute(MAKE_ROOM, &[&bound(bounds.max_entries), &bound(bounds.max_bytes)]).await?;
        lent.session.batch("COMMIT").await?;
        lent.done();
        Ok(id)
    }
}

/// Adds `entry`, bounds or not; returns its id.
pub async fn add(session: &Session, entry: &Quarantined) -> Result<i64, StoreError> {
    let bytes = i64::try_from(entry.body.len() + entry.headers.len()).unwrap_or(i64::MAX);
    let values: Values<'_> = &[
        &entry.source.as_str(),
        &entry.reason,
        &micros(entry.received_at),
        &entry.request_id,
        &entry.client_ip.map(|ip| ip.to_string()),
        &text(&entry.target),
        &text(&entry.headers),
        &entry.event_id.as_ref().map(EventId::as_str),
        &&entry.body[..],
        &bytes,
    ];
    let rows = session.query(PUT, values).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
}

fn entry(row: &Row) -> Result<Quarantined, StoreError> {
    let ip: Option<String> = row.try_get(5)?;
    let event: Option<&str> = row.try_get(8)?;
    Ok(Quarantined {
        id: row.try_get(0)?,
        source: row.try_get::<_, &str>(1)?.into(),
        reason: row.try_get(2)?,
        received_at: time(row.try_get(3)?)?,
        request_id: row.try_get(4)?,
        client_ip: ip.and_then(|ip| ip.parse().ok()),
        target: row.try_get(6)?,
        headers: row.try_get(7)?,
        event_id: event.map(event_id).transpose()?,
        body: row.try_get::<_, Vec<u8>>(9)?.into(),
    })
}
