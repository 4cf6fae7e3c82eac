//! What the stack knows of a request before it knows who signed it: its name, and where it came from.

use std::net::IpAddr;
use std::sync::Arc;

use super::span::Traced;
use crate::server::client::BadForwarded;

/// Known of every request; in its extensions until the allowlist has looked at it.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// Unique name of the request: 32 hex digits.
    pub request_id: Arc<str>,
    /// Where it came from, as far as that can be told.
    pub client: Result<IpAddr, BadForwarded>,
    /// Its span, where requests are traced.
    pub traced: Option<Arc<Traced>>,
}

/// The position of the pin that a request's client certificate fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PinIndex(pub(super) usize);

/// Known of a request whose client may send to its source.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// As in [`Arrival`].
    pub request_id: Arc<str>,
    /// Where it came from.
    pub client: IpAddr,
    /// The pin that its client certificate fits; `None` where its source asks for none.
    pub certificate: Option<PinIndex>,
    /// As in [`Arrival`].
    pub traced: Option<Arc<Traced>>,
}
