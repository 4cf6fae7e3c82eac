//! The page: what the API tells, as HTML that needs no JavaScript. Every action is a form.

mod assets;
mod chart;
mod configuration;
mod deliveries;
mod events;
mod frame;
mod matching;
mod now;
mod refused;
mod search;
mod words;

use axum::Router;
use axum::routing::{get, post};

use super::access::{sign_in, sign_out};
use super::state::Admin;

/// Every page, form and asset.
pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/", get(now::show))
        .route("/events", get(events::list))
        .route("/event", get(events::show))
        .route("/event/open", post(events::open))
        .route("/event/replay", post(events::replay))
        .route("/event/curl", post(events::curl))
        .route("/event/erase", post(events::erase))
        .route("/event/send", post(events::send))
        .route("/events/matching", get(matching::show))
        .route("/events/replay", post(matching::replay))
        .route("/events/erase", post(matching::erase))
        .route("/refused", get(refused::list))
        .route("/refused/discard", post(refused::discard_matching))
        .route("/refused/{id}", get(refused::show))
        .route("/refused/{id}/open", post(refused::open))
        .route("/refused/{id}/release", post(refused::release))
        .route("/refused/{id}/discard", post(refused::discard))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/replay", post(deliveries::replay))
        .route("/deliveries/discard", post(deliveries::discard))
        .route("/deliveries/pause", post(deliveries::pause))
        .route("/deliveries/resume", post(deliveries::resume))
        .route("/deliveries/rate", post(deliveries::rate))
        .route("/configuration", get(configuration::show))
        .route("/store/backup", post(now::backup))
        .route("/sign-in", get(frame::signed_in).post(sign_in))
        .route("/sign-out", post(sign_out))
        .merge(assets::routes())
}
