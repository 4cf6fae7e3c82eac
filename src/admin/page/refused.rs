//! Refused: what was turned away and kept, and one with its explanation in place; release, discard.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::{Extension, Form};

use super::frame::{Frame, Wrong, filled, older, page, see};
use super::words::{Moment, event_place};
use crate::admin::access::Caller;
use crate::admin::api::Operator;
use crate::admin::api::quarantine::{RefusedAsked, explained, find};
use crate::admin::operate;
use crate::admin::shapes::{NearMissShown, Opened, RefusedShown};
use crate::admin::state::Admin;
use crate::explain::{Explanation, Release};
use crate::operations::OperationError;
use crate::request_outcome::Reason;
use crate::store::Quarantined;

const KNOWN: [&str; 5] = ["source", "reason", "since", "until", "cursor"];
/// What says which to discard.
const CRITERIA: [&str; 4] = ["source", "reason", "since", "until"];
const ROWS: u64 = 50;

#[derive(Template)]
#[template(path = "refused.html")]
struct List {
    frame: Frame,
    asked: RefusedAsked,
    sources: Vec<String>,
    reasons: Vec<&'static str>,
    rows: Vec<(RefusedShown, Moment)>,
    next: Option<String>,
    /// Paths that are nearly some source's.
    near_misses: Vec<(NearMissShown, Moment)>,
    /// What they have in common, as the search said it.
    criteria: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "refused_one.html")]
struct One {
    frame: Frame,
    request: RefusedShown,
    at: Moment,
    told: Result<Explanation, String>,
    opened: Option<Opened>,
}

impl One {
    fn proven(&self) -> bool {
        matches!(&self.told, Ok(told) if told.release == Some(Release::OnlyItsTime) || told.refused.is_none())
    }
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&query, &KNOWN)?;
    let asked = RefusedAsked { cursor: field("cursor"), limit: Some(ROWS), ..asked(&field) };
    let (found, now) = (find(&admin, &asked).await?, admin.clock.now());
    let next = found.next.map(|cursor| older("/refused", &KNOWN, &field, &cursor));
    Ok(page(&List {
        frame: Frame::new("Refused", &caller, &query),
        sources: admin.view.load().sources.iter().map(|source| source.name.to_string()).collect(),
        reasons: Reason::ALL.iter().map(|reason| reason.as_str()).collect(),
        rows: found
            .refused
            .into_iter()
            .map(|row| {
                let at = Moment::of(&row.received_at, now);
                (row, at)
            })
            .collect(),
        near_misses: admin
            .near_misses
            .list()
            .iter()
            .map(|miss| (NearMissShown::of(miss), Moment::of(&miss.last.to_string(), now)))
            .collect(),
        criteria: CRITERIA.into_iter().filter_map(|key| Some((key, field(key)?))).collect(),
        asked,
        next,
    }))
}

fn asked(field: impl Fn(&str) -> Option<String>) -> RefusedAsked {
    RefusedAsked {
        source: field("source"),
        reason: field("reason"),
        since: field("since"),
        until: field("until"),
        ..RefusedAsked::default()
    }
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
    Path(id): Path<i64>,
) -> Result<Response, Wrong> {
    drop(filled(&query, &[])?);
    let entry = operate::refused_of(&admin, id).await?;
    Ok(one(&admin, Frame::new("Refused request", &caller, &query), &entry, None).await)
}

async fn one(admin: &Admin, frame: Frame, entry: &Quarantined, opened: Option<Opened>) -> Response {
    let told = explained(admin, entry).await.map_err(|fault| fault.to_string());
    let request = RefusedShown::of(entry);
    page(&One { frame, at: Moment::of(&request.received_at, admin.clock.now()), request, told, opened })
}

pub(super) async fn open(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Path(id): Path<i64>,
) -> Result<Response, Wrong> {
    let entry = operate::open_refused(&admin, &caller, id).await?;
    let opened = Opened::of(Vec::new(), &entry.body);
    Ok(one(&admin, Frame::new("Refused request", &caller, &BTreeMap::new()), &entry, Some(opened)).await)
}

pub(super) async fn release(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Path(id): Path<i64>,
) -> Result<Response, Wrong> {
    let gone = || OperationError::Missing(format!("there is no such refused request as {id} any more"));
    let released = operate::release(&admin, &caller, vec![id]).await?.pop().ok_or_else(gone)?;
    let place = event_place(released.source.as_str(), released.event_id.as_str());
    let done = if released.added { "released" } else { "none" };
    Ok(see(&format!("{place}&done={done}")))
}

pub(super) async fn discard(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Path(id): Path<i64>,
) -> Result<Response, Wrong> {
    let count = operate::discard_refused(&admin, &caller, vec![id]).await?;
    Ok(see(if count == 0 { "/refused?done=none" } else { "/refused?done=discarded" }))
}

pub(super) async fn discard_matching(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(form): Form<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let filter = asked(filled(&form, &CRITERIA)?).narrowed(&admin)?;
    let count = operate::discard_matching(&admin, &caller, filter).await?;
    Ok(see(if count == 0 { "/refused?done=none" } else { "/refused?done=discarded" }))
}
