//! The admin listener: probes and metrics, the page that operators look at, and its API.

mod access;
mod answer;
mod api;
mod configuration;
mod history;
mod live;
mod now;
mod operate;
mod page;
mod record;
mod reloads;
pub(crate) mod settings;
mod shapes;
mod state;
mod tail;
mod ticker;
mod view;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::net::TcpListener;

use crate::lifecycle::Lifecycle;
use crate::server::{AdminTls, Limits, PlainServer};

pub(crate) use api::reference::page as api_reference;
pub(crate) use reloads::{Reload, Reloads};
pub(crate) use state::Admin;
pub(crate) use view::View;

/// Most connections at once. Far more than the probes, scrapers and operators of one daemon need; one more costs the
/// longest idle its own, so that a probe always gets in.
pub const CONNECTIONS_MAX: usize = 64;
/// From the first byte of a head to its last.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time with nothing in flight, and for a client to take an answer.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time for a form to arrive and an answer to be made: a slow store, or somebody who sends a byte a minute.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest form or JSON body.
const BODY_MAX: usize = 64 * 1024;

/// Serves on `listener` until `lifecycle` stops accepting, which comes last of all; then it closes at once, whatever its
/// clients are doing.
pub(crate) async fn serve(listener: TcpListener, admin: Admin, tls: AdminTls, lifecycle: Lifecycle) {
    let limits = Limits {
        max_connections: CONNECTIONS_MAX,
        max_connections_per_client: CONNECTIONS_MAX,
        handshake_timeout: HEADER_TIMEOUT,
        header_timeout: HEADER_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
    };
    let (history, metrics) = (Arc::clone(&admin.history), Arc::clone(&admin.metrics));
    lifecycle.spawn(history::keep(history, metrics, lifecycle.clone()));
    lifecycle.spawn(live::tick(admin.clone(), lifecycle.clone()));
    let limits = Arc::new(ArcSwap::from_pointee(limits));
    let server = PlainServer { limits, tls, lifecycle: lifecycle.clone() };
    server.serve(listener, routes(admin, lifecycle)).await;
}

fn routes(admin: Admin, lifecycle: Lifecycle) -> Router {
    let following = tail::Tail { feed: admin.feed.clone(), lifecycle };
    Router::new()
        .route("/livez", get(|| std::future::ready(probe(true, "alive\n"))))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(page::routes())
        .merge(api::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(Extension(following))
        .layer(middleware::from_fn_with_state(admin.clone(), access::guard))
        .layer(middleware::from_fn(in_time))
        .with_state(admin)
}

async fn in_time(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let late = |_| answer::refusal(&path, StatusCode::SERVICE_UNAVAILABLE, "this took too long: try again");
    tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
}

async fn not_found(request: Request) -> Response {
    answer::refusal(request.uri().path(), StatusCode::NOT_FOUND, "not found")
}

async fn not_allowed(request: Request) -> Response {
    answer::refusal(request.uri().path(), StatusCode::METHOD_NOT_ALLOWED, "this takes another method")
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
    admin.metrics.ready.set(i64::from(admin.lifecycle.is_ready()));
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], admin.metrics.render())
        .into_response()
}
