//! Accepted events: found, shown, opened, delivered again.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, Body, Named, Operator, Problem, cursor, limit, shown, time};
use crate::admin::access::Caller;
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::shapes::{ErasedShown, EventShown, EventsFound, Looked, Opened, Queued, kept};
use crate::admin::state::Admin;
use crate::event::{EventId, KeptHeaders, Name};
use crate::operations::{BodyField, Sought};
use crate::settings::grammar;
use crate::store::{Archived, EventFilter, EventRef, State as DeliveryState};

/// Where a command posts to, unless somebody says otherwise.
pub(in crate::admin) const LOCAL: &str = "http://localhost:8080/";

/// Which events.
#[derive(Deserialize, IntoParams, ToSchema, Default, Clone)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::admin) struct EventsAsked {
    /// Only of this id.
    pub(in crate::admin) id: Option<String>,
    /// Only of this source.
    pub(in crate::admin) source: Option<String>,
    /// Only of this event type.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    pub(in crate::admin) kind: Option<String>,
    /// Only in this state: pending, delivered, dead, or stored where it has no sink.
    pub(in crate::admin) state: Option<String>,
    /// Received at or after: RFC 3339, a date, or how long ago (2h).
    pub(in crate::admin) since: Option<String>,
    /// Received before.
    pub(in crate::admin) until: Option<String>,
    /// Only with this kept header, whole: NAME=VALUE.
    pub(in crate::admin) header: Option<String>,
    /// Only what this request brought: its `request_id`, as in the access record and in `X-Request-Id` of the answer.
    pub(in crate::admin) request: Option<String>,
    /// Only with this value in the JSON body, for operators alone: `/sessionId=abc`. Looks at 10,000 events a call.
    #[param(pattern = "^/[^=]*=.*$")]
    pub(in crate::admin) field: Option<String>,
    /// `next` of the page before.
    #[param(pattern = "^-?[0-9]{1,18}_-?[0-9]{1,18}$")]
    pub(in crate::admin) cursor: Option<String>,
    /// At most so many, 1 to 500; 100 where nobody says.
    #[param(minimum = 1, maximum = 500)]
    pub(in crate::admin) limit: Option<u64>,
}

/// To where; nowhere: to the sinks that the event had.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct To {
    sinks: Vec<String>,
    /// Instead: once, now, to this address, as an http sink delivers in binary mode with no secret. The store does not
    /// know of it.
    to: Option<String>,
}

/// For whom.
#[derive(Deserialize, IntoParams, Default)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct CurlAsked {
    /// The address that the command posts to; `http://localhost:8080/` where nobody says.
    url: Option<String>,
}

/// The event that `source` and `id` name.
pub(in crate::admin) fn reference(source: &str, id: &str) -> Result<EventRef, Problem> {
    let id = EventId::new(id).ok_or_else(|| Problem::asked("id: 1 to 256 bytes without control characters"))?;
    Ok(EventRef { source: Some(source.into()), id })
}

/// The events that are asked for.
pub(in crate::admin) async fn find(admin: &Admin, asked: &EventsAsked) -> Result<EventsFound, Problem> {
    let (filter, from) = (filter(admin, asked)?, cursor(asked.cursor.as_deref())?);
    let sought = sought(asked)?;
    if let Some(id) = asked.id.as_deref() {
        if !sought.is_nothing() {
            return Err(Problem::asked("id: it names the event; leave out request and field"));
        }
        let EventRef { id, .. } = reference("", id)?;
        let found = admin.store.archive.get(&EventRef { source: filter.source.clone(), id }).await?;
        let events = found.iter().filter(|event| matches(event, &filter)).map(EventShown::of).collect();
        return Ok(EventsFound { events, next: None, looked: None });
    }
    if !sought.is_nothing() {
        let found = operate::find_events(admin, &filter, &sought, from).await?;
        let looked = Looked { events: found.looked_at, back_to: found.back_to.map(|at| at.to_string()) };
        let events = found.events.iter().map(EventShown::of).collect();
        return Ok(EventsFound { events, next: found.next.map(shown), looked: Some(looked) });
    }
    let page = admin.store.archive.page(&filter, from).await?;
    Ok(EventsFound { events: page.rows.iter().map(EventShown::of).collect(), next: page.next.map(shown), looked: None })
}

fn sought(asked: &EventsAsked) -> Result<Sought, Problem> {
    let field = asked.field.as_deref().map(BodyField::parse).transpose();
    let field = field.map_err(|words| Problem::asked(format!("field: {words}")))?;
    Ok(Sought { request: asked.request.clone(), field })
}

/// Refuses a search in bodies to whoever may not open them.
pub(in crate::admin) fn allowed(asked: &EventsAsked, caller: &Caller) -> Result<(), Problem> {
    let hidden = asked.field.is_some() && !caller.may_act();
    let words = "field: a search in bodies takes the role \"operator\": yours is \"viewer\"";
    if hidden { Err(Problem(StatusCode::FORBIDDEN, words.to_owned())) } else { Ok(()) }
}

fn filter(admin: &Admin, asked: &EventsAsked) -> Result<EventFilter, Problem> {
    let now = admin.clock.now();
    let state = asked
        .state
        .as_deref()
        .map(|word| DeliveryState::parse(word).map_err(|expected| Problem::asked(format!("state: {expected}"))));
    Ok(EventFilter {
        source: asked.source.as_deref().map(Name::from),
        kind: asked.kind.clone(),
        header: asked.header.as_deref().map(header).transpose()?,
        since: time("since", asked.since.as_deref(), now)?,
        until: time("until", asked.until.as_deref(), now)?,
        state: state.transpose()?,
        limit: Some(limit(asked.limit)?),
        ..EventFilter::default()
    })
}

fn header(text: &str) -> Result<KeptHeaders, Problem> {
    let wrong = || Problem::asked("header: expected the name of a header, =, and its value without control characters");
    let (name, value) =
        text.split_once('=').filter(|(_, value)| !value.contains(char::is_control)).ok_or_else(wrong)?;
    let name = grammar::header_name(name).map_err(|_| wrong())?;
    Ok([(name.as_str(), value.as_bytes())].into_iter().collect())
}

fn matches(archived: &Archived, filter: &EventFilter) -> bool {
    let event = &archived.event;
    filter.kind.as_ref().is_none_or(|kind| *kind == event.kind)
        && filter.header.as_ref().is_none_or(|header| event.headers.hold(header))
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && filter.state.is_none_or(|state| state == archived.state)
}

/// Events, newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(EventsAsked),
    responses((status = 200, body = EventsFound), (status = 403, body = Refusal)))]
pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Asked(asked): Asked<EventsAsked>,
) -> Result<Json<EventsFound>, Problem> {
    allowed(&asked, &caller)?;
    find(&admin, &asked).await.map(Json)
}

/// One event, without body and header values.
///
/// An id of one or two dots, which no URL can hold, is found by `GET /events?id=`.
#[utoipa::path(get, path = "/events/{source}/{id}", tag = "events",
    params(("source" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = EventShown), (status = 404, body = Refusal)))]
pub(super) async fn show(
    State(admin): State<Admin>,
    Named((source, id)): Named<(String, String)>,
) -> Result<Json<EventShown>, Problem> {
    let found = operate::event_of(&admin, &reference(&source, &id)?).await?;
    Ok(Json(EventShown::of(&found)))
}

/// Its body and kept headers; an audit record says who opened them.
#[utoipa::path(post, path = "/events/{source}/{id}/open", tag = "events",
    params(("source" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Opened), (status = 404, body = Refusal),
        (status = 409, description = "it was erased", body = Refusal)))]
pub(super) async fn open(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named((source, id)): Named<(String, String)>,
) -> Result<Json<Opened>, Problem> {
    let found = operate::open_event(&admin, &caller, reference(&source, &id)?).await?;
    Ok(Json(Opened::of(kept(&found.event.headers), found.event.payload.bytes())))
}

/// Its body as received, byte for byte; an audit record says who opened it.
#[utoipa::path(post, path = "/events/{source}/{id}/body", tag = "events",
    params(("source" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Refusal),
        (status = 409, description = "it was erased", body = Refusal)))]
pub(super) async fn body(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named((source, id)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let found = operate::open_event(&admin, &caller, reference(&source, &id)?).await?;
    Ok(as_received(found.event.payload.bytes().clone()))
}

/// Bytes that no browser makes anything of.
pub(super) fn as_received(bytes: Bytes) -> Response {
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment; filename=\"body\"")];
    (headers, bytes).into_response()
}

/// The curl command that posts it as it was received; an audit record says who opened it.
#[utoipa::path(get, path = "/events/{source}/{id}/curl", tag = "events",
    params(("source" = String, Path), ("id" = String, Path), CurlAsked),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 403, body = Refusal),
        (status = 404, body = Refusal), (status = 409, body = Refusal)))]
pub(super) async fn curl(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named((source, id)): Named<(String, String)>,
    Asked(asked): Asked<CurlAsked>,
) -> Result<String, Problem> {
    let url = asked.url.as_deref().unwrap_or(LOCAL);
    Ok(operate::curl(&admin, &caller, reference(&source, &id)?, url).await? + "\n")
}

/// Erases body, kept headers and all that says whom it came from, for good; its id counts as before.
#[utoipa::path(post, path = "/events/{source}/{id}/erase", tag = "events",
    params(("source" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = ErasedShown), (status = 404, body = Refusal)))]
pub(super) async fn erase(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named((source, id)): Named<(String, String)>,
) -> Result<Json<ErasedShown>, Problem> {
    let erased = operate::erase(&admin, &caller, reference(&source, &id)?).await?;
    Ok(Json(ErasedShown::of(&erased)))
}

/// Delivers it again: to sinks from the first attempt, or to an address once.
#[utoipa::path(post, path = "/events/{source}/{id}/replay", tag = "events", request_body = To,
    params(("source" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = Queued), (status = 404, body = Refusal),
        (status = 409, description = "it was erased, or a sink is not configured", body = Refusal),
        (status = 502, description = "the address did not take it", body = Refusal)))]
pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Named((source, id)): Named<(String, String)>,
    to: Option<Body<To>>,
) -> Result<Json<Queued>, Problem> {
    let (event, to) = (reference(&source, &id)?, to.map_or_else(To::default, |Body(to)| to));
    operate::event_of(&admin, &event).await?;
    if let Some(url) = &to.to {
        if !to.sinks.is_empty() {
            return Err(Problem::asked("to: name sinks or an address, not both"));
        }
        return resent(&admin, &caller, event, url).await;
    }
    queued(&admin, &caller, vec![event], to.sinks).await
}

/// Sends `event` to `url` once; a refusal where that was not taken.
pub(in crate::admin) async fn resent(
    admin: &Admin,
    caller: &Caller,
    event: EventRef,
    url: &str,
) -> Result<Json<Queued>, Problem> {
    let (resent, warnings) = operate::resend(admin, caller, event, url).await?;
    let failed = |words| Problem(StatusCode::BAD_GATEWAY, format!("the address did not take it: {words}"));
    resent.outcome.map_err(failed)?;
    Ok(Json(Queued { warnings, ..Queued::of(1, &[]) }))
}

pub(super) async fn queued(
    admin: &Admin,
    caller: &Caller,
    events: Vec<EventRef>,
    to: Vec<String>,
) -> Result<Json<Queued>, Problem> {
    let replayed = operate::replay_events(admin, caller, events, to).await?;
    Ok(Json(Queued::of(replayed.deliveries, &replayed.left)))
}
