//! What an HTTP answer means for the one who sent: taken, try again (and when), or final. For the http sink and the SIEM.

use std::time::{Duration, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

use super::delivery::{Retry, SinkError};
use crate::backoff;

/// 2xx is taken; 408, 425, 429 and 5xx are tried again, when the other side says or after the usual backoff; everything
/// else is final, redirects too: they are not followed, or whoever answers would decide where events go.
///
/// # Errors
/// [`SinkError`] for everything but 2xx; its text names the status, never the answer's body.
pub fn accepted(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Result<(), SinkError> {
    if status.is_success() {
        return Ok(());
    }
    let retry = match status.as_u16() {
        408 | 425 | 429 | 500..=599 => retry_after(headers, now).map_or(Retry::Backoff, Retry::After),
        _ => Retry::Never,
    };
    let hint = if status.is_redirection() { ": redirects are not followed, set `url` to where it points" } else { "" };
    Err(SinkError { message: format!("answered {status}{hint}"), status: Some(status), retry })
}

/// `Retry-After` (RFC 9110 10.2.3) as a wait, in seconds or as a date. `None` where it is absent, is neither, or is out
/// of bounds: not in the future, or further away than the longest backoff.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(value.parse().ok()?)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::from(now)).ok()?
    };
    (!wait.is_zero() && wait <= backoff::CEILING).then_some(wait)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn verdict(status: u16, retry_after: Option<&'static str>) -> Option<Retry> {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        }
        let now = "1994-11-06T08:49:37Z".parse().unwrap();
        accepted(StatusCode::from_u16(status).unwrap(), &headers, now).err().map(|error| error.retry)
    }

    #[test]
    fn two_hundreds_are_taken_and_the_listed_ones_repeated() {
        for status in [200, 201, 202, 204, 206, 299] {
            assert_eq!(verdict(status, None), None);
        }
        for status in [408, 425, 429, 500, 501, 502, 503, 504, 599] {
            assert_eq!(verdict(status, None), Some(Retry::Backoff), "{status}");
        }
        for status in [101, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 409, 410, 413, 418, 422, 451, 600] {
            assert_eq!(verdict(status, None), Some(Retry::Never), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_ignored_where_it_is_junk_or_out_of_bounds() {
        for status in [429, 503] {
            assert_eq!(verdict(status, Some("7")), Some(Retry::After(Duration::from_secs(7))));
            assert_eq!(verdict(status, Some("3600")), Some(Retry::After(Duration::from_hours(1))));
            let date = "Sun, 06 Nov 1994 08:50:00 GMT";
            assert_eq!(verdict(status, Some(date)), Some(Retry::After(Duration::from_secs(23))));
            for junk in
                ["", "soon", "-1", "+1", "1.5", "0", "3601", "99999999999999999999", "Sun, 06 Nov 1994 08:49:00 GMT"]
            {
                assert_eq!(verdict(status, Some(junk)), Some(Retry::Backoff), "{junk}");
            }
        }
        assert_eq!(verdict(400, Some("7")), Some(Retry::Never));
    }
}
