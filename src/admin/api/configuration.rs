//! The configuration in use.

use axum::Json;
use axum::extract::State;

use crate::admin::configuration::Configuration;
use crate::admin::state::Admin;

/// The effective configuration with origins, never a secret, and what became of the last reloads.
#[utoipa::path(get, path = "/config", tag = "configuration", responses((status = 200, body = Configuration)))]
pub(super) async fn show(State(admin): State<Admin>) -> Json<Configuration> {
    Json(Configuration::of(&admin))
}
