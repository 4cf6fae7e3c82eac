//! The timestamp window, and what the head claims: the last checks before a byte of the body is wanted.

use std::sync::Arc;

use http::request::Parts;

use crate::clock::UnixSeconds;
use crate::scheme::{Admission, Claims, KeyIndex};

use super::arrival::Origin;
use super::refused::{Capped, Refused};
use super::reject::Reject;
use super::source::Source;
use super::token::Admitted;
use super::try_map_request::Step;

/// A request whose head says who signed it and when; nothing of that is proven yet.
pub(super) struct Unverified {
    /// Where it came from.
    pub origin: Origin,
    /// Every header as received.
    pub head: Arc<Parts>,
    /// Which of the source's keys its token is.
    pub token: Option<KeyIndex>,
    /// What it claims.
    pub claims: Claims,
    /// Not read.
    pub body: Capped,
}

/// Refuses what was signed outside the window of `source`, and what claims nothing that its scheme could verify.
pub(super) fn window(source: Arc<Source>) -> impl Step<Admitted, Unverified> {
    move |Admitted { origin, head, token, body }| {
        let (token, claimed) = token.map_or((None, None), |Admission { key, claims }| (Some(key), claims));
        match claims(&source, origin.at.into(), &head, claimed) {
            Ok(claims) => Ok(Unverified { origin, head, token, claims, body }),
            Err(reject) => Err(Refused::unread(reject, origin, head, body)),
        }
    }
}

/// What the head claims, which may be known from its token already.
fn claims(source: &Source, now: UnixSeconds, head: &Parts, known: Option<Claims>) -> Result<Claims, Reject> {
    if let Some(claimed) = source.scheme.timestamp(head)?
        && claimed.abs_diff(now) > source.config.max_drift.as_secs()
    {
        return Err(Reject::TimestampExpired(source.config.stale_status));
    }
    match known {
        Some(claims) => Ok(claims),
        None => Ok(source.scheme.read(head)?),
    }
}
