//! The admin listener: probes and metrics over plain HTTP, for the container's own network.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::secret::Secret;

/// What the admin listener tells of.
#[derive(Clone)]
pub struct Admin {
    /// For the probes.
    pub lifecycle: Lifecycle,
    /// For `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Asked for by everything but probes and metrics, when set; exchanged on reload.
    pub token: Arc<ArcSwapOption<Secret>>,
}

/// Serves probes and metrics on `listener` until `stop`, which comes after the webhook side has drained.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> std::io::Result<()> {
    let routes = Router::new()
        .route("/livez", get(|| async { (StatusCode::OK, "alive\n") }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(elsewhere)
        .with_state(admin);
    axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let (status, words) = if admin.lifecycle.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    };
    (status, [(CACHE_CONTROL, "no-store")], words).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], admin.metrics.render())
        .into_response()
}

/// Nothing lives elsewhere yet, and only who holds the token is told so.
async fn elsewhere(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    if admin.token.load().as_ref().is_some_and(|token| !bears(&headers, token)) {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "a token is needed\n").into_response();
    }
    (StatusCode::NOT_FOUND, "not found\n").into_response()
}

fn bears(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    given.is_some_and(|given| bool::from(subtle::ConstantTimeEq::ct_eq(given, token.expose())))
}
