//! The floor on PostgreSQL: verify, and one statement for whatever waits. No receiver that keeps its events there, each
//! once, can do with less.

use std::collections::HashSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::result::BenchResult;
use crate::verify::{Verifier, accepted};

/// More than there are connections.
const WAITING: usize = 4096;
/// Bodies stay in their row, as they are: neither compressed nor in a table beside it.
const MAKE: &str = "
CREATE TABLE floor (id text PRIMARY KEY, body bytea NOT NULL) WITH (toast_tuple_target = 8160);
ALTER TABLE floor ALTER COLUMN body SET STORAGE EXTERNAL";
const INSERT: &str =
    "INSERT INTO floor SELECT * FROM unnest($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING RETURNING id";

struct Floor {
    verifier: Verifier,
    url: String,
    /// Opened by the first event, on the runtime that serves.
    table: OnceCell<Table>,
}

/// An event on its way to the database.
struct Record {
    id: String,
    body: Bytes,
    /// Told whether the id was known, once the event is durable.
    done: oneshot::Sender<bool>,
}

struct Table {
    records: mpsc::Sender<Record>,
    /// Moves the bytes of the connection, and batches.
    _tasks: JoinSet<()>,
}

/// Verifies every request and inserts it at `url`.
pub(crate) fn app(url: &str) -> BenchResult<Router> {
    let floor = Floor { verifier: Verifier::new()?, url: url.to_owned(), table: OnceCell::new() };
    Ok(Router::new().fallback(store).with_state(Arc::new(floor)))
}

async fn store(State(floor): State<Arc<Floor>>, headers: HeaderMap, body: Bytes) -> Response {
    let id = match floor.verifier.event(&headers, &body) {
        Ok(event) => event.id.into_owned(),
        Err(status) => return status.into_response(),
    };
    match floor.insert(id, body).await {
        Some(duplicate) => accepted(duplicate),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Floor {
    /// Whether the id was known, or `None` where nothing can be promised.
    async fn insert(&self, id: String, body: Bytes) -> Option<bool> {
        let table = self.table.get_or_try_init(|| open(&self.url)).await.ok()?;
        let (done, durable) = oneshot::channel();
        table.records.try_send(Record { id, body, done }).ok()?;
        durable.await.ok()
    }
}

async fn open(url: &str) -> Result<Table, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let mut tasks = JoinSet::new();
    // A connection that ends ends the statements on it, whose callers are told.
    tasks.spawn(async move { drop(connection.await) });
    client.batch_execute(MAKE).await?;
    let (records, waiting) = mpsc::channel(WAITING);
    tasks.spawn(async move { drop(write(client, waiting).await) });
    Ok(Table { records, _tasks: tasks })
}

/// Takes whatever waits, lets those come first who are ready, inserts all in one transaction, and answers only then. An
/// error ends it: those who wait see their channel closed.
async fn write(client: Client, mut waiting: mpsc::Receiver<Record>) -> Result<(), tokio_postgres::Error> {
    let insert = client.prepare(INSERT).await?;
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, WAITING).await > 0 {
        loop {
            tokio::task::yield_now().await;
            if waiting.is_empty() {
                break;
            }
            waiting.recv_many(&mut batch, WAITING).await;
        }
        let ids: Vec<&str> = batch.iter().map(|record: &Record| record.id.as_str()).collect();
        let bodies: Vec<&[u8]> = batch.iter().map(|record| &record.body[..]).collect();
        let rows = client.query(&insert, &[&ids, &bodies]).await?;
        let mut fresh = rows.iter().map(|row| row.try_get(0)).collect::<Result<HashSet<String>, _>>()?;
        for Record { id, done, .. } in batch.drain(..) {
            // A sender that went away is told by its next attempt.
            let _ = done.send(!fresh.remove(&id));
        }
    }
    Ok(())
}
