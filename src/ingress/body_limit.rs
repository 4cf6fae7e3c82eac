//! How large a body may be: refused where it says that it is larger, and cut there whatever it said.

use axum::body::Body;
use http_body_util::Limited;

use super::arrival::Arrived;
use super::body::declared_length;
use super::refused::Capped;
use super::reject::Reject;
use super::try_map_request::Step;

/// Refuses bodies that are declared larger than `limit` bytes, and cuts the others there.
pub(super) fn body_limit(limit: usize) -> impl Step<Arrived<Body>, Arrived<Capped>> {
    move |Arrived { arrival, head, body }| {
        if declared_length(&head.headers) > limit {
            return Err(Reject::PayloadTooLarge.into());
        }
        Ok(Arrived { arrival, head, body: Limited::new(body, limit) })
    }
}
