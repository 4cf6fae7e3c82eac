//! Events: found, and one with what it holds, its deliveries, replay, sending, erase, curl.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Form};
use serde::Deserialize;

use super::frame::{Frame, Wrong, filled, older, page, see};
use super::search::{KNOWN, asked, place};
use super::words::{Moment, event_place, grouped};
use crate::admin::access::Caller;
use crate::admin::api::Operator;
use crate::admin::api::events::{EventsAsked, LOCAL, allowed, find, reference, resent};
use crate::admin::operate;
use crate::admin::shapes::{DeliveryShown, EventShown, Opened, kept};
use crate::admin::state::Admin;

const ROWS: u64 = 50;

#[derive(Template)]
#[template(path = "events.html")]
struct List {
    frame: Frame,
    asked: EventsAsked,
    sources: Vec<String>,
    rows: Vec<Row>,
    /// The address of the next page.
    next: Option<String>,
    /// How far a search looked that no index helps.
    looked: Option<(String, Option<Moment>)>,
    /// Where to act on all that match, where somebody may.
    several: Option<String>,
}

struct Row {
    event: EventShown,
    at: Moment,
    place: String,
}

#[derive(Template)]
#[template(path = "event.html")]
struct One {
    frame: Frame,
    event: EventShown,
    at: Moment,
    deliveries: Vec<(DeliveryShown, Option<Moment>)>,
    sinks: Vec<String>,
    /// Who erased it, and when.
    erased: Option<(String, Moment)>,
    opened: Option<Opened>,
    /// The command that posts it, where it was asked for.
    curl: Option<String>,
    /// Where that posts to, unless somebody says otherwise.
    local: &'static str,
}

/// Which event, and to which sink or address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chosen {
    source: String,
    id: String,
    #[serde(default)]
    sink: String,
    #[serde(default)]
    url: String,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&query, &KNOWN)?;
    let asked = EventsAsked { limit: Some(ROWS), ..asked(&field) };
    allowed(&asked, &caller)?;
    let (found, now) = (find(&admin, &asked).await?, admin.clock.now());
    let next = found.next.map(|cursor| older("/events", &KNOWN, &field, &cursor));
    let row = |event: EventShown| {
        let (at, place) = (Moment::of(&event.received_at, now), event_place(&event.source, &event.id));
        Row { event, at, place }
    };
    Ok(page(&List {
        frame: Frame::new("Events", &caller, &query),
        sources: admin.view.load().sources.iter().map(|source| source.name.to_string()).collect(),
        looked: found.looked.map(|looked| {
            let back_to = looked.back_to.map(|at| Moment::of(&at, now));
            (grouped(f64::from(u32::try_from(looked.events).unwrap_or(u32::MAX))), back_to)
        }),
        rows: found.events.into_iter().map(row).collect(),
        several: caller.may_act().then(|| place(&field)).flatten(),
        asked,
        next,
    }))
}

pub(super) async fn show(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&query, &["source", "id"])?;
    let event = reference(&field("source").unwrap_or_default(), &field("id").unwrap_or_default())?;
    let found = operate::event_of(&admin, &event).await?;
    Ok(one(&admin, Frame::new("Event", &caller, &query), EventShown::of(&found), None, None))
}

fn one(admin: &Admin, frame: Frame, mut event: EventShown, opened: Option<Opened>, curl: Option<String>) -> Response {
    let now = admin.clock.now();
    let due = |delivery: DeliveryShown| {
        let at = delivery.next_attempt_at.as_ref().map(|at| Moment::of(at, now));
        (delivery, at)
    };
    page(&One {
        frame,
        at: Moment::of(&event.received_at, now),
        deliveries: std::mem::take(&mut event.deliveries).into_iter().map(due).collect(),
        sinks: admin.view.load().sinks.iter().map(|sink| sink.name.to_string()).collect(),
        erased: event.erased.take().map(|erasure| (erasure.by, Moment::of(&erasure.at, now))),
        event,
        opened,
        curl,
        local: LOCAL,
    })
}

pub(super) async fn open(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let found = operate::open_event(&admin, &caller, reference(&chosen.source, &chosen.id)?).await?;
    let opened = Opened::of(kept(&found.event.headers), found.event.payload.bytes());
    Ok(one(&admin, Frame::new("Event", &caller, &BTreeMap::new()), EventShown::of(&found), Some(opened), None))
}

pub(super) async fn curl(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let event = reference(&chosen.source, &chosen.id)?;
    let url = if chosen.url.is_empty() { LOCAL } else { chosen.url.trim() };
    let command = operate::curl(&admin, &caller, event.clone(), url).await?;
    let found = operate::event_of(&admin, &event).await?;
    let opened = Opened::of(kept(&found.event.headers), found.event.payload.bytes());
    let frame = Frame::new("Event", &caller, &BTreeMap::new());
    Ok(one(&admin, frame, EventShown::of(&found), Some(opened), Some(command)))
}

pub(super) async fn erase(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let erased = operate::erase(&admin, &caller, reference(&chosen.source, &chosen.id)?).await?;
    let done = match (erased.events, erased.overwritten) {
        (0, _) => "none",
        (_, true) => "erased",
        (_, false) => "erased-but",
    };
    Ok(see(&format!("{}&done={done}", event_place(&chosen.source, &chosen.id))))
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let event = reference(&chosen.source, &chosen.id)?;
    operate::event_of(&admin, &event).await?;
    let sinks: Vec<String> = Some(&chosen.sink).filter(|sink| !sink.is_empty()).cloned().into_iter().collect();
    let replayed = operate::replay_events(&admin, &caller, vec![event], sinks).await?;
    let done = if replayed.deliveries == 0 { "none" } else { "replayed" };
    Ok(see(&format!("{}&done={done}", event_place(&chosen.source, &chosen.id))))
}

pub(super) async fn send(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let event = reference(&chosen.source, &chosen.id)?;
    drop(resent(&admin, &caller, event, chosen.url.trim()).await?);
    Ok(see(&format!("{}&done=sent", event_place(&chosen.source, &chosen.id))))
}
