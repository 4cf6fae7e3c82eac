//! How a request ended, and why.

pub(crate) mod reference;

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

/// One row a reason: its name, the text for logs, metrics and answers, the status of the answer, when it comes to that, and
/// what to do about it. Written once, so that [`Reason::ALL`] cannot lack one.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:expr, $when:literal, $cure:literal;)*) => {
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

            /// When it comes to that, in Markdown.
            const fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)* }
            }

            /// What to do about it, in Markdown.
            const fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure,)* }
            }
        }
    };
}

reasons! {
    /// It is not HTTP as RFC 9110, 9112 and 9113 have it.
    BadRequest = "bad_request", Some(StatusCode::BAD_REQUEST),
        "it is not HTTP as RFC 9110, 9112 and 9113 have it (501 for a transfer coding other than `chunked`), or the body breaks off, or the challenge of a handshake is missing or cannot be sent back",
        "mend the client or the proxy in front";
    /// The target is longer than anybody needs.
    UriTooLong = "uri_too_long", Some(StatusCode::URI_TOO_LONG),
        "a target of more than 8,000 bytes",
        "shorten the path or the query at the sender";
    /// The head is larger than anybody needs.
    HeaderFieldsTooLarge = "header_fields_too_large", Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        "more than 32 KiB of headers",
        "have the sender or the proxy in front send fewer or shorter headers";
    /// Too many requests or body bytes in flight.
    Overloaded = "overloaded", Some(StatusCode::SERVICE_UNAVAILABLE),
        "too many requests or body bytes in flight; `Retry-After` says when",
        "the sender tries again by itself; if it lasts, add a replica or raise `limits.concurrent_requests` or `limits.body_memory_bytes`, and look at the store";
    /// No source has this path.
    NotFound = "not_found", Some(StatusCode::NOT_FOUND),
        "no source has this path, byte for byte",
        "compare the URL at the sender with `path` of the source (`gatepost check` shows it); a proxy in front may have changed it. The page Refused names paths that were nearly one";
    /// Anything but POST.
    MethodNotAllowed = "method_not_allowed", Some(StatusCode::METHOD_NOT_ALLOWED),
        "anything but POST and the method of the source's handshake; `Allow` names them",
        "set the sender to POST; where the vendor asks first, set `handshake` of the source";
    /// A media type or content coding that the source does not take.
    UnsupportedMediaType = "unsupported_media_type", Some(StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "a `Content-Type` that the source does not take, or any compression",
        "set `content_types` of the source, or what the sender sends; turn its compression off";
    /// Declared or received more than the limit.
    PayloadTooLarge = "payload_too_large", Some(StatusCode::PAYLOAD_TOO_LARGE),
        "more than `body_bytes`, declared or sent",
        "raise `body_bytes` of the source, or have the sender send less";
    /// The client is not on the allowlist, or cannot be told.
    IpNotWhitelisted = "ip_not_whitelisted", Some(StatusCode::FORBIDDEN),
        "an address that is not in `allowed_ips`, or that cannot be told",
        "`client_ip` of the access record is what was compared: add it to `allowed_ips`; where it is your own proxy's, name that in `trusted_proxies`";
    /// The source wants a token.
    MissingToken = "missing_token", Some(StatusCode::UNAUTHORIZED),
        "the source wants a token, and the header for it is not there; or a handshake without its token, which is not kept",
        "give the sender the token; see that no proxy drops the header";
    /// The token is none of the source's.
    TokenMismatch = "token_mismatch", Some(StatusCode::UNAUTHORIZED),
        "the token is none of the source's, is written in another way, or stands twice; a JSON Web Token is not signed by a key of the source, has expired, or is for somebody else",
        "`gatepost explain ID` names the cause";
    /// No client certificate, or none of those that the source takes.
    ClientCertificateMismatch = "client_certificate_mismatch", Some(StatusCode::UNAUTHORIZED),
        "the source has `client_certificates` and the sender showed none of them, or none; `detail` says which",
        "`gatepost explain ID` names what came and what is taken";
    /// The scheme wants a timestamp.
    MissingTimestamp = "missing_timestamp", Some(StatusCode::UNAUTHORIZED),
        "the scheme wants a timestamp and there is none",
        "have the sender send the header; a sender that signs no time is for another preset";
    /// The timestamp is not one.
    InvalidTimestampFormat = "invalid_timestamp_format", Some(StatusCode::UNAUTHORIZED),
        "a timestamp that is none, or two of them",
        "`gatepost explain ID` shows what came; set `timestamp_unit` of the source, or mend the sender";
    /// Outside the window.
    TimestampExpired = "timestamp_expired", Some(StatusCode::UNAUTHORIZED),
        "further away than `max_drift`, past or future (410 where `stale_status` says so)",
        "compare the clocks of both sides; the sender must sign each attempt anew, and no proxy may hold it back";
    /// No signature.
    MissingSignature = "missing_signature", Some(StatusCode::UNAUTHORIZED),
        "no signature",
        "turn signing on at the sender; see that no proxy drops the header";
    /// A SigV4 `Authorization` that cannot be parsed.
    MalformedAuthorization = "malformed_authorization", Some(StatusCode::BAD_REQUEST),
        "an AWS `Authorization` that cannot be parsed",
        "`gatepost explain ID` names the part; presigned requests (the signature in the query) are not taken";
    /// The body did not arrive in time.
    BodyTimeout = "body_timeout", Some(StatusCode::REQUEST_TIMEOUT),
        "the body did not come within `body_timeout`",
        "look at the sender and the network between; raise `limits.body_timeout` for slow ones";
    /// It does not verify.
    SignatureMismatch = "signature_mismatch", Some(StatusCode::UNAUTHORIZED),
        "the signature does not fit what arrived, or the body is not the one that a JSON Web Token names",
        "compare the secret with the sender's first; `gatepost explain ID` names the cause, and the lines of configuration where these can mend it";
    /// Signed, but not one JSON object.
    InvalidJson = "invalid_json", Some(StatusCode::BAD_REQUEST),
        "signed, but not one JSON object; `detail` says where",
        "mend the sender; `body_format = \"any\"` takes a body that is no JSON object";
    /// Fields the source requires are missing.
    MissingRequiredFields = "missing_required_fields", Some(StatusCode::BAD_REQUEST),
        "fields of `required_fields` are not there; `detail` names them",
        "mend the sender, or `required_fields` of the source";
    /// An id that cannot be one.
    InvalidEventId = "invalid_event_id", Some(StatusCode::BAD_REQUEST),
        "an event id that cannot be one",
        "mend the sender, or `event_id` of the source";
    /// The commit failed: nothing was accepted.
    StoreUnavailable = "store_unavailable", Some(StatusCode::SERVICE_UNAVAILABLE),
        "the commit failed: nothing was accepted; `Retry-After` says when",
        "the sender tries again by itself; look at the disk, or at PostgreSQL: `/readyz` and the log say what is wrong";
    /// Verified, but its id belongs to another body; set aside.
    IdConflict = "id_conflict", Some(StatusCode::OK),
        "verified, but another body has this id already: the first stands, this one is set aside",
        "compare the two (`gatepost quarantine show ID`, `gatepost events show ID`); mend the sender, or `event_id` of the source";
    /// The sender went away before there was an answer.
    ClientDisconnected = "client_disconnected", None,
        "the sender closed the connection before its answer",
        "look at the sender's own timeout, then at the latency of the store";
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
