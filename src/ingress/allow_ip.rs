//! The IP allowlist: who may send to a source at all.

use std::sync::Arc;

use http::request::Parts;

use super::arrival::{Arrival, Arrived, Origin};
use super::refused::Capped;
use super::reject::Reject;
use super::source::Source;
use super::try_map_request::Step;
use crate::server::client::BadForwarded;

/// A request from a client on the allowlist.
pub(super) struct Allowed {
    /// Where it came from.
    pub origin: Origin,
    /// Every header as received.
    pub head: Arc<Parts>,
    /// Not read.
    pub body: Capped,
}

/// Refuses clients that are not on the list of `source`, and those whose address cannot be told.
pub(super) fn allow_ip(source: Arc<Source>) -> impl Step<Arrived<Capped>, Allowed> {
    move |Arrived { arrival: Arrival { at, request_id, client, traced }, head, body }| match client {
        Ok(client) if source.config.allowed_ips.contains(client) => {
            Ok(Allowed { origin: Origin { at, request_id, client, certificate: None, traced }, head, body })
        }
        // An address that cannot be told is refused whatever the list says.
        Ok(_) | Err(BadForwarded) => Err(Reject::IpNotWhitelisted.into()),
    }
}
