//! The IP allowlist: who may send to a source at all.

use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use tower_http::validate_request::ValidateRequest;

use super::record::Arrival;
use super::reject::Reject;
use super::source::Source;

/// Refuses clients that are not on the source's list, and those whose address cannot be told.
#[derive(Clone)]
pub(super) struct AllowIp(pub Arc<Source>);

impl<B> ValidateRequest<B> for AllowIp {
    type ResponseBody = Body;

    fn validate(&mut self, request: &mut Request<B>) -> Result<(), Response<Body>> {
        // No arrival, or an address that cannot be told: refused, whatever the list says.
        let client = request.extensions().get::<Arrival>().and_then(|arrival| arrival.client.ok());
        match client {
            Some(address) if self.0.config.allowed_ips.contains(address) => Ok(()),
            _ => Err(Reject::IpNotWhitelisted.into_response()),
        }
    }
}
