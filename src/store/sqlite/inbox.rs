//! Takes events: uniqueness, the event's row and its deliveries, in the writer's transaction.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Row, params};

use crate::event::{Event, EventKey, Name, Payload};
use crate::store::claimed::{Claimed, FIRST_LEASE};
use crate::store::delivery::DeliveryId;
use crate::store::erasure::had_body;
use crate::store::error::StoreError;
use crate::store::handover::{apart, is_small};
use crate::store::inbox::{Inbox, Insertion};
use crate::store::sql::sql;
use crate::store::sqlite::ids::Arrival;
use crate::store::sqlite::schema::SINKS;
use crate::store::sqlite::transaction::Tx;
use crate::store::sqlite::writer::Writer;
use crate::store::stored::{micros, wait};

/// The receiving side of a SQLite store.
pub(super) struct SqliteInbox(pub Arc<Writer>);

#[async_trait]
impl Inbox for SqliteInbox {
    async fn insert_beside(
        &self,
        event: Event,
        twins: &[EventKey],
        sinks: Arc<[Name]>,
    ) -> Result<Insertion, StoreError> {
        let (key, twins) = (event.unique_key(), twins.to_vec());
        let client_ip = event.client_ip.map(|ip| ip.to_string());
        self.0.call(move |tx| insert(tx, &key, &twins, &event, client_ip.as_deref(), &sinks)).await
    }
}

/// Names its columns: a newer program may have added one beside a daemon that goes on.
const INSERT: &str = "
INSERT INTO events (seq, source, id, kind, received_at, content_type, key, request_id, client_ip, traceparent, body, headers)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

fn insert(
    tx: &mut Tx<'_>,
    key: &EventKey,
    twins: &[EventKey],
    event: &Event,
    client_ip: Option<&str>,
    sinks: &[Name],
) -> Result<Insertion, StoreError> {
    if let Some(seq) = tx.find(key)? {
        return same_body(tx, seq, event);
    }
    for twin in twins {
        if let Some(seq) = tx.find(twin)?
            && same_body(tx, seq, event)? == Insertion::Duplicate
        {
            return Ok(Insertion::Duplicate);
        }
    }
    let (seq, source) = (tx.next_seq()?, tx.source(&event.source)?);
    let received_at = micros(event.received_at);
    tx.add_key(*key, &Arrival { seq, source, kind: &event.kind, received_at })?;
    tx.insert_event.get(tx.conn, INSERT)?.execute(params![
        seq,
        source,
        event.id.as_str(),
        event.kind,
        received_at,
        event.content_type,
        event.key,
        event.request_id,
        client_ip,
        event.traceparent,
        &event.payload.bytes()[..],
        event.headers.stored(),
    ])?;
    let mut copy = None;
    for sink in sinks {
        queue(tx, seq, sink, event, &mut copy)?;
    }
    tx.done.events += 1;
    Ok(Insertion::Accepted)
}

/// Compares the bodies themselves: cheaper than a digest that only this would need, and never wrong. Of one that was
/// erased the digest is left.
fn same_body(tx: &Tx<'_>, seq: i64, event: &Event) -> Result<Insertion, StoreError> {
    let mut sql = tx.conn.prepare_cached("SELECT body = ?2, erased FROM events WHERE seq = ?1")?;
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (same, erased): (bool, Option<String>) = sql.query_row(params![seq, &event.payload.bytes()[..]], read)?;
    let same = erased.map_or(same, |left| had_body(&left, &event.payload.digest()));
    Ok(if same { Insertion::Duplicate } else { Insertion::Conflict })
}

/// Queues a delivery of the new event `seq`, which is claimed already where it can be handed over; a sink named twice gets one.
/// `copy` is of the body, which sinks share.
fn queue(tx: &mut Tx<'_>, seq: i64, name: &Name, event: &Event, copy: &mut Option<Payload>) -> Result<(), StoreError> {
    let (sink, now) = (tx.sink(name)?, tx.now);
    let id = seq * SINKS + sink;
    let promise = if is_small(event) { tx.promise(sink, name)? } else { None };
    let (due_at, lease, claimed_at) = match &promise {
        Some(promise) => (now + wait(promise.lease()), FIRST_LEASE, Some(now)),
        None => (now, 0, None),
    };
    let sql = sql!(
        "INSERT INTO deliveries (id, sink, state, attempts, due_at, queued_at, lease, claimed_at)
             VALUES (?1, ?2, {PENDING}, 0, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING"
    );
    let insert = tx.insert_delivery.get(tx.conn, sql)?;
    if insert.execute(params![id, sink, due_at, now, lease, claimed_at])? == 0 {
        return Ok(());
    }
    tx.count(sink, 1, 0);
    let Some(promise) = promise else {
        tx.done.queued = true;
        return Ok(());
    };
    tx.handing.add(promise, Claimed::queued(DeliveryId(id), apart(event, copy)));
    Ok(())
}
