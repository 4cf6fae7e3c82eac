//! What SQS's errors mean: which pass by themselves or are mended by an operator, and which never will. Knows no transport.
//!
//! Source: "Common errors" of the SQS API reference. What an operator can mend without touching the event (a clock, a
//! key, a policy) is tried again, so that mending it is enough; what stays wrong for this event is final.

use std::time::SystemTime;

use http::header::DATE;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::clock::Clock;
use crate::sink::answer;
use crate::sink::delivery::{Retry, SinkError};
use crate::sink::http_client::Answer;

/// Which errors are alike, by a part of their names, and what to say about them. The first that fits counts.
const KINDS: [(Kind, &[&str], &str); 7] = [
    (Kind::Clock, &["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"], ""),
    (Kind::Signature, &["InvalidSignature", "SignatureDoesNotMatch"], "the secret access key is not the one AWS knows"),
    (
        Kind::Passing,
        &["Throttl", "OverLimit", "RequestTimeout", "RequestLimitExceeded", "ServiceUnavailable", "InternalFailure"],
        "",
    ),
    (Kind::Mended, &["ExpiredToken"], "the session token has expired: renew the credentials"),
    (
        Kind::Mended,
        &["InvalidClientTokenId", "UnrecognizedClient", "InvalidAccessKeyId", "InvalidToken"],
        "AWS does not know the access key or its session token: mend the credentials",
    ),
    (
        Kind::Mended,
        &["AccessDenied", "NotAuthorized", "OptInRequired", "Kms"],
        "allow sqs:SendMessage on the queue, and kms:GenerateDataKey and kms:Decrypt on its key where it has one",
    ),
    (
        Kind::Final,
        &["QueueDoesNotExist", "NonExistentQueue"],
        "make the queue or mend `url`, then `gatepost dead replay`",
    ),
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Our clock, whatever the status.
    Clock,
    /// Our clock, or the wrong key.
    Signature,
    /// Passes by itself.
    Passing,
    /// Passes when somebody mends it.
    Mended,
    /// As the status says.
    Final,
}

/// As for HTTP; where SQS names an error, its name decides about a 4xx.
///
/// # Errors
/// [`SinkError`] for everything but 2xx.
pub(super) fn accepted(answer: &Answer, clock: &Clock) -> Result<(), SinkError> {
    let now = clock.now();
    let Err(mut error) = answer::accepted(answer.status, &answer.headers, now) else { return Ok(()) };
    let Named { name, message } = named(answer);
    if name.is_empty() {
        return Err(error);
    }
    error.message = format!("{} ({name})", error.message);
    let Some((kind, _, advice)) = KINDS.iter().find(|(_, names, _)| names.iter().any(|part| name.contains(part)))
    else {
        return Err(error);
    };
    let of_clock = *kind == Kind::Clock || *kind == Kind::Signature && names_a_time(&message);
    let advice = if of_clock { difference(answer, now) } else { (*advice).to_owned() };
    if !advice.is_empty() {
        error.message = format!("{}: {advice}", error.message);
    }
    if *kind != Kind::Final && error.retry == Retry::Never {
        error.retry = Retry::Backoff;
    }
    Err(error)
}

struct Named {
    name: String,
    message: String,
}

/// An error's name is in the body, before it a namespace and `#`; or in a header, after it `:` and a URL.
fn named(answer: &Answer) -> Named {
    #[derive(Default, Deserialize)]
    struct Body {
        #[serde(rename = "__type", alias = "code", default)]
        name: String,
        #[serde(alias = "Message", default)]
        message: Option<String>,
    }
    let body: Body = serde_json::from_slice(&answer.body).unwrap_or_default();
    let header = answer.headers.get("x-amzn-errortype").and_then(|name| name.to_str().ok()).unwrap_or_default();
    let name = if body.name.is_empty() { header } else { &body.name };
    let name = name.split(':').next().and_then(|name| name.rsplit('#').next()).unwrap_or_default();
    // It is logged and kept: a name, whatever answered.
    let name = name.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(100);
    Named { name: name.collect(), message: body.message.unwrap_or_default() }
}

/// A signature that fails for its time and not for its key: "Signature expired: …", "Signature not yet current: …".
fn names_a_time(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["signature expired", "not yet current"].iter().any(|part| message.contains(part))
}

/// How our clock differs from AWS's, by the answer's `Date`.
fn difference(answer: &Answer, now: Timestamp) -> String {
    let theirs = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
    let theirs = theirs.and_then(|date| httpdate::parse_http_date(date).ok());
    let theirs = theirs.and_then(|at: SystemTime| Timestamp::try_from(at).ok());
    let told = "the clock of this machine differs from AWS's";
    let Some(theirs) = theirs else { return format!("{told}: set it right (NTP)") };
    let ahead = now.duration_since(theirs);
    let word = if ahead < SignedDuration::ZERO { "behind" } else { "ahead" };
    format!("{told}: here {now:.0}, there {theirs:.0}, {} s {word}: set it right (NTP)", ahead.as_secs().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    const NOW: &str = "2026-01-02T03:05:00Z";

    fn answer(status: u16, body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static("Fri, 02 Jan 2026 05:05:00 GMT"));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    fn refused(answer: &Answer) -> SinkError {
        accepted(answer, &Clock::manual(NOW.parse().unwrap())).unwrap_err()
    }

    fn error(status: u16, name: &str, message: &str) -> SinkError {
        refused(&answer(status, &format!(r#"{{"__type":"com.amazon.coral.service#{name}","message":"{message}"}}"#)))
    }

    #[test]
    fn a_wrong_clock_of_ours_is_said_and_tried_again() {
        for (name, message) in [
            ("InvalidSignatureException", "Signature expired: 20260102T030500Z is now earlier than 20260102T050000Z"),
            ("SignatureDoesNotMatch", "Signature not yet current: 20260102T030500Z is still later than …"),
            ("RequestExpired", ""),
            ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ] {
            for status in [400, 403] {
                let error = error(status, name, message);
                assert_eq!(error.retry, Retry::Backoff, "{name}");
                let told = "the clock of this machine differs from AWS's: here 2026-01-02T03:05:00Z, there \
                            2026-01-02T05:05:00Z, 7200 s behind: set it right (NTP)";
                assert!(error.message.contains(name) && error.message.contains(told), "{error}");
            }
        }
        let mut undated = answer(403, r#"{"__type":"RequestExpired"}"#);
        undated.headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert!(refused(&undated).message.contains("differs from AWS's: set it right"));
        undated.headers.insert(DATE, HeaderValue::from_static("Fri, 02 Jan 2026 03:00:00 GMT"));
        assert!(refused(&undated).message.contains("300 s ahead"), "{}", refused(&undated));
    }

    #[test]
    fn what_an_operator_can_mend_is_tried_again_and_advised() {
        for (name, word) in [
            ("InvalidSignatureException", "secret access key"),
            ("SignatureDoesNotMatch", "secret access key"),
            ("ExpiredToken", "session token"),
            ("ExpiredTokenException", "session token"),
            ("InvalidClientTokenId", "access key"),
            ("UnrecognizedClientException", "access key"),
            ("AccessDenied", "sqs:SendMessage"),
            ("AccessDeniedException", "sqs:SendMessage"),
            ("KmsAccessDenied", "kms:GenerateDataKey"),
            ("KmsDisabled", "kms:"),
            ("KmsInvalidState", "kms:"),
        ] {
            let error = error(400, name, "The request signature we calculated does not match.");
            assert_eq!(error.retry, Retry::Backoff, "{name}");
            assert!(error.message.contains(name) && error.message.contains(word), "{error}");
            assert!(!error.message.contains("clock"), "{error}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_repeated_and_the_rest_is_final() {
        for name in ["RequestThrottled", "ThrottlingException", "KmsThrottled", "OverLimit", "RequestTimeout"] {
            assert_eq!(error(400, name, "").retry, Retry::Backoff, "{name}");
        }
        for name in ["InvalidMessageContents", "InvalidParameterValue", "UnsupportedOperation", "InvalidSecurity"] {
            assert_eq!(error(400, name, "").retry, Retry::Never, "{name}");
        }
        let missing = error(400, "QueueDoesNotExist", "");
        assert_eq!(missing.retry, Retry::Never);
        assert!(missing.message.contains("make the queue"), "{missing}");
        let mut slow = answer(503, r#"{"__type":"ServiceUnavailable"}"#);
        slow.headers.insert("retry-after", HeaderValue::from_static("7"));
        assert_eq!(refused(&slow).retry, Retry::After(std::time::Duration::from_secs(7)));
        assert_eq!(refused(&answer(400, "junk")).retry, Retry::Never);
        assert_eq!(refused(&answer(500, "")).retry, Retry::Backoff);
        assert!(accepted(&answer(200, ""), &Clock::system()).is_ok());
    }

    #[test]
    fn the_name_is_found_where_services_put_it_and_cannot_break_a_line() {
        let mut by_header = answer(403, "");
        let name = HeaderValue::from_static("AccessDeniedException:http://internal.amazon.com/coral/");
        by_header.headers.insert("x-amzn-errortype", name);
        assert!(refused(&by_header).message.contains("(AccessDeniedException)"), "{}", refused(&by_header));
        assert_eq!(refused(&answer(403, r#"{"code":"ExpiredToken"}"#)).retry, Retry::Backoff);
        let odd = refused(&answer(400, "{\"__type\":\"Odd\\nname\",\"Message\":null}"));
        assert_eq!(odd.message, "answered 400 Bad Request (Odd)");
    }
}
