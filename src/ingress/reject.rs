//! Every way a request can be refused, and the one place where a refusal becomes an answer.

use std::borrow::Cow;

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::scheme::Refusal;
use crate::verdict::Outcome;

use super::record::Ended;

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
    /// Anything but POST.
    MethodNotAllowed,
    /// A media type or content coding that the source does not take.
    UnsupportedMediaType(&'static str),
    /// Declared or received more than the limit.
    PayloadTooLarge,
    /// The client is not on the allowlist, or cannot be told.
    IpNotWhitelisted,
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

/// Every `reason` there is, for metrics that are present from the start.
pub(super) const REASONS: [&str; 20] = [
    "bad_request",
    "uri_too_long",
    "header_fields_too_large",
    "overloaded",
    "not_found",
    "method_not_allowed",
    "unsupported_media_type",
    "payload_too_large",
    "ip_not_whitelisted",
    "missing_timestamp",
    "invalid_timestamp_format",
    "timestamp_expired",
    "missing_signature",
    "malformed_authorization",
    "body_timeout",
    "signature_mismatch",
    "invalid_json",
    "missing_required_fields",
    "invalid_event_id",
    "store_unavailable",
];

/// Seconds after which a sender may try again: long enough to shed load, short enough for the shortest retry schedule.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
/// RFC 9110 11.6.1 wants a challenge on every 401; there is no registered scheme for signed webhooks.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Signature realm=\"webhooks\"");

#[derive(Serialize)]
struct Answer<'a> {
    error: &'a str,
    code: u16,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl Reject {
    /// Its row in the contract: status and reason.
    #[must_use]
    pub fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) | Self::IncompleteBody => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "header_fields_too_large"),
            Self::UnknownTransferCoding => (StatusCode::NOT_IMPLEMENTED, "bad_request"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::IpNotWhitelisted => (StatusCode::FORBIDDEN, "ip_not_whitelisted"),
            Self::MissingTimestamp => (StatusCode::UNAUTHORIZED, "missing_timestamp"),
            Self::InvalidTimestamp => (StatusCode::UNAUTHORIZED, "invalid_timestamp_format"),
            Self::TimestampExpired(410) => (StatusCode::GONE, "timestamp_expired"),
            Self::TimestampExpired(_) => (StatusCode::UNAUTHORIZED, "timestamp_expired"),
            Self::MissingSignature => (StatusCode::UNAUTHORIZED, "missing_signature"),
            Self::MalformedAuthorization(_) => (StatusCode::BAD_REQUEST, "malformed_authorization"),
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout"),
            Self::SignatureMismatch => (StatusCode::UNAUTHORIZED, "signature_mismatch"),
            Self::InvalidJson(_) => (StatusCode::BAD_REQUEST, "invalid_json"),
            Self::MissingFields(_) => (StatusCode::BAD_REQUEST, "missing_required_fields"),
            Self::InvalidEventId(_) => (StatusCode::BAD_REQUEST, "invalid_event_id"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        }
    }

    /// The word for logs, metrics and the answer.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().1
    }

    /// How the access record counts it.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Overloaded => Outcome::Shed,
            Self::StoreUnavailable | Self::IncompleteBody => Outcome::Failed,
            _ => Outcome::Refused,
        }
    }

    /// What helps the sender and tells an attacker nothing.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::BadRequest(detail)
            | Self::UnsupportedMediaType(detail)
            | Self::MalformedAuthorization(detail)
            | Self::InvalidEventId(detail) => Some(detail),
            Self::InvalidJson(detail) => Some(detail),
            Self::MissingFields(fields) => Some(fields),
            Self::IncompleteBody => Some("the body ended early"),
            Self::UnknownTransferCoding => Some("the only transfer coding taken is chunked"),
            _ => None,
        }
    }

    /// The answer, with [`Ended`] in its extensions for the access record.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let (status, reason) = self.row();
        let answer = Answer {
            error: status.canonical_reason().unwrap_or_default(),
            code: status.as_u16(),
            message: reason,
            detail: self.detail(),
        };
        let mut response = json(status, &answer);
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => drop(headers.insert(WWW_AUTHENTICATE, CHALLENGE)),
            StatusCode::METHOD_NOT_ALLOWED => drop(headers.insert(ALLOW, HeaderValue::from_static("POST"))),
            StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS)),
            _ => {}
        }
        response.extensions_mut().insert(Ended::refused(&self));
        response
    }
}

impl From<Refusal> for Reject {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MissingTimestamp => Self::MissingTimestamp,
            Refusal::InvalidTimestamp => Self::InvalidTimestamp,
            Refusal::MissingSignature => Self::MissingSignature,
            Refusal::MalformedAuthorization(why) => Self::MalformedAuthorization(why),
            Refusal::SignatureMismatch => Self::SignatureMismatch,
        }
    }
}

/// A small JSON answer that no cache keeps.
pub(super) fn json(status: StatusCode, answer: &impl Serialize) -> Response<Body> {
    // Answers are plain structs of texts and numbers, which always serialise.
    let text = serde_json::to_vec(answer).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_known_to_the_metrics() {
        let all = [
            Reject::BadRequest(""),
            Reject::TargetTooLong,
            Reject::HeadersTooLarge,
            Reject::UnknownTransferCoding,
            Reject::Overloaded,
            Reject::NotFound,
            Reject::MethodNotAllowed,
            Reject::UnsupportedMediaType(""),
            Reject::PayloadTooLarge,
            Reject::IpNotWhitelisted,
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
        for reject in &all {
            assert!(REASONS.contains(&reject.reason()), "{reject:?}");
        }
        for reason in REASONS {
            assert!(all.iter().any(|reject| reject.reason() == reason), "{reason}");
        }
    }

    #[test]
    fn a_stale_request_is_gone_only_where_the_source_says_so() {
        assert_eq!(Reject::TimestampExpired(410).row().0, StatusCode::GONE);
        assert_eq!(Reject::TimestampExpired(401).row().0, StatusCode::UNAUTHORIZED);
    }
}
