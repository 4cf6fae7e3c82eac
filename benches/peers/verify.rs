//! verify: A, with what a receiver cannot do without: the signature in constant time, and id and type out of the JSON.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::value::RawValue;
use sha2::Sha256;

use crate::request::{HEADER, SECRET};
use crate::result::BenchResult;

/// Holds the key.
pub(crate) struct Verifier(Hmac<Sha256>);

/// The top level of an event; its data is only looked at for where it ends.
#[derive(serde::Deserialize)]
pub(crate) struct Event<'a> {
    /// By which an event counts once.
    #[serde(rename = "eventId", borrow)]
    pub id: Cow<'a, str>,
    #[serde(rename = "eventType", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Verifier {
    /// With the bench's secret.
    pub(crate) fn new() -> BenchResult<Self> {
        Ok(Self(Hmac::new_from_slice(SECRET.as_bytes())?))
    }

    /// The event, if it is one and its sender knows the secret.
    pub(crate) fn event<'a>(&self, headers: &HeaderMap, body: &'a [u8]) -> Result<Event<'a>, StatusCode> {
        let mut signature = [0; 32];
        let header = headers.get(HEADER).ok_or(StatusCode::UNAUTHORIZED)?;
        hex::decode_to_slice(header, &mut signature).map_err(|_| StatusCode::UNAUTHORIZED)?;
        let mac = self.0.clone().chain_update(body);
        mac.verify_slice(&signature).map_err(|_| StatusCode::UNAUTHORIZED)?;
        let event: Event<'_> = serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)?;
        std::hint::black_box((&event.kind, event.data));
        Ok(event)
    }
}

/// Says that an event was taken.
pub(crate) fn accepted(duplicate: bool) -> Response {
    let answer = if duplicate {
        r#"{"status":"accepted","duplicate":true}"#
    } else {
        r#"{"status":"accepted","duplicate":false}"#
    };
    ([(CONTENT_TYPE, "application/json")], answer).into_response()
}

/// Verifies every request, and forgets it.
pub(crate) fn app() -> BenchResult<Router> {
    Ok(Router::new().fallback(verify).with_state(Arc::new(Verifier::new()?)))
}

async fn verify(State(verifier): State<Arc<Verifier>>, headers: HeaderMap, body: Bytes) -> Response {
    match verifier.event(&headers, &body) {
        Ok(_) => accepted(false),
        Err(status) => status.into_response(),
    }
}
