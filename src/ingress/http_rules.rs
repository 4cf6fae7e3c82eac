//! HTTP rules that hyper leaves to its user: one host that is one, no transfer coding but `chunked`, POST.

mod host;

use std::sync::Arc;

use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, Version};

use super::handshake::Handshake;
use super::reject::Reject;
use super::source::Source;
use crate::server::Unreadable;

/// Says why, where the HTTP library refused the request by itself: the same words as for what is refused here.
///
/// # Errors
/// That reason.
pub(super) fn readable(head: &Parts) -> Result<(), Reject> {
    Err(match head.extensions.get::<Unreadable>() {
        None => return Ok(()),
        Some(Unreadable::Malformed) => Reject::BadRequest("the request line or a header is malformed"),
        Some(Unreadable::TargetTooLong) => Reject::TargetTooLong,
        Some(Unreadable::HeadTooLarge) => Reject::HeadersTooLarge,
        Some(Unreadable::TooManyStreams) => Reject::Overloaded,
        Some(Unreadable::Http2) => Reject::BadRequest("HTTP/2 was spoken wrongly"),
    })
}

/// Checks what RFC 9112 3.2 and 6.1 and RFC 9113 8.3.1 tell a server to refuse.
///
/// # Errors
/// The first rule that is broken.
pub fn well_formed(head: &Parts) -> Result<(), Reject> {
    [size, host, transfer_coding].iter().try_for_each(|rule| rule(head))
}

/// Longest target, bytes: what RFC 9110 4.1 asks of everybody.
const TARGET_MAX: usize = 8000;
/// All names and values of a head together, bytes.
const HEADERS_MAX: usize = 32 * 1024;

/// Far below what the server could read, so that the refusal is ours: with a reason and a record.
fn size(head: &Parts) -> Result<(), Reject> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_MAX {
        return Err(Reject::TargetTooLong);
    }
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers > HEADERS_MAX { Err(Reject::HeadersTooLarge) } else { Ok(()) }
}

/// Exactly one host, which is one: a second one, one that differs from `:authority` or one that a URL cannot hold lets
/// two programs see two requests.
fn host(head: &Parts) -> Result<(), Reject> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (host, authority) = (hosts.next(), head.uri.authority());
    if hosts.next().is_some() {
        return Err(Reject::BadRequest("more than one Host"));
    }
    match (head.version, host, authority) {
        (Version::HTTP_11, None, _) => Err(Reject::BadRequest("no Host")),
        (Version::HTTP_11, Some(host), _) if host.is_empty() => Err(Reject::BadRequest("an empty Host")),
        (Version::HTTP_2, None, None) => Err(Reject::BadRequest("no :authority")),
        (Version::HTTP_2, Some(host), Some(authority))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Err(Reject::BadRequest("Host differs from :authority"))
        }
        (_, Some(host), _) if !host::is_host(host.as_bytes()) => {
            Err(Reject::BadRequest("Host is not a host and a port"))
        }
        (_, _, Some(authority)) if !host::is_host(authority.as_str().as_bytes()) => {
            Err(Reject::BadRequest("the target's authority is not a host and a port"))
        }
        _ => Ok(()),
    }
}

fn transfer_coding(head: &Parts) -> Result<(), Reject> {
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(_), _) if head.version == Version::HTTP_10 => Err(Reject::BadRequest("Transfer-Encoding in HTTP/1.0")),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Reject::UnknownTransferCoding),
    }
}

/// A webhook is POSTed; the handshake of `source` may come by a method of its own.
pub(super) fn method(source: Arc<Source>) -> impl Fn(&Parts) -> Result<(), Reject> + Clone {
    move |head| {
        let handshake = source.handshake.as_ref();
        let fits =
            |method: &Method| *method == Method::POST || handshake.is_some_and(|handshake| handshake.takes(method));
        if fits(&head.method) {
            return Ok(());
        }
        Err(Reject::MethodNotAllowed(handshake.map_or("POST", Handshake::methods)))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn judged(request: http::request::Builder) -> Result<(), http::StatusCode> {
        well_formed(&request.body(()).unwrap().into_parts().0).map_err(|reject| reject.status())
    }

    #[test]
    fn one_host_and_one_coding() {
        let request = || Request::builder().version(Version::HTTP_11);
        assert!(judged(request().header("host", "a")).is_ok());
        assert_eq!(judged(request()), Err(http::StatusCode::BAD_REQUEST));
        assert_eq!(judged(request().header("host", "a").header("host", "a")), Err(http::StatusCode::BAD_REQUEST));
        let chunked = || request().header("host", "a").header("transfer-encoding", "Chunked");
        assert!(judged(chunked()).is_ok());
        assert_eq!(judged(chunked().header("transfer-encoding", "chunked")), Err(http::StatusCode::NOT_IMPLEMENTED));
        let gzip = request().header("host", "a").header("transfer-encoding", "gzip, chunked");
        assert_eq!(judged(gzip), Err(http::StatusCode::NOT_IMPLEMENTED));
    }

    #[test]
    fn in_http_2_the_host_is_the_authority() {
        let request = || Request::builder().version(Version::HTTP_2).uri("https://a.example/x");
        assert!(judged(request()).is_ok());
        assert!(judged(request().header("host", "A.example")).is_ok());
        assert_eq!(judged(request().header("host", "b.example")), Err(http::StatusCode::BAD_REQUEST));
    }
}
