//! How a request ended, and why.

use std::fmt;

use http::StatusCode;
use serde::Serialize;

/// How a request ended, as the access record and `gatepost_requests_total` say it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestOutcome {
    /// Verified, new, durable.
    Accepted,
    /// Verified, seen before, same body.
    Duplicate,
    /// Verified, but its id is taken by another body; kept aside.
    Quarantined,
    /// A vendor asked whether its events are wanted here, and was answered; nothing is stored.
    Handshake,
    /// Not believed or not understood; the sender's matter.
    Refused,
    /// Turned away for load.
    Shed,
    /// Could not be finished: store down, or the sender went away.
    Failed,
}

impl RequestOutcome {
    /// All of them, in label order.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::Duplicate, Self::Quarantined, Self::Handshake, Self::Refused, Self::Shed, Self::Failed];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Quarantined => "quarantined",
            Self::Handshake => "handshake",
            Self::Refused => "refused",
            Self::Shed => "shed",
            Self::Failed => "failed",
        }
    }
}

/// One row a reason: its name, the text for logs, metrics and answers, the status of the answer. Written once, so that
/// [`Reason::ALL`] cannot lack one.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:expr;)*) => {
        /// Why a request was not simply accepted; refusals in the order in which the checks are made.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// All of them, each at the place of its discriminant.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The text: `reason` of the records, `message` of the answer, the label, the column.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status of the answer, but for those that a source or an RFC wants otherwise; `None` where nobody is
            /// left to be answered.
            #[must_use]
            pub const fn status(self) -> Option<StatusCode> {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

reasons! {
    /// It is not HTTP as RFC 9110, 9112 and 9113 have it.
    BadRequest = "bad_request", Some(StatusCode::BAD_REQUEST);
    /// The target is longer than anybody needs.
    UriTooLong = "uri_too_long", Some(StatusCode::URI_TOO_LONG);
    /// The head is larger than anybody needs.
    HeaderFieldsTooLarge = "header_fields_too_large", Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    /// Too many requests or body bytes in flight.
    Overloaded = "overloaded", Some(StatusCode::SERVICE_UNAVAILABLE);
    /// No source has this path.
    NotFound = "not_found", Some(StatusCode::NOT_FOUND);
    /// Anything but POST.
    MethodNotAllowed = "method_not_allowed", Some(StatusCode::METHOD_NOT_ALLOWED);
    /// A media type or content coding that the source does not take.
    UnsupportedMediaType = "unsupported_media_type", Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    /// Declared or received more than the limit.
    PayloadTooLarge = "payload_too_large", Some(StatusCode::PAYLOAD_TOO_LARGE);
    /// The client is not on the allowlist, or cannot be told.
    IpNotWhitelisted = "ip_not_whitelisted", Some(StatusCode::FORBIDDEN);
    /// The source wants a token.
    MissingToken = "missing_token", Some(StatusCode::UNAUTHORIZED);
    /// The token is none of the source's.
    TokenMismatch = "token_mismatch", Some(StatusCode::UNAUTHORIZED);
    /// No client certificate, or none of those that the source takes.
    ClientCertificateMismatch = "client_certificate_mismatch", Some(StatusCode::UNAUTHORIZED);
    /// The scheme wants a timestamp.
    MissingTimestamp = "missing_timestamp", Some(StatusCode::UNAUTHORIZED);
    /// The timestamp is not one.
    InvalidTimestampFormat = "invalid_timestamp_format", Some(StatusCode::UNAUTHORIZED);
    /// Outside the window.
    TimestampExpired = "timestamp_expired", Some(StatusCode::UNAUTHORIZED);
    /// No signature.
    MissingSignature = "missing_signature", Some(StatusCode::UNAUTHORIZED);
    /// A SigV4 `Authorization` that cannot be parsed.
    MalformedAuthorization = "malformed_authorization", Some(StatusCode::BAD_REQUEST);
    /// The body did not arrive in time.
    BodyTimeout = "body_timeout", Some(StatusCode::REQUEST_TIMEOUT);
    /// It does not verify.
    SignatureMismatch = "signature_mismatch", Some(StatusCode::UNAUTHORIZED);
    /// Signed, but not one JSON object.
    InvalidJson = "invalid_json", Some(StatusCode::BAD_REQUEST);
    /// Fields the source requires are missing.
    MissingRequiredFields = "missing_required_fields", Some(StatusCode::BAD_REQUEST);
    /// An id that cannot be one.
    InvalidEventId = "invalid_event_id", Some(StatusCode::BAD_REQUEST);
    /// The commit failed: nothing was accepted.
    StoreUnavailable = "store_unavailable", Some(StatusCode::SERVICE_UNAVAILABLE);
    /// Verified, but its id belongs to another body; set aside.
    IdConflict = "id_conflict", Some(StatusCode::OK);
    /// The sender went away before there was an answer.
    ClientDisconnected = "client_disconnected", None;
}

impl Reason {
    /// Whether the sender is told that its request was not taken; what `gatepost_refusals_total` counts.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::IdConflict | Self::ClientDisconnected)
    }

    /// Whether such requests are kept in quarantine (contract 6.4): refused for what should prove its sender, for timestamp or JSON, or in
    /// conflict with a stored id. The checks before those are about requests that come from elsewhere or are too large;
    /// what comes after is not the sender's fault.
    #[must_use]
    pub const fn is_kept(self) -> bool {
        matches!(
            self,
            Self::MissingToken
                | Self::TokenMismatch
                | Self::ClientCertificateMismatch
                | Self::MissingTimestamp
                | Self::InvalidTimestampFormat
                | Self::TimestampExpired
                | Self::MissingSignature
                | Self::MalformedAuthorization
                | Self::SignatureMismatch
                | Self::InvalidJson
                | Self::MissingRequiredFields
                | Self::InvalidEventId
                | Self::IdConflict
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_in_its_place_and_has_a_text_of_its_own() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert_eq!(Reason::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count(), 1, "{reason:?}");
            let refuses = reason.status().is_some_and(|status| status.as_u16() >= 400);
            assert_eq!(refuses, reason.is_refusal(), "{reason:?}");
        }
    }
}
