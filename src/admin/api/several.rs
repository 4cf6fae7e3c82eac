//! Several accepted events at once, named or as a listing finds them: delivered again, erased.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::events::{EventsAsked, find, queued, reference};
use super::extract::{Body, MOST_ROWS, Operator, Problem};
use crate::admin::answer::Refusal;
use crate::admin::operate;
use crate::admin::shapes::{ErasedShown, Queued};
use crate::admin::state::Admin;
use crate::store::EventRef;

/// Steps that a search which found nothing goes on by itself.
const FURTHER: usize = 10;

/// Which events to deliver again, and to which sinks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplayAsked {
    /// These, at most 500.
    #[serde(default)]
    events: Vec<EventNamed>,
    /// Instead: those that `GET /events` finds when it is asked this, 500 at a time; `next` of the answer is the `cursor`
    /// of the next call.
    #[serde(default)]
    matching: Option<EventsAsked>,
    /// None: to the sinks they had.
    #[serde(default)]
    sinks: Vec<String>,
}

/// Which events to erase.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EraseAsked {
    /// These, at most 500.
    #[serde(default)]
    events: Vec<EventNamed>,
    /// Instead: those that `GET /events` finds when it is asked this, 500 at a time; `next` of the answer is the `cursor`
    /// of the next call.
    #[serde(default)]
    matching: Option<EventsAsked>,
}

/// An event by source and id.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EventNamed {
    source: String,
    id: String,
}

/// Some events to act on, and the cursor of those that follow.
pub(in crate::admin) struct Meant {
    pub(in crate::admin) events: Vec<EventRef>,
    pub(in crate::admin) next: Option<String>,
}

/// The events that `asked` finds, as many as one call acts on; never all there are by accident.
pub(in crate::admin) async fn matching(admin: &Admin, asked: &EventsAsked) -> Result<Meant, Problem> {
    let EventsAsked { id, source, kind, state, since, until, header, request, field, .. } = asked;
    if [id, source, kind, state, since, until, header, request, field].iter().all(|criterion| criterion.is_none()) {
        let words = "matching: say what they have in common; \"since\": \"1970-01-01\" is all of them";
        return Err(Problem::asked(words));
    }
    let mut asked = EventsAsked { limit: asked.limit.or(Some(MOST_ROWS)), ..asked.clone() };
    let mut found = find(admin, &asked).await?;
    // A search may come with nothing and not be over.
    for _ in 0..FURTHER {
        if !found.events.is_empty() || found.next.is_none() {
            break;
        }
        asked.cursor = found.next;
        found = find(admin, &asked).await?;
    }
    let events = found.events.iter().map(|event| reference(&event.source, &event.id)).collect::<Result<_, _>>()?;
    Ok(Meant { events, next: found.next })
}

async fn meant(admin: &Admin, events: &[EventNamed], asked: Option<&EventsAsked>) -> Result<Meant, Problem> {
    match asked {
        Some(_) if !events.is_empty() => Err(Problem::asked("events: name them or say what matches, not both")),
        Some(asked) => matching(admin, asked).await,
        None if (1..=MOST_ROWS).contains(&(events.len() as u64)) => {
            let events = events.iter().map(|event| reference(&event.source, &event.id)).collect::<Result<_, _>>()?;
            Ok(Meant { events, next: None })
        }
        None => Err(Problem::asked(format!("events: expected 1 to {MOST_ROWS}"))),
    }
}

/// Delivers several again, from the first attempt; those that are gone count for nothing.
#[utoipa::path(post, path = "/events/replay", tag = "events", request_body = ReplayAsked, responses(
    (status = 200, body = Queued), (status = 409, description = "a sink that is not configured", body = Refusal)))]
pub(super) async fn replay(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(asked): Body<ReplayAsked>,
) -> Result<Json<Queued>, Problem> {
    let Meant { events, next } = meant(&admin, &asked.events, asked.matching.as_ref()).await?;
    let Json(queued) = queued(&admin, &caller, events, asked.sinks).await?;
    Ok(Json(Queued { next, ..queued }))
}

/// Erases several for good; those that are gone, or were erased before, count for nothing.
#[utoipa::path(post, path = "/events/erase", tag = "events", request_body = EraseAsked, responses(
    (status = 200, body = ErasedShown)))]
pub(super) async fn erase(
    State(admin): State<Admin>,
    Operator(caller): Operator,
    Body(asked): Body<EraseAsked>,
) -> Result<Json<ErasedShown>, Problem> {
    let Meant { events, next } = meant(&admin, &asked.events, asked.matching.as_ref()).await?;
    let erased = operate::erase_events(&admin, &caller, events).await?;
    Ok(Json(ErasedShown { next, ..ErasedShown::of(&erased) }))
}
