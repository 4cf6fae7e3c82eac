//! The store as a whole: what it holds, and a copy of it.

use std::fs::File;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt as _, TryStreamExt as _, future, stream};
use tokio_util::io::ReaderStream;

use super::extract::{Operator, Problem};
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::state::Admin;
use crate::operations::OperationError;
use crate::store::Stats;

/// How long what may go wrong with a copy is waited for before its answer begins: sooner than an answer has to be made.
const EARLY: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Sizes, counts, oldest and newest; it reads what it counts, about a second for a million events.
#[utoipa::path(get, path = "/store", tag = "store", responses((status = 200, body = Stats)))]
pub(super) async fn stats(State(admin): State<Admin>) -> Result<Json<Stats>, Problem> {
    Ok(Json(operate::store_stats(&admin).await?))
}

/// A copy of an SQLite store, whole and of one moment, beside whatever the daemon does; an audit record says who was sent
/// it.
///
/// To restore it: stop the daemon, put it in the place of the database, remove the files beside that which end in -wal and
/// -shm, start. A copy that takes longer than 5 s is begun to be answered before it is made: should it fail then, the answer
/// breaks off.
#[utoipa::path(post, path = "/store/backup", tag = "store", responses(
    (status = 200, body = Vec<u8>, content_type = "application/vnd.sqlite3"),
    (status = 409, description = "another copy is being made, or the store is in PostgreSQL", body = Refusal),
    (status = 503, description = "there is no room for it", body = Refusal)))]
pub(in crate::admin) async fn backup(
    State(admin): State<Admin>,
    Operator(caller): Operator,
) -> Result<Response, Problem> {
    let name = admin.clock.now().strftime("attachment; filename=\"gatepost-%Y%m%dT%H%M%SZ.db\"").to_string();
    let mut copying = Box::pin(operate::copy_store(admin, caller));
    let begun = tokio::time::timeout(EARLY, &mut copying).await;
    let copy = match begun {
        Ok(copy) => future::ready(Ok(copy?)).boxed(),
        Err(_) => copying,
    };
    let content = stream::once(copy.map(content)).try_flatten();
    let headers = [(CONTENT_TYPE, "application/vnd.sqlite3".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(content)).into_response())
}

fn content(copy: Result<File, OperationError>) -> Result<ReaderStream<tokio::fs::File>, std::io::Error> {
    match copy {
        Ok(copy) => Ok(ReaderStream::with_capacity(tokio::fs::File::from_std(copy), CHUNK)),
        Err(error) => {
            tracing::error!(%error, "a copy of the store that was being sent broke off");
            Err(std::io::Error::other(error.to_string()))
        }
    }
}
