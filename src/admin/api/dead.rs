//! Deliveries that ran out of attempts: listed, queued again, given up.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, Body, Operator, Problem, cursor, limit, shown, time};
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::shapes::{DeadLetters, DeadShown, Discarded, Queued};
use crate::admin::state::Admin;
use crate::event::Name;
use crate::operations::DeadChoice;
use crate::store::{DeadLetterFilter, DeliveryId};

/// Dead letters that one request may name.
const MOST: usize = 500;

/// Which dead letters.
#[derive(Deserialize, IntoParams, Default, Clone)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct DeadAsked {
    /// Only to this sink.
    pub(in crate::admin) sink: Option<String>,
    /// Only of events of this source.
    pub(in crate::admin) source: Option<String>,
    /// Only of events of this type.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub(in crate::admin) kind: Option<String>,
    /// Only those whose last error contains this.
    pub(in crate::admin) error: Option<String>,
    /// Of events received at or after: RFC 3339, a date, or how long ago (2h).
    pub(in crate::admin) since: Option<String>,
    /// Of events received before.
    pub(in crate::admin) until: Option<String>,
    /// `next` of the page before.
    #[param(pattern = "^-?[0-9]{1,18}_-?[0-9]{1,18}$")]
    pub(in crate::admin) cursor: Option<String>,
    /// At most so many, 1 to 500; 100 where nobody says.
    #[param(minimum = 1, maximum = 500)]
    pub(in crate::admin) limit: Option<u64>,
}

/// Which dead letters to act on: ids, or what they have in common.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeadChosen {
    /// As listed; at most 500.
    #[schema(max_items = 500)]
    ids: Vec<i64>,
    /// Without ids: all to this sink.
    sink: Option<String>,
    /// All of events of this source.
    source: Option<String>,
    /// All of events of this type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// All whose last error contains this.
    error: Option<String>,
    /// All of events received at or after: RFC 3339, a date, or how long ago (2h).
    since: Option<String>,
    /// All of events received before.
    until: Option<String>,
    /// Replay: to this sink instead.
    to: Option<String>,
}

impl DeadChosen {
    fn asked(&self) -> DeadAsked {
        DeadAsked {
            sink: self.sink.clone(),
            source: self.source.clone(),
            kind: self.kind.clone(),
            error: self.error.clone(),
            since: self.since.clone(),
            until: self.until.clone(),
            ..DeadAsked::default()
        }
    }
}

impl DeadAsked {
    /// What they have in common.
    async fn filter(&self, admin: &Admin) -> Result<DeadLetterFilter, Problem> {
        let now = admin.clock.now();
        Ok(DeadLetterFilter {
            source: self.source.as_deref().map(Name::from),
            kind: self.kind.clone(),
            since: time("since", self.since.as_deref(), now)?,
            until: time("until", self.until.as_deref(), now)?,
            sink: self.sink.as_deref().map(Name::from),
            error: self.error.clone(),
            gone: operate::gone(admin).await?,
            limit: None,
        })
    }
}

/// The dead letters that are asked for.
pub(in crate::admin) async fn find(admin: &Admin, asked: &DeadAsked) -> Result<DeadLetters, Problem> {
    let filter = DeadLetterFilter { limit: Some(limit(asked.limit)?), ..asked.filter(admin).await? };
    let page = admin.store.dead_letters.page(&filter, cursor(asked.cursor.as_deref())?).await?;
    Ok(DeadLetters { dead: page.rows.iter().map(DeadShown::of).collect(), next: page.next.map(shown) })
}

/// The letters `ids`, else all that match `asked`; never all there are by accident.
pub(in crate::admin) async fn chosen(admin: &Admin, ids: &[i64], asked: &DeadAsked) -> Result<DeadChoice, Problem> {
    if ids.len() > MOST {
        return Err(Problem::asked(format!("ids: expected at most {MOST}")));
    }
    if !ids.is_empty() {
        return Ok(DeadChoice::These(ids.iter().copied().map(DeliveryId).collect()));
    }
    let DeadAsked { sink, source, kind, error, since, until, .. } = asked;
    if [sink, source, kind, error, since, until].iter().all(|criterion| criterion.is_none()) {
        return Err(Problem::asked("which dead letters? give ids, or a sink or another criterion"));
    }
    Ok(DeadChoice::Matching(asked.filter(admin).await?))
}

/// Dead letters, newest first.
#[utoipa::path(get, path = "/dead", tag = "deliveries", params(DeadAsked), responses(
    (status = 200, body = DeadLetters)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Asked(asked): Asked<DeadAsked>,
) -> Result<Json<DeadLetters>, Problem> {
    find(&admin, &asked).await.map(Json)
}

/// Queues dead letters again, from the first attempt.
#[utoipa::path(post, path = "/dead/replay", tag = "deliveries", request_body = DeadChosen, responses(
    (status = 200, body = Queued), (status = 409, description = "a sink that is not configured", body = Refusal)))]
pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(asked): Body<DeadChosen>,
) -> Result<Json<Queued>, Problem> {
    let which = chosen(&admin, &asked.ids, &asked.asked()).await?;
    let replayed = operate::replay_dead(&admin, &caller, which, asked.to).await?;
    Ok(Json(Queued::of(replayed.count, &replayed.left)))
}

/// Gives dead letters up for good.
#[utoipa::path(post, path = "/dead/discard", tag = "deliveries", request_body = DeadChosen, responses(
    (status = 200, body = Discarded)))]
pub(super) async fn discard(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(asked): Body<DeadChosen>,
) -> Result<Json<Discarded>, Problem> {
    if asked.to.is_some() {
        return Err(Problem::asked("to: what is discarded goes nowhere"));
    }
    let which = chosen(&admin, &asked.ids, &asked.asked()).await?;
    Ok(Json(Discarded { discarded: operate::discard_dead(&admin, &caller, which).await? }))
}
