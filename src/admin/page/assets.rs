//! What pages are made of beside their HTML, compiled in: the stylesheet, the script, htmx, the icon. Compressed for who
//! takes that.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use tower_http::compression::CompressionLayer;

use crate::admin::state::Admin;

const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/assets/style.css", get(style))
        .route("/assets/live.js", get(script))
        .route("/assets/htmx-2.0.10.min.js", get(htmx))
        .route("/assets/icon.svg", get(icon))
        .layer(CompressionLayer::new())
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("assets/style.css"))
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, SCRIPT)], include_str!("assets/live.js"))
}

/// Of one version under one name: it may be kept.
async fn htmx() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, SCRIPT), (CACHE_CONTROL, "private, max-age=86400, immutable")];
    (headers, include_str!("assets/htmx-2.0.10.min.js"))
}

async fn icon() -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/svg+xml")], include_str!("assets/icon.svg"))
}
