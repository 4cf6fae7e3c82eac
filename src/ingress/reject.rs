//! Every way a request can be refused.

use std::borrow::Cow;

use http::StatusCode;

use crate::request_outcome::{Reason, RequestOutcome};
use crate::scheme::Refusal;

/// Why a request was refused, in the order in which the checks are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reject {
    /// It is not HTTP as RFC 9110/9112 have it; the text says how.
    BadRequest(&'static str),
    /// The target is longer than anybody needs.
    TargetTooLong,
    /// The head is larger than anybody needs.
    HeadersTooLarge,
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding,
    /// Too many requests or body bytes in flight.
    Overloaded,
    /// No source has this path.
    NotFound,
    /// A method that is none of these: POST, and that of the source's handshake.
    MethodNotAllowed(&'static str),
    /// A media type or content coding that the source does not take.
    UnsupportedMediaType(&'static str),
    /// Declared or received more than the limit.
    PayloadTooLarge,
    /// The client is not on the allowlist, or cannot be told.
    IpNotWhitelisted,
    /// The source wants a token.
    MissingToken,
    /// The token is none of the source's.
    TokenMismatch,
    /// No client certificate, or none of those that the source takes; the text says which.
    ClientCertificateMismatch(&'static str),
    /// The scheme wants a timestamp.
    MissingTimestamp,
    /// The timestamp is not one.
    InvalidTimestamp,
    /// Outside the window; carries the source's status for it (401 or 410).
    TimestampExpired(u16),
    /// No signature.
    MissingSignature,
    /// A SigV4 `Authorization` that cannot be parsed.
    MalformedAuthorization(&'static str),
    /// The body did not arrive in time.
    BodyTimeout,
    /// The body broke off.
    IncompleteBody,
    /// It does not verify.
    SignatureMismatch,
    /// Signed, but not one JSON object.
    InvalidJson(Cow<'static, str>),
    /// Fields the source requires are missing; the text lists their pointers.
    MissingFields(String),
    /// An id that cannot be one.
    InvalidEventId(&'static str),
    /// The commit failed: nothing was accepted.
    StoreUnavailable,
}

impl Reject {
    /// The word for logs, metrics, quarantine and the answer.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::BadRequest(_) | Self::UnknownTransferCoding | Self::IncompleteBody => Reason::BadRequest,
            Self::TargetTooLong => Reason::UriTooLong,
            Self::HeadersTooLarge => Reason::HeaderFieldsTooLarge,
            Self::Overloaded => Reason::Overloaded,
            Self::NotFound => Reason::NotFound,
            Self::MethodNotAllowed(_) => Reason::MethodNotAllowed,
            Self::UnsupportedMediaType(_) => Reason::UnsupportedMediaType,
            Self::PayloadTooLarge => Reason::PayloadTooLarge,
            Self::IpNotWhitelisted => Reason::IpNotWhitelisted,
            Self::MissingToken => Reason::MissingToken,
            Self::TokenMismatch => Reason::TokenMismatch,
            Self::ClientCertificateMismatch(_) => Reason::ClientCertificateMismatch,
            Self::MissingTimestamp => Reason::MissingTimestamp,
            Self::InvalidTimestamp => Reason::InvalidTimestampFormat,
            Self::TimestampExpired(_) => Reason::TimestampExpired,
            Self::MissingSignature => Reason::MissingSignature,
            Self::MalformedAuthorization(_) => Reason::MalformedAuthorization,
            Self::BodyTimeout => Reason::BodyTimeout,
            Self::SignatureMismatch => Reason::SignatureMismatch,
            Self::InvalidJson(_) => Reason::InvalidJson,
            Self::MissingFields(_) => Reason::MissingRequiredFields,
            Self::InvalidEventId(_) => Reason::InvalidEventId,
            Self::StoreUnavailable => Reason::StoreUnavailable,
        }
    }

    /// The status of the answer: its reason's, but where RFC 9112 6.1 or the source want another.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if matches!(self, Self::UnknownTransferCoding) {
            return StatusCode::NOT_IMPLEMENTED;
        }
        if matches!(self, Self::TimestampExpired(410)) {
            return StatusCode::GONE;
        }
        // Every refusal has one.
        self.reason().status().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whether the sender proved who it is; `None` where nobody asked.
    #[must_use]
    pub const fn validated(&self) -> Option<bool> {
        if matches!(self, Self::Overloaded | Self::NotFound | Self::IncompleteBody) {
            return None;
        }
        // Only what is proven is stored.
        Some(matches!(self, Self::StoreUnavailable))
    }

    /// How the access record counts it.
    #[must_use]
    pub const fn outcome(&self) -> RequestOutcome {
        if matches!(self, Self::Overloaded) {
            RequestOutcome::Shed
        } else if matches!(self, Self::StoreUnavailable | Self::IncompleteBody) {
            RequestOutcome::Failed
        } else {
            RequestOutcome::Refused
        }
    }

    /// What helps the sender and tells an attacker nothing.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::BadRequest(detail)
            | Self::UnsupportedMediaType(detail)
            | Self::ClientCertificateMismatch(detail)
            | Self::MalformedAuthorization(detail)
            | Self::InvalidEventId(detail) => Some(detail),
            Self::InvalidJson(detail) => Some(detail),
            Self::MissingFields(fields) => Some(fields),
            Self::IncompleteBody => Some("the body ended early"),
            Self::UnknownTransferCoding => Some("the only transfer coding taken is chunked"),
            Self::TargetTooLong
            | Self::HeadersTooLarge
            | Self::Overloaded
            | Self::NotFound
            | Self::MethodNotAllowed(_)
            | Self::PayloadTooLarge
            | Self::IpNotWhitelisted
            | Self::MissingToken
            | Self::TokenMismatch
            | Self::MissingTimestamp
            | Self::InvalidTimestamp
            | Self::TimestampExpired(_)
            | Self::MissingSignature
            | Self::BodyTimeout
            | Self::SignatureMismatch
            | Self::StoreUnavailable => None,
        }
    }
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MissingToken => Self::MissingToken,
            Refusal::TokenMismatch => Self::TokenMismatch,
            Refusal::MissingTimestamp => Self::MissingTimestamp,
            Refusal::InvalidTimestamp => Self::InvalidTimestamp,
            Refusal::MissingSignature => Self::MissingSignature,
            Refusal::MalformedAuthorization(why) => Self::MalformedAuthorization(why),
            Refusal::SignatureMismatch => Self::SignatureMismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_reason_that_refuses_and_every_such_reason_a_refusal() {
        let all = [
            Reject::BadRequest(""),
            Reject::TargetTooLong,
            Reject::HeadersTooLarge,
            Reject::UnknownTransferCoding,
            Reject::Overloaded,
            Reject::NotFound,
            Reject::MethodNotAllowed("POST"),
            Reject::UnsupportedMediaType(""),
            Reject::PayloadTooLarge,
            Reject::IpNotWhitelisted,
            Reject::MissingToken,
            Reject::TokenMismatch,
            Reject::ClientCertificateMismatch(""),
            Reject::MissingTimestamp,
            Reject::InvalidTimestamp,
            Reject::TimestampExpired(410),
            Reject::MissingSignature,
            Reject::MalformedAuthorization(""),
            Reject::BodyTimeout,
            Reject::IncompleteBody,
            Reject::SignatureMismatch,
            Reject::InvalidJson("".into()),
            Reject::MissingFields(String::new()),
            Reject::InvalidEventId(""),
            Reject::StoreUnavailable,
        ];
        for reason in Reason::ALL {
            let refuses = all.iter().any(|reject| reject.reason() == reason);
            assert_eq!(refuses, reason.is_refusal(), "{reason:?}");
        }
    }

    #[test]
    fn a_stale_request_is_gone_only_where_the_source_says_so() {
        assert_eq!(Reject::TimestampExpired(410).status(), StatusCode::GONE);
        assert_eq!(Reject::TimestampExpired(401).status(), StatusCode::UNAUTHORIZED);
    }
}
