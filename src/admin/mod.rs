//! The admin listener: probes and metrics over plain HTTP, for the container's own network.

pub(crate) mod settings;
mod tail;
mod token;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use tokio::net::TcpListener;

use crate::feed::Feed;
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::server::{Limits, PlainServer};

/// Most connections at once. Far more than the probes, scrapers and operators of one daemon need; one more costs the
/// longest idle its own, so that a probe always gets in.
pub const CONNECTIONS_MAX: usize = 64;
/// From the first byte of a head to its last.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time with nothing in flight, and for a client to take an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What the admin listener shows.
#[derive(Clone)]
pub struct Admin {
    /// What the probes tell.
    pub lifecycle: Lifecycle,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// What `/api/v1/tail` tells.
    pub feed: Feed,
    /// Required by everything but the probes, when set; exchanged on reload.
    pub token: Arc<ArcSwapOption<Secret>>,
}

/// Serves probes and metrics on `listener` until `lifecycle` stops accepting, which comes last of all; then it closes at
/// once, whatever its clients are doing.
pub async fn serve(listener: TcpListener, admin: Admin, lifecycle: Lifecycle) {
    let limits = Limits {
        max_connections: CONNECTIONS_MAX,
        max_connections_per_client: CONNECTIONS_MAX,
        handshake_timeout: HEADER_TIMEOUT,
        header_timeout: HEADER_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
    };
    let server = PlainServer { limits: Arc::new(ArcSwap::from_pointee(limits)), lifecycle: lifecycle.clone() };
    server.serve(listener, routes(admin, lifecycle)).await;
}

fn routes(admin: Admin, lifecycle: Lifecycle) -> Router {
    let following = tail::Tail { feed: admin.feed.clone(), lifecycle };
    Router::new()
        .route("/livez", get(|| std::future::ready(probe(true, "alive\n"))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/tail", get(tail::tail).with_state(following))
        .fallback(|| std::future::ready((StatusCode::NOT_FOUND, "not found\n")))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin.token), token::require))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let ready = admin.lifecycle.is_ready();
    probe(ready, if ready { "ready\n" } else { "not ready\n" })
}

fn probe(healthy: bool, text: &'static str) -> Response {
    let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], text).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], admin.metrics.render())
        .into_response()
}
