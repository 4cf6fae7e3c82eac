//! Tells pages that are being looked at when to look again: server-sent events from one sample every other second.
//!
//! Nobody who receives waits for this: what is told is sampled, a follower that is slow gets the newest sample alone, and
//! there are only so many followers.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::answer;
use super::state::Admin;
use super::ticker::Tick;
use crate::lifecycle::{Lifecycle, Phase};
use crate::store::{EventFilter, QuarantineFilter};

const EVERY: Duration = Duration::from_secs(2);
/// How long one stream lasts: shorter than a connection may take over an answer. Browsers come again by themselves.
const STREAM: Duration = Duration::from_secs(25);
/// After how long, in milliseconds.
const RETRY: Duration = Duration::from_millis(500);

/// Samples for as long as somebody follows, until `lifecycle` stops.
pub(super) async fn tick(admin: Admin, lifecycle: Lifecycle) {
    let mut every = interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = lifecycle.stop_accepting().cancelled() => return,
            _ = every.tick() => {}
        }
        if admin.ticker.tick.receiver_count() > 0 {
            let next = sample(&admin).await;
            admin.ticker.tick.send_replace(next);
        }
    }
}

/// What there is to see; what the store does not say now stays as it was.
async fn sample(admin: &Admin) -> Tick {
    let before = admin.ticker.tick.borrow().clone();
    let newest = admin.store.archive.page(&EventFilter { limit: Some(1), ..EventFilter::default() }, None).await;
    let events = newest.map_or(before.events, |page| {
        hash(
            &page
                .rows
                .first()
                .map(|row| (row.event.source.clone(), row.event.id.to_string(), format!("{:?}", row.state))),
        )
    });
    let newest = &QuarantineFilter { limit: Some(1), ..QuarantineFilter::default() };
    let refused = admin.store.quarantine.page(newest, None).await.map_or(before.refused, |page| {
        hash(&(page.rows.first().map(|row| row.id), admin.metrics.quarantine_entries.get()))
    });
    Tick { now: before.now.wrapping_add(1), events, refused }
}

/// Fits a number of JavaScript's.
fn hash(what: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish() >> 12
}

/// A stream of `tick` events, each a JSON object of numbers that change when there is something new to see. It ends
/// after 25 s and with the drain.
#[utoipa::path(get, path = "/live", tag = "now", responses(
    (status = 200, description = "server-sent events named `tick`", body = Tick, content_type = "text/event-stream"),
    (status = 503, description = "too many followers, or draining", body = answer::Refusal)))]
pub(super) async fn follow(State(admin): State<Admin>) -> Response {
    let Ok(permit) = Arc::clone(&admin.ticker.followers).try_acquire_owned() else {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, "too many pages follow already: look again by yourself");
    };
    if admin.lifecycle.phase() == Phase::Draining {
        return answer::json(StatusCode::SERVICE_UNAVAILABLE, "the daemon is draining");
    }
    let (ticks, until) = (admin.ticker.tick.subscribe(), Instant::now() + STREAM);
    let events = futures_util::stream::unfold((ticks, permit, admin.lifecycle, true), move |state| async move {
        let (mut ticks, permit, lifecycle, first) = state;
        let next = async {
            if !first {
                ticks.changed().await.ok()?;
            }
            let tick = ticks.borrow_and_update().clone();
            Event::default().event("tick").retry(RETRY).json_data(tick).ok()
        };
        let event = tokio::select! {
            () = lifecycle.draining() => None,
            next = timeout_at(until, next) => next.ok().flatten(),
        };
        event.map(|event| (Ok::<_, Infallible>(event), (ticks, permit, lifecycle, false)))
    });
    Sse::new(events).into_response()
}
