//! A request as it comes into the stack, and what is known of it before anybody knows who signed it.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use jiff::Timestamp;

use super::span::Traced;
use crate::server::client::BadForwarded;

/// A request of which nothing is known but where it came from. Each layer passes it on: it is small, because the head stays
/// where it is, shared with the record to be.
pub(super) struct Arrived<B> {
    /// Its name, and where it came from.
    pub arrival: Arrival,
    /// Every header as received.
    pub head: Arc<Parts>,
    /// Not read.
    pub body: B,
}

/// Known of every request.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    /// When its head was here. What its head says of the time is held against this; what comes after its body goes by the clock.
    pub at: Timestamp,
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
    pub at: Timestamp,
    /// As in [`Arrival`].
    pub request_id: Arc<str>,
    /// Where it came from.
    pub client: IpAddr,
    /// The pin that its client certificate fits; `None` where its source asks for none.
    pub certificate: Option<PinIndex>,
    /// As in [`Arrival`].
    pub traced: Option<Arc<Traced>>,
}
