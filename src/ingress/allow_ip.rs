//! The IP allowlist: who may send to a source at all.

use std::sync::Arc;

use http::Request;
use http::request::Parts;

use super::arrival::{Arrival, Origin};
use super::refused::Capped;
use super::reject::Reject;
use super::source::Source;
use super::try_map_request::Step;

/// A request from a client on the allowlist.
pub(super) struct Allowed {
    /// Where it came from.
    pub origin: Origin,
    /// Every header as received.
    pub head: Parts,
    /// Not read.
    pub body: Capped,
}

/// Refuses clients that are not on the list of `source`, and those whose address cannot be told.
pub(super) fn allow_ip(source: Arc<Source>) -> impl Step<Request<Capped>, Allowed> {
    move |request| {
        let (mut head, body) = request.into_parts();
        // No arrival, or an address that cannot be told: refused, whatever the list says.
        match head.extensions.remove::<Arrival>() {
            Some(Arrival { request_id, client: Ok(client), traced }) if source.config.allowed_ips.contains(client) => {
                Ok(Allowed { origin: Origin { request_id, client, certificate: None, traced }, head, body })
            }
            Some(_) | None => Err(Reject::IpNotWhitelisted.into()),
        }
    }
}
