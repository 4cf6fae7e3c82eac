//! The floor: verify, and an append-only log that is on the disk before the answer. No receiver that keeps its word can
//! do with less.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::append_log::AppendLog;
use crate::result::BenchResult;
use crate::verify::{Verifier, accepted};

struct Floor {
    verifier: Verifier,
    log: AppendLog,
}

/// Verifies every request and writes it into `log`.
pub(crate) fn app(log: &Path) -> BenchResult<Router> {
    let floor = Floor { verifier: Verifier::new()?, log: AppendLog::open(log)? };
    Ok(Router::new().fallback(store).with_state(Arc::new(floor)))
}

async fn store(State(floor): State<Arc<Floor>>, headers: HeaderMap, body: Bytes) -> Response {
    let id = match floor.verifier.event(&headers, &body) {
        Ok(event) => event.id.into_owned(),
        Err(status) => return status.into_response(),
    };
    match floor.log.append(id, body).await {
        Some(duplicate) => accepted(duplicate),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
