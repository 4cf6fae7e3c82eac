//! Refused requests kept for inspection: listed, shown, explained, opened, released, discarded.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::events::as_received;
use super::extract::{Asked, Named, Operator, Problem, cursor, limit, shown, time};
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::shapes::{Discarded, Opened, RefusedRequests, RefusedShown, ReleaseShown};
use crate::admin::state::Admin;
use crate::event::Name;
use crate::explain::{self as doctor, Explanation};
use crate::operations::OperationError;
use crate::store::{QuarantineFilter, Quarantined};

/// Which refused requests.
#[derive(Deserialize, IntoParams, Default, Clone)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct RefusedAsked {
    /// Only those sent to this source.
    pub(in crate::admin) source: Option<String>,
    /// Only those refused for this reason.
    pub(in crate::admin) reason: Option<String>,
    /// Received at or after: RFC 3339, a date, or how long ago (2h).
    pub(in crate::admin) since: Option<String>,
    /// Received before.
    pub(in crate::admin) until: Option<String>,
    /// `next` of the page before.
    pub(in crate::admin) cursor: Option<String>,
    /// At most so many, 1 to 500; 100 where nobody says.
    pub(in crate::admin) limit: Option<u64>,
}

/// The refused requests that are asked for.
pub(in crate::admin) async fn find(admin: &Admin, asked: &RefusedAsked) -> Result<RefusedRequests, Problem> {
    let now = admin.clock.now();
    let filter = QuarantineFilter {
        source: asked.source.as_deref().map(Name::from),
        reason: asked.reason.clone(),
        since: time("since", asked.since.as_deref(), now)?,
        until: time("until", asked.until.as_deref(), now)?,
        limit: Some(limit(asked.limit)?),
    };
    let page = admin.store.quarantine.page(&filter, cursor(asked.cursor.as_deref())?).await?;
    let brief = |entry: &Quarantined| RefusedShown { headers: Vec::new(), ..RefusedShown::of(entry) };
    Ok(RefusedRequests { refused: page.rows.iter().map(brief).collect(), next: page.next.map(shown) })
}

/// What the doctor says of `entry`. Off the runtime's threads: it tries what senders get wrong, hash by hash.
pub(in crate::admin) async fn explained(admin: &Admin, entry: &Quarantined) -> Result<Explanation, OperationError> {
    let (view, entry) = (admin.view.load_full(), entry.clone());
    let judged = tokio::task::spawn_blocking(move || {
        let gone = || OperationError::Refused(format!("source {} is not in the configuration any more", entry.source));
        let source = view.source(entry.source.as_str()).ok_or_else(gone)?;
        let specimen =
            doctor::from_quarantine(&entry).map_err(|problem| OperationError::Refused(problem.to_string()))?;
        doctor::explain(&view.sources, source, specimen).map_err(|errors| OperationError::Refused(errors.to_string()))
    });
    judged.await.unwrap_or_else(|error| Err(OperationError::Refused(error.to_string())))
}

/// Refused requests, newest first.
#[utoipa::path(get, path = "/quarantine", tag = "quarantine", params(RefusedAsked), responses(
    (status = 200, body = RefusedRequests), (status = 400, body = Refusal)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Asked(asked): Asked<RefusedAsked>,
) -> Result<Json<RefusedRequests>, Problem> {
    find(&admin, &asked).await.map(Json)
}

/// One refused request with its head, credentials redacted.
#[utoipa::path(get, path = "/quarantine/{id}", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = RefusedShown), (status = 404, body = Refusal)))]
pub(super) async fn show(State(admin): State<Admin>, Named(id): Named<i64>) -> Result<Json<RefusedShown>, Problem> {
    Ok(Json(RefusedShown::of(&operate::refused_of(&admin, id).await?)))
}

/// Which check refused it, why, and what would mend that.
#[utoipa::path(get, path = "/quarantine/{id}/explain", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = Explanation), (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub(super) async fn explain(State(admin): State<Admin>, Named(id): Named<i64>) -> Result<Json<Explanation>, Problem> {
    let entry = operate::refused_of(&admin, id).await?;
    Ok(Json(explained(&admin, &entry).await?))
}

/// Its head and body; an audit record says who opened them.
#[utoipa::path(post, path = "/quarantine/{id}/open", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = Opened), (status = 403, body = Refusal), (status = 404, body = Refusal)))]
pub(super) async fn open(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Json<Opened>, Problem> {
    let entry = operate::open_refused(&admin, &caller, id).await?;
    Ok(Json(Opened::of(RefusedShown::of(&entry).headers, &entry.body)))
}

/// Its body as received, byte for byte; an audit record says who opened it.
#[utoipa::path(post, path = "/quarantine/{id}/body", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 403, body = Refusal),
    (status = 404, body = Refusal)))]
pub(super) async fn body(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Response, Problem> {
    Ok(as_received(operate::open_refused(&admin, &caller, id).await?.body))
}

/// Accepts it as if it had been valid; the event says who released it.
#[utoipa::path(post, path = "/quarantine/{id}/release", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = ReleaseShown), (status = 403, body = Refusal), (status = 404, body = Refusal),
    (status = 409, body = Refusal)))]
pub(super) async fn release(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Json<ReleaseShown>, Problem> {
    let released = operate::release(&admin, &caller, id).await?;
    Ok(Json(ReleaseShown {
        source: released.source.to_string(),
        event_id: released.event_id.to_string(),
        kind: released.kind,
        duplicate: !released.added,
        operator: released.operator,
        note: released.note,
    }))
}

/// Removes it for good.
#[utoipa::path(post, path = "/quarantine/{id}/discard", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = Discarded), (status = 403, body = Refusal), (status = 404, body = Refusal)))]
pub(super) async fn discard(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Json<Discarded>, Problem> {
    operate::refused_of(&admin, id).await?;
    Ok(Json(Discarded { discarded: operate::discard_refused(&admin, &caller, id).await? }))
}
