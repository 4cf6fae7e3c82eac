//! A: what any HTTPS service pays for a request. A bare axum handler behind tokio-rustls that reads the body and answers.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const ANSWER: &str = r#"{"status":"accepted","id":"0","duplicate":false}"#;

/// Answers every request alike.
pub(crate) fn app() -> Router {
    Router::new().fallback(echo)
}

async fn echo(body: Bytes) -> impl IntoResponse {
    std::hint::black_box(&body);
    ([(CONTENT_TYPE, "application/json")], ANSWER)
}
