//! The token that must come with the head: without it nothing else is looked at.

use std::sync::Arc;

use http::request::Parts;

use crate::scheme::Admission;

use super::allow_ip::Allowed;
use super::arrival::Origin;
use super::refused::{Capped, Refused};
use super::source::Source;
use super::try_map_request::Step;

/// A request with a token of its source, where that has any.
pub(super) struct Admitted {
    /// Where it came from.
    pub origin: Origin,
    /// Every header as received.
    pub head: Arc<Parts>,
    /// What the token proved, where the source wants one.
    pub token: Option<Admission>,
    /// Not read.
    pub body: Capped,
}

/// Refuses what comes without a token of `source`, but for handshakes to which the vendor adds none.
pub(super) fn token(source: Arc<Source>) -> impl Step<Allowed, Admitted> {
    move |Allowed { origin, head, body }| {
        let excused = source.handshake.as_ref().is_some_and(|it| !it.wants_token() && it.is_asked(&head, &body));
        let admitted = || source.scheme.admit(&head, source.config.moment(origin.at));
        match if excused { Ok(None) } else { admitted() } {
            Ok(token) => Ok(Admitted { origin, head, token, body }),
            Err(refusal) => Err(Refused::unread(refusal.into(), origin, head, body)),
        }
    }
}
