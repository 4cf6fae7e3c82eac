//! Refusals of the admin listener: JSON of one shape for the API, a line of text for everybody else.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// Why the API did not do what was asked.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Refusal {
    /// The status in words.
    error: &'static str,
    /// The status.
    code: u16,
    /// What to do about it.
    message: String,
}

/// `status` for what was asked of `path`, explained by `words`.
pub(super) fn refusal(path: &str, status: StatusCode, words: &str) -> Response {
    if path.starts_with("/api/") { json(status, words) } else { (status, format!("{words}\n")).into_response() }
}

/// `status` as JSON.
pub(super) fn json(status: StatusCode, words: &str) -> Response {
    let error = status.canonical_reason().unwrap_or("Error");
    (status, Json(Refusal { error, code: status.as_u16(), message: words.to_owned() })).into_response()
}
