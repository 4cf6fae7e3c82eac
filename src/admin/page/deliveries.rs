//! Deliveries: what waits and what is dead, by sink and error; replay, discard, pause, resume, rate.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Form};
use serde::Deserialize;

use super::frame::{Frame, Wrong, filled, older, page, see};
use super::words::{Moment, encoded, event_place};
use crate::admin::access::Caller;
use crate::admin::api::Operator;
use crate::admin::api::dead::{DeadAsked, chosen, find};
use crate::admin::api::sinks::{self, SinkShown};
use crate::admin::operate;
use crate::admin::shapes::DeadShown;
use crate::admin::state::Admin;
use crate::operations::DeadChoice;

const KNOWN: [&str; 3] = ["sink", "error", "cursor"];
/// So many of the newest dead letters are grouped.
const ROWS: u64 = 500;
/// Rows shown one by one.
const SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "deliveries.html")]
struct List {
    frame: Frame,
    asked: DeadAsked,
    sinks: Vec<SinkRow>,
    groups: Vec<Group>,
    rows: Vec<Row>,
    /// Whether there are more dead letters than were looked at.
    more: Option<String>,
}

/// A sink, and since when it is paused.
struct SinkRow {
    sink: SinkShown,
    since: Option<Moment>,
}

/// Dead letters that failed alike.
struct Group {
    sink: String,
    error: String,
    count: usize,
    newest: Option<Moment>,
    place: String,
}

struct Row {
    letter: DeadShown,
    died: Option<Moment>,
    event: String,
}

/// Which sink, and perhaps why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SinkChosen {
    sink: String,
    #[serde(default)]
    reason: String,
}

/// Which sink, and how fast; nothing: as configured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateChosen {
    sink: String,
    #[serde(default)]
    rate: String,
}

/// Which dead letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chosen {
    #[serde(default)]
    id: Option<i64>,
    #[serde(default)]
    sink: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    to: String,
}

pub(super) async fn list(
    State(admin): State<Admin>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, Wrong> {
    let field = filled(&query, &KNOWN)?;
    let asked = DeadAsked {
        sink: field("sink"),
        error: field("error"),
        cursor: field("cursor"),
        limit: Some(ROWS),
        ..DeadAsked::default()
    };
    let (found, now) = (find(&admin, &asked).await?, admin.clock.now());
    let mut groups: Vec<Group> = Vec::new();
    for letter in &found.dead {
        match groups.iter_mut().find(|group| group.sink == letter.sink && group.error == letter.error) {
            Some(group) => group.count += 1,
            None => groups.push(Group {
                sink: letter.sink.clone(),
                error: letter.error.clone(),
                count: 1,
                newest: letter.died_at.as_ref().map(|at| Moment::of(at, now)),
                place: format!("/deliveries?sink={}&error={}", encoded(&letter.sink), encoded(&letter.error)),
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    let row = |letter: DeadShown| Row {
        died: letter.died_at.as_ref().map(|at| Moment::of(at, now)),
        event: event_place(&letter.source, &letter.event_id),
        letter,
    };
    let with_time =
        |sink: SinkShown| SinkRow { since: sink.pause.as_ref().map(|pause| Moment::of(&pause.since, now)), sink };
    Ok(page(&List {
        frame: Frame::new("Deliveries", &caller, &query),
        sinks: sinks::find(&admin).await?.into_iter().map(with_time).collect(),
        groups,
        more: found.next.map(|cursor| older("/deliveries", &KNOWN, &field, &cursor)),
        rows: found.dead.into_iter().take(SHOWN).map(row).collect(),
        asked,
    }))
}

impl Chosen {
    async fn which(&self, admin: &Admin) -> Result<DeadChoice, Wrong> {
        let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        let ids: Vec<i64> = self.id.into_iter().collect();
        let asked = DeadAsked { sink: some(&self.sink), error: some(&self.error), ..DeadAsked::default() };
        Ok(chosen(admin, &ids, &asked).await?)
    }

    /// Where they were chosen.
    fn back(&self, count: u64, done: &str) -> Response {
        let done = if count == 0 { "none" } else { done };
        see(&format!("/deliveries?sink={}&done={done}", encoded(&self.sink)))
    }
}

pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let to = (!chosen.to.is_empty()).then(|| chosen.to.clone());
    let replayed = operate::replay_dead(&admin, &caller, chosen.which(&admin).await?, to).await?;
    Ok(chosen.back(replayed.count, "replayed"))
}

pub(super) async fn discard(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<Chosen>,
) -> Result<Response, Wrong> {
    let count = operate::discard_dead(&admin, &caller, chosen.which(&admin).await?).await?;
    Ok(chosen.back(count, "discarded"))
}

pub(super) async fn pause(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<SinkChosen>,
) -> Result<Response, Wrong> {
    let reason = Some(chosen.reason.trim()).filter(|reason| !reason.is_empty()).map(str::to_owned);
    let changed = operate::pause(&admin, &caller, chosen.sink, reason).await?;
    Ok(see(if changed { "/deliveries?done=paused" } else { "/deliveries?done=none" }))
}

pub(super) async fn resume(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<SinkChosen>,
) -> Result<Response, Wrong> {
    let changed = operate::resume(&admin, &caller, chosen.sink).await?;
    Ok(see(if changed { "/deliveries?done=resumed" } else { "/deliveries?done=none" }))
}

pub(super) async fn rate(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Form(chosen): Form<RateChosen>,
) -> Result<Response, Wrong> {
    let rate = Some(chosen.rate.trim()).filter(|rate| !rate.is_empty()).map(str::to_owned);
    let done = if rate.is_some() { "rated" } else { "rate-configured" };
    operate::rate(&admin, &caller, chosen.sink, rate).await?;
    Ok(see(&format!("/deliveries?done={done}")))
}
