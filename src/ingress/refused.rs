//! What every layer fails with: the refusal, and what is left of the request.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http_body_util::Limited;

use super::arrival::Origin;
use super::reject::Reject;
use super::request_end::Known;

/// A body that is cut at the source's limit.
pub(super) type Capped = Limited<Body>;

/// A request that goes no further. Boxed where it travels: it is large, and rare.
pub(super) struct Refused {
    /// Why.
    pub reject: Reject,
    /// What is left of the request, once its client is known to be allowed; nothing is ever kept of others.
    pub rest: Option<Rest>,
    /// What was known of the event.
    pub event: Option<Box<Known>>,
}

/// What is left of a request that came from an allowed client.
pub(super) struct Rest {
    /// Where it came from.
    pub origin: Origin,
    /// Every header as received.
    pub head: Arc<Parts>,
    pub body: RestBody,
}

/// How far the body got.
pub(super) enum RestBody {
    /// Nobody asked for it.
    Unread(Capped),
    /// Whole.
    Read(Bytes),
}

impl From<Reject> for Box<Refused> {
    fn from(reject: Reject) -> Self {
        Box::new(Refused { reject, rest: None, event: None })
    }
}

impl Refused {
    /// Refused by its head.
    pub(super) fn unread(reject: Reject, origin: Origin, head: Arc<Parts>, body: Capped) -> Box<Self> {
        let rest = Some(Rest { origin, head, body: RestBody::Unread(body) });
        Box::new(Self { reject, rest, event: None })
    }

    /// Refused after its body was read.
    pub(super) fn read(reject: Reject, origin: Origin, head: Arc<Parts>, body: Bytes) -> Box<Self> {
        let rest = Some(Rest { origin, head, body: RestBody::Read(body) });
        Box::new(Self { reject, rest, event: None })
    }

    /// Bytes of the body that were read.
    pub(super) fn bytes(&self) -> usize {
        match &self.rest {
            Some(Rest { body: RestBody::Read(body), .. }) => body.len(),
            Some(Rest { body: RestBody::Unread(_), .. }) | None => 0,
        }
    }
}
