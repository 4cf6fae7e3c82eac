//! Refused requests kept for inspection: listed, shown, explained, opened, released, discarded.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::events::as_received;
use super::extract::{Asked, Body, MOST_ROWS, Named, Operator, Problem, cursor, limit, shown, time};
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::shapes::{
    Discarded, NearMissShown, NearMissesShown, Opened, RefusedRequests, RefusedShown, ReleaseShown,
};
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
    #[param(pattern = "^-?[0-9]{1,18}_-?[0-9]{1,18}$")]
    pub(in crate::admin) cursor: Option<String>,
    /// At most so many, 1 to 500; 100 where nobody says.
    #[param(minimum = 1, maximum = 500)]
    pub(in crate::admin) limit: Option<u64>,
}

/// Which refused requests to remove: ids, or what they have in common.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RefusedChosen {
    /// As listed; at most 500.
    #[schema(max_items = 500)]
    ids: Vec<i64>,
    /// Without ids: all sent to this source.
    source: Option<String>,
    /// All refused for this reason.
    reason: Option<String>,
    /// All received at or after: RFC 3339, a date, or how long ago (2h).
    since: Option<String>,
    /// All received before.
    until: Option<String>,
}

/// Which refused requests to accept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseAsked {
    /// As listed; 1 to 500.
    #[schema(min_items = 1, max_items = 500)]
    ids: Vec<i64>,
}

/// What became of several.
#[derive(Serialize, ToSchema)]
pub(super) struct Releases {
    released: Vec<ReleaseShown>,
}

impl RefusedAsked {
    /// What they have in common.
    pub(in crate::admin) fn filter(&self, admin: &Admin) -> Result<QuarantineFilter, Problem> {
        let now = admin.clock.now();
        Ok(QuarantineFilter {
            source: self.source.as_deref().map(Name::from),
            reason: self.reason.clone(),
            since: time("since", self.since.as_deref(), now)?,
            until: time("until", self.until.as_deref(), now)?,
            limit: None,
        })
    }

    /// The same, where it is to say what is removed: never all there are by accident.
    pub(in crate::admin) fn narrowed(&self, admin: &Admin) -> Result<QuarantineFilter, Problem> {
        if [&self.source, &self.reason, &self.since, &self.until].iter().all(|criterion| criterion.is_none()) {
            return Err(Problem::asked("which refused requests? give ids, or a source, a reason or a time"));
        }
        self.filter(admin)
    }
}

/// The refused requests that are asked for.
pub(in crate::admin) async fn find(admin: &Admin, asked: &RefusedAsked) -> Result<RefusedRequests, Problem> {
    let filter = QuarantineFilter { limit: Some(limit(asked.limit)?), ..asked.filter(admin)? };
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
    (status = 200, body = RefusedRequests)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Asked(asked): Asked<RefusedAsked>,
) -> Result<Json<RefusedRequests>, Problem> {
    find(&admin, &asked).await.map(Json)
}

/// Paths that were asked for, that no source takes and that are close to some source's: the newest first, since the start.
#[utoipa::path(get, path = "/near-misses", tag = "quarantine", responses((status = 200, body = NearMissesShown)))]
pub(super) async fn near_misses(State(admin): State<Admin>) -> Json<NearMissesShown> {
    Json(NearMissesShown { near_misses: admin.near_misses.list().iter().map(NearMissShown::of).collect() })
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
    (status = 200, body = Opened), (status = 404, body = Refusal)))]
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
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Refusal)))]
pub(super) async fn body(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Response, Problem> {
    Ok(as_received(operate::open_refused(&admin, &caller, id).await?.body))
}

/// Accepts it as if it had been valid; the event says who released it.
#[utoipa::path(post, path = "/quarantine/{id}/release", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = ReleaseShown), (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub(super) async fn release(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Json<ReleaseShown>, Problem> {
    let released = operate::release(&admin, &caller, vec![id]).await?.pop();
    let gone = || OperationError::Missing(format!("there is no such refused request as {id} any more"));
    Ok(Json(ReleaseShown::of(&released.ok_or_else(gone)?)))
}

/// Accepts several as if they had been valid; none, unless all of them can be.
#[utoipa::path(post, path = "/quarantine/release", tag = "quarantine", request_body = ReleaseAsked, responses(
    (status = 200, body = Releases), (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub(super) async fn release_several(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(asked): Body<ReleaseAsked>,
) -> Result<Json<Releases>, Problem> {
    if !(1..=MOST_ROWS).contains(&(asked.ids.len() as u64)) {
        return Err(Problem::asked(format!("ids: expected 1 to {MOST_ROWS}")));
    }
    let released = operate::release(&admin, &caller, asked.ids).await?;
    Ok(Json(Releases { released: released.iter().map(ReleaseShown::of).collect() }))
}

/// Removes it for good.
#[utoipa::path(post, path = "/quarantine/{id}/discard", tag = "quarantine", params(("id" = i64, Path)), responses(
    (status = 200, body = Discarded), (status = 404, body = Refusal)))]
pub(super) async fn discard(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(id): Named<i64>,
) -> Result<Json<Discarded>, Problem> {
    operate::refused_of(&admin, id).await?;
    Ok(Json(Discarded { discarded: operate::discard_refused(&admin, &caller, vec![id]).await? }))
}

/// Removes several for good; those that are gone count for nothing.
#[utoipa::path(post, path = "/quarantine/discard", tag = "quarantine", request_body = RefusedChosen, responses(
    (status = 200, body = Discarded)))]
pub(super) async fn discard_several(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(RefusedChosen { ids, source, reason, since, until }): Body<RefusedChosen>,
) -> Result<Json<Discarded>, Problem> {
    if ids.len() as u64 > MOST_ROWS {
        return Err(Problem::asked(format!("ids: expected at most {MOST_ROWS}")));
    }
    let discarded = if ids.is_empty() {
        let asked = RefusedAsked { source, reason, since, until, ..RefusedAsked::default() };
        operate::discard_matching(&admin, &caller, asked.narrowed(&admin)?).await?
    } else {
        operate::discard_refused(&admin, &caller, ids).await?
    };
    Ok(Json(Discarded { discarded }))
}
