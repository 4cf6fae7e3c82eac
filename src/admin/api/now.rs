//! How the daemon does now.

use axum::Json;
use axum::extract::State;

use crate::admin::now::Now;
use crate::admin::state::Admin;

/// How the daemon does: what is wrong, rates of the last five minutes, sinks, store, certificate, clock.
#[utoipa::path(get, path = "/now", tag = "now", responses((status = 200, body = Now)))]
pub(super) async fn now(State(admin): State<Admin>) -> Json<Now> {
    Json(Now::of(&admin))
}
