//! Refused requests, bounded in entries and bytes over all replicas; the oldest of the kind that holds most
//! make room.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio_postgres::Row;

use crate::event::EventId;
use crate::store::error::StoreError;
use crate::store::listing::{Cursor, Page, PagedFilter};
use crate::store::postgres::rows::{limit, text};
use crate::store::postgres::schema::BOUNDS;
use crate::store::postgres::selection::Conditions;
use crate::store::postgres::session::{Pool, Session, Values, within};
use crate::store::quarantine::{Quarantine, QuarantineBounds, QuarantineFilter, Quarantined};
use crate::store::sql::{QUARANTINED, sql};
use crate::store::stored::{event_id, micros, time, unsigned};

const PUT: &str = "
INSERT INTO gatepost_quarantine (source, reason, received_at, request_id, client_ip, target, headers, event_id, body,
    bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING id";

/// What each source and reason holds beside entry `$1`, and all of them: the largest by `bytes` where `$2`, else by
/// number.
const SHARES: &str = "
SELECT source, reason, (sum(count(*)) OVER ())::bigint, (sum(sum(bytes)) OVER ())::bigint
FROM gatepost_quarantine WHERE id <> $1 GROUP BY source, reason
ORDER BY CASE WHEN $2 THEN sum(bytes) ELSE count(*) END DESC, min(id) LIMIT 1";

/// The oldest entries of one kind, but for entry `$3`: as many as free `$4` entries or `$5` bytes, one at least.
const MAKE_ROOM: &str = "
DELETE FROM gatepost_quarantine WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS entries, sum(bytes) OVER (ORDER BY id) - bytes AS before
        FROM gatepost_quarantine WHERE source = $1 AND reason = $2 AND id <> $3
    ) AS kind WHERE entries <= greatest($4::bigint, 1) OR before < $5::bigint)";

/// The quarantine of a PostgreSQL store.
pub(super) struct PostgresQuarantine {
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

    async fn same(&self, entry: &Quarantined) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT id FROM gatepost_quarantine
                   WHERE source = $1 AND event_id = $2 AND reason = $3 AND body = $4 LIMIT 1";
        let event = entry.event_id.as_ref().map(EventId::as_str);
        let rows = self.pool.query(sql, &[&entry.source.as_str(), &event, &entry.reason, &&entry.body[..]]).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    async fn page(&self, filter: &QuarantineFilter, from: Option<Cursor>) -> Result<Page<Quarantined>, StoreError> {
        let wanted = filter.page_rows();
        let mut conditions = Conditions::quarantine(filter);
        if let Some(Cursor(id, _)) = from {
            conditions.add("id < ?", id);
        }
        let count = conditions.parameter(limit(Some(wanted)));
        let condition = conditions.sql();
        let sql = format!(
            "SELECT {QUARANTINED}, ''::bytea FROM gatepost_quarantine WHERE {condition} ORDER BY id DESC LIMIT {count}"
        );
        let rows = within(async {
            let lent = self.pool.lend().await?;
            let rows = lent.session.client().query(&sql, &conditions.values()).await?;
            lent.done();
            Ok(rows)
        })
        .await?;
        let entries = rows.iter().map(|row| entry(row).map(|entry| (Cursor(entry.id, 0), entry)));
        Ok(Page::of(entries.collect::<Result<_, _>>()?, wanted))
    }

    async fn get(&self, id: i64) -> Result<Option<Quarantined>, StoreError> {
        let sql = sql!("SELECT {QUARANTINED}, body FROM gatepost_quarantine WHERE id = $1");
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
        within(async {
            let lent = self.pool.lend().await?;
            lent.session.batch(&format!("BEGIN; SELECT pg_advisory_xact_lock({BOUNDS})")).await?;
            make_room(&lent.session, i64::MAX, (bounds.max_entries, bounds.max_bytes)).await?;
            lent.session.batch("COMMIT").await?;
            lent.done();
            Ok(())
        })
        .await
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
        let bytes = (entry.body.len() + entry.headers.len()) as u64;
        make_room(&lent.session, id, (bounds.max_entries - 1, bounds.max_bytes - bytes)).await?;
        lent.session.batch("COMMIT").await?;
        lent.done();
        Ok(id)
    }
}

/// Removes entries other than `id` until no more than `most` (entries, bytes) are left of them.
async fn make_room(session: &Session, id: i64, most: (u64, u64)) -> Result<(), StoreError> {
    let (most_entries, most_bytes) = (bound(most.0), bound(most.1));
    let mut by_bytes = true;
    loop {
        let rows = session.query(SHARES, &[&id, &by_bytes]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let entries = row.try_get::<_, i64>(2)? - most_entries;
        let bytes = row.try_get::<_, i64>(3)? - most_bytes;
        if entries <= 0 && bytes <= 0 {
            return Ok(());
        }
        if by_bytes && bytes <= 0 {
            by_bytes = false;
            continue;
        }
        let (source, reason) = (row.try_get::<_, &str>(0)?, row.try_get::<_, &str>(1)?);
        let entries = if by_bytes { 0 } else { entries };
        session.execute(MAKE_ROOM, &[&source, &reason, &id, &entries, &bytes]).await?;
    }
}

/// Adds `entry`, bounds or not; returns its id.
pub(super) async fn add(session: &Session, entry: &Quarantined) -> Result<i64, StoreError> {
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
