//! Where a browser's request comes from: this very site, another one, or a name that somebody points at loopback.

use std::net::{IpAddr, SocketAddr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri};

use crate::settings::grammar::is_loopback;

/// Fetch Metadata: what the browser says of who asks, which no page can set.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the headers say of who asks for an action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// A page of this very site.
    Same,
    /// Somebody else's page, or something that cannot be told.
    Other,
    /// No browser: every one sends one of the two with what is not a GET (Fetch, 3.2.5).
    NotSaid,
}

impl Origin {
    /// That of the request with `headers`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        match (sites.next(), sites.next()) {
            (Some(site), None) if site == "same-origin" => return Self::Same,
            (Some(_), _) => return Self::Other,
            (None, _) => {}
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Self::NotSaid,
            (Some(origin), None) => {
                let same =
                    origin.to_str().ok().and_then(authority_of).is_some_and(|origin| Some(origin) == host(headers));
                if same { Self::Same } else { Self::Other }
            }
            (Some(_), Some(_)) => Self::Other,
        }
    }
}

/// The authority of a serialised origin, `null` having none. TLS may end in front, so the scheme is not compared.
fn authority_of(origin: &str) -> Option<Authority> {
    let uri: Uri = origin.parse().ok()?;
    matches!(uri.scheme_str(), Some("http" | "https")).then(|| uri.authority().cloned()).flatten()
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    host.to_str().ok()?.parse().ok()
}

/// Whether the Host of `headers` means this machine: a page of elsewhere whose name was pointed here (DNS rebinding) has
/// another. One without is no browser's.
pub(super) fn names_loopback(headers: &HeaderMap, address: SocketAddr) -> bool {
    if !headers.contains_key(HOST) {
        return true;
    }
    let Some(authority) = host(headers) else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| is_loopback(ip) || ip == address.ip())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_this_site_is_the_same() {
        let of = |lines: &[_]| Origin::of(&headers(&[&[("host", "ops.example:9090")], lines].concat()));
        assert_eq!(of(&[]), Origin::NotSaid);
        assert_eq!(of(&[("origin", "http://ops.example:9090")]), Origin::Same);
        assert_eq!(of(&[("origin", "https://OPS.example:9090")]), Origin::Same);
        assert_eq!(of(&[("sec-fetch-site", "same-origin")]), Origin::Same);
        for other in ["null", "http://evil.example", "http://ops.example", "http://ops.example:9091", "", "file://"] {
            assert_eq!(of(&[("origin", other)]), Origin::Other, "{other}");
        }
        for other in ["cross-site", "same-site", "none", ""] {
            let lines = [("sec-fetch-site", other), ("origin", "http://ops.example:9090")];
            assert_eq!(of(&lines), Origin::Other, "{other}");
        }
        assert_eq!(
            Origin::of(&headers(&[("origin", "http://a")])),
            Origin::Other,
            "without a Host nothing is the same"
        );
    }

    #[test]
    fn loopback_by_name_or_address_and_nothing_that_merely_begins_so() {
        let address = "127.0.0.1:9090".parse().unwrap();
        let names = |host| names_loopback(&headers(&[("host", host)]), address);
        for good in ["localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:1", "127.1.2.3", "[::1]:9090"] {
            assert!(names(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "[::2]", "", "a b"]
        {
            assert!(!names(bad), "{bad}");
        }
        assert!(names_loopback(&HeaderMap::new(), address));
    }
}
