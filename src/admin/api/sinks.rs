//! Where events go: how each sink stands, paused, resumed, slowed down.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Body, Named, Operator, Problem};
use crate::admin::answer::Refusal;
use crate::admin::now::{Now, SinkNow};
use crate::admin::operate;
use crate::admin::state::Admin;
use crate::operations::SinkStatus;

/// Every sink.
#[derive(Serialize, ToSchema)]
pub(super) struct Sinks {
    sinks: Vec<SinkShown>,
}

/// One sink, and what operators decided about it.
#[derive(Serialize, ToSchema)]
pub(in crate::admin) struct SinkShown {
    #[serde(flatten)]
    pub(in crate::admin) now: SinkNow,
    /// Null where it is not paused.
    pub(in crate::admin) pause: Option<PauseShown>,
    /// The configured rate; null where there is none.
    pub(in crate::admin) rate: Option<String>,
    /// The rate that operators gave instead; null where they did not.
    pub(in crate::admin) rate_override: Option<String>,
}

/// Since when a sink is paused, by whom and why.
#[derive(Serialize, ToSchema)]
pub(in crate::admin) struct PauseShown {
    pub(in crate::admin) since: String,
    pub(in crate::admin) by: String,
    pub(in crate::admin) reason: Option<String>,
}

/// Why, perhaps.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Why {
    /// As listings and records will say.
    reason: Option<String>,
}

/// How fast.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AtRate {
    /// At most so many deliveries: `100/s`, `600/m`; null for the configured rate.
    rate: Option<String>,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct SinkActed {
    sink: String,
    /// Whether it was not so before.
    changed: bool,
}

impl SinkShown {
    fn of(status: &SinkStatus, now: SinkNow) -> Self {
        let control = &status.control;
        Self {
            now: SinkNow { paused: control.paused.is_some(), ..now },
            pause: control.paused.as_ref().map(|pause| PauseShown {
                since: pause.at.to_string(),
                by: pause.by.clone(),
                reason: pause.reason.clone(),
            }),
            rate: status.rate.map(|rate| rate.to_string()),
            rate_override: control.rate.as_ref().map(|given| given.rate.clone()),
        }
    }
}

/// Every sink, with what the metrics and what the store say of it.
pub(in crate::admin) async fn find(admin: &Admin) -> Result<Vec<SinkShown>, Problem> {
    let mut now = Now::of(admin).sinks;
    let shown = |status: &SinkStatus| {
        let at = now.iter().position(|sink| sink.sink == status.name.as_str());
        let own = at.map_or_else(|| SinkNow::unknown(&status.name), |at| now.swap_remove(at));
        SinkShown::of(status, own)
    };
    Ok(operate::sinks(admin).await?.iter().map(shown).collect())
}

/// Every sink with its backlog, its oldest delivery, its dead letters, its circuit, and who paused it or gave it a rate.
#[utoipa::path(get, path = "/sinks", tag = "deliveries", responses((status = 200, body = Sinks)))]
pub(super) async fn list(State(admin): State<Admin>) -> Result<Json<Sinks>, Problem> {
    Ok(Json(Sinks { sinks: find(&admin).await? }))
}

/// Delivers nothing there until it is resumed, in every process of this store; what waits is kept.
#[utoipa::path(post, path = "/sinks/{name}/pause", tag = "deliveries", request_body = Why, params(("name" = String, Path)),
    responses((status = 200, body = SinkActed), (status = 409, body = Refusal)))]
pub(super) async fn pause(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(name): Named<String>,
    why: Option<Body<Why>>,
) -> Result<Json<SinkActed>, Problem> {
    let reason = why.and_then(|Body(why)| why.reason);
    let changed = operate::pause(&admin, &caller, name.clone(), reason).await?;
    Ok(Json(SinkActed { sink: name, changed }))
}

/// Delivers there again.
#[utoipa::path(post, path = "/sinks/{name}/resume", tag = "deliveries", params(("name" = String, Path)),
    responses((status = 200, body = SinkActed), (status = 409, body = Refusal)))]
pub(super) async fn resume(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(name): Named<String>,
) -> Result<Json<SinkActed>, Problem> {
    let changed = operate::resume(&admin, &caller, name.clone()).await?;
    Ok(Json(SinkActed { sink: name, changed }))
}

/// Delivers there at another rate than the configured one, in each process by itself, until that is taken back.
#[utoipa::path(post, path = "/sinks/{name}/rate", tag = "deliveries", request_body = AtRate,
    params(("name" = String, Path)),
    responses((status = 200, body = SinkActed), (status = 409, body = Refusal)))]
pub(super) async fn rate(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named(name): Named<String>,
    Body(at): Body<AtRate>,
) -> Result<Json<SinkActed>, Problem> {
    operate::rate(&admin, &caller, name.clone(), at.rate).await?;
    Ok(Json(SinkActed { sink: name, changed: true }))
}
