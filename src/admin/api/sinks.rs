//! Where events go.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::now::{Now, SinkNow};
use crate::admin::state::Admin;

/// Every sink.
#[derive(Serialize, ToSchema)]
pub(super) struct Sinks {
    sinks: Vec<SinkNow>,
}

/// Every sink with its backlog, its oldest delivery, its dead letters and its circuit.
#[utoipa::path(get, path = "/sinks", tag = "deliveries", responses((status = 200, body = Sinks)))]
pub(super) async fn list(State(admin): State<Admin>) -> Json<Sinks> {
    Json(Sinks { sinks: Now::of(&admin).sinks })
}
