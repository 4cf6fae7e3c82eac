//! The small grammars of the configuration: names, paths, addresses, pointers, header names, URLs.
//!
//! Each function reads one text and says, where it cannot, what was expected.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::{HeaderName, Uri};

use super::{IdRule, TypeRule};
use crate::event::Name;
use crate::sink::address;

/// The longest name of a source or sink.
const MAX_NAME: usize = 40;
/// The longest path of a source; longer targets are refused by most proxies.
const MAX_PATH: usize = 1024;
/// The longest label of a key.
const MAX_LABEL: usize = 64;
/// The longest event type.
const MAX_TYPE: usize = 256;

/// The name of a source or sink. `none` is what records call requests that no source took.
pub(super) fn name(text: &str) -> Result<Name, String> {
    let fits = (1..=MAX_NAME).contains(&text.len());
    if !fits || !text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(format!("expected 1 to {MAX_NAME} of a-z, 0-9 and -, found {text:?}"));
    }
    if text == "none" {
        return Err("\"none\" is taken: records use it where no source is known".to_owned());
    }
    Ok(text.into())
}

/// What logs and metrics call a key. No colon: `released:` stands before the name of an operator there.
pub(super) fn label(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=MAX_LABEL).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a label of 1 to {MAX_LABEL} of a-z, A-Z, 0-9, -, . and _"))
}

/// The name of an environment variable.
pub(super) fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) || text.contains(char::is_whitespace) {
        return Err("expected the name of an environment variable".to_owned());
    }
    Ok(text.to_owned())
}

/// The path of a file.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') { Err("expected the path of a file".to_owned()) } else { Ok(text.into()) }
}

/// An address and a port.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = "expected ADDRESS:PORT such as \"[::]:8443\" or \"127.0.0.1:9090\" (no host names)";
    text.parse().map_err(|_| format!("{wanted}, found {text:?}"))
}

/// The path of a source: absolute, in the characters RFC 3986 allows in a path, without wildcards and query.
pub(super) fn path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err(format!("expected a path that starts with /, found {text:?}"));
    }
    if text.len() > MAX_PATH {
        return Err(format!("expected at most {MAX_PATH} bytes"));
    }
    if text.contains('?') || text.contains('#') {
        return Err("expected a path without query and fragment".to_owned());
    }
    if let Some(wrong) = wrong_in_path(text) {
        return Err(format!("expected a path as RFC 3986 writes it, without wildcards; {wrong} cannot stand in it"));
    }
    // Clients resolve dot segments before they send, so that such a path would never match.
    if text.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("expected a path without . and .. segments".to_owned());
    }
    if text == "/healthz" {
        return Err("/healthz is taken: load balancers probe it".to_owned());
    }
    Ok(text.to_owned())
}

/// The first thing in `text` that is no `pchar` (RFC 3986 section 3.3); `*` is left out because it reads as a wildcard.
fn wrong_in_path(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (at, byte) in text.bytes().enumerate() {
        let fits = match byte {
            b'%' => bytes.get(at + 1..at + 3).is_some_and(|escape| escape.iter().all(u8::is_ascii_hexdigit)),
            b'*' => false,
            _ => byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@".contains(&byte),
        };
        if !fits {
            let unfit = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('\u{fffd}');
            return Some(if unfit == '%' { "% without two hex digits".to_owned() } else { format!("{unfit:?}") });
        }
    }
    None
}

/// An RFC 6901 pointer that points into the document, not at all of it.
pub(super) fn pointer(text: &str) -> Result<String, String> {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.starts_with('/') && text.len() > 1 && escapes {
        return Ok(text.to_owned());
    }
    Err(format!("expected a JSON pointer such as \"/eventId\" (RFC 6901), found {text:?}"))
}

/// `header:NAME`, a pointer, or `digest`.
pub(super) fn id_rule(text: &str) -> Result<IdRule, String> {
    match text {
        "digest" => Ok(IdRule::Digest),
        _ if text.starts_with('/') => pointer(text).map(IdRule::Pointer),
        _ => match text.strip_prefix("header:") {
            Some(header) => header_name(header).map(IdRule::Header),
            None => Err(format!(
                "expected a JSON pointer such as \"/eventId\", \"header:NAME\" or \"digest\", found {text:?}"
            )),
        },
    }
}

/// `header:NAME`, a pointer, or the type itself.
pub(super) fn type_rule(text: &str) -> Result<TypeRule, String> {
    if text.starts_with('/') {
        return pointer(text).map(TypeRule::Pointer);
    }
    if let Some(header) = text.strip_prefix("header:") {
        return header_name(header).map(TypeRule::Header);
    }
    if text.is_empty() || text.len() > MAX_TYPE || text.chars().any(char::is_control) {
        return Err(format!(
            "expected a JSON pointer, \"header:NAME\" or an event type of 1 to {MAX_TYPE} bytes without control characters"
        ));
    }
    Ok(TypeRule::Literal(text.to_owned()))
}

/// A header's name, in lower case.
pub(super) fn header_name(text: &str) -> Result<String, String> {
    let name = HeaderName::from_bytes(text.as_bytes());
    name.map(|name| name.as_str().to_owned()).map_err(|_| format!("expected the name of a header, found {text:?}"))
}

/// A media type without parameters, in lower case.
pub(super) fn media_type(text: &str) -> Result<String, String> {
    // A header's name and the halves of a media type are the same `token` (RFC 9110 section 5.6.2).
    let token = |part: &str| HeaderName::from_bytes(part.as_bytes()).is_ok() && part != "*";
    match text.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(text.to_ascii_lowercase()),
        _ => Err(format!("expected a media type without parameters such as \"application/json\", found {text:?}")),
    }
}

/// An `http` or `https` URL that can be sent to. The text is never repeated: it may hold a password.
pub(super) fn web_url(text: &str) -> Result<String, String> {
    address::web(text).map(|_| text.to_owned())
}

/// Whether `url` goes over an open wire: `http://` to anywhere but this machine.
pub(super) fn is_open_wire(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback_host)
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
}

/// Whether `address` is this machine, `::ffff:127.0.0.1` included.
pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A store's URL.
pub(super) fn store_url(text: &str) -> Result<String, String> {
    let postgres =
        ["postgres://", "postgresql://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    match text.strip_prefix("sqlite:") {
        Some(":memory:") => Err("a store in memory forgets what was acknowledged: give a path, sqlite:PATH".to_owned()),
        Some(path) if !path.is_empty() => Ok(text.to_owned()),
        None if postgres => Ok(text.to_owned()),
        _ => Err("expected sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "cxone-emea", "0", &"x".repeat(40)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "None", "none", "a_b", "a b", "ä", "A", &"x".repeat(41)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_those_of_rfc_3986() {
        for good in ["/", "/webhooks/cxone", "/a%20b", "/a:b@c;d=e,f!$&'()+~._-", "/a//b", "/%C3%A4"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        let bad = [
            "", "webhooks", "/a?b", "/a#b", "/{id}", "/a*", "/a b", "/ä", "/%", "/%2", "/%zz", "/a\"", "/a/../b", "/.",
            "/healthz",
        ];
        for bad in bad {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path(&format!("/{}", "a".repeat(1024))).is_err());
    }

    #[test]
    fn id_rules() {
        assert_eq!(id_rule("/id"), Ok(IdRule::Pointer("/id".into())));
        assert_eq!(id_rule("/a~1b~0c"), Ok(IdRule::Pointer("/a~1b~0c".into())));
        assert_eq!(id_rule("header:Webhook-Id"), Ok(IdRule::Header("webhook-id".into())));
        assert_eq!(id_rule("digest"), Ok(IdRule::Digest));
        for bad in ["", "id", "/", "/a~2", "/a~", "header:", "header:a b", "Digest"] {
            assert!(id_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn type_rules() {
        assert_eq!(type_rule("/type"), Ok(TypeRule::Pointer("/type".into())));
        assert_eq!(type_rule("header:X-Type"), Ok(TypeRule::Header("x-type".into())));
        assert_eq!(type_rule("order.created"), Ok(TypeRule::Literal("order.created".into())));
        for bad in ["", "/", "header:", "a\nb", &"x".repeat(257)] {
            assert!(type_rule(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn media_types_lose_their_case_and_have_no_parameters() {
        assert_eq!(media_type("Application/JSON").as_deref(), Ok("application/json"));
        for bad in ["", "json", "application/json; charset=utf-8", "*/*", "text/*", "a/b/c", "a/ b"] {
            assert!(media_type(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_have_ports_and_no_names() {
        for good in ["[::]:8443", "0.0.0.0:0", "127.0.0.1:65535"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["", "8443", ":8443", "localhost:8443", "127.0.0.1", "127.0.0.1:65536", "::1:80"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn open_wires_are_told_from_loopback() {
        for closed in
            ["https://a/", "http://localhost:1/", "http://127.9.9.9/", "http://[::1]:80/", "http://[::ffff:127.0.0.1]/"]
        {
            assert!(!is_open_wire(closed), "{closed}");
        }
        for open in ["http://a/", "HTTP://10.0.0.1/", "http://localhost.example/"] {
            assert!(is_open_wire(open), "{open}");
        }
    }

    #[test]
    fn store_urls() {
        for good in ["sqlite:data/gatepost.db", "sqlite:/a", "postgres://u@h/d", "postgresql://u@h/d"] {
            assert!(store_url(good).is_ok(), "{good}");
        }
        for bad in ["", "sqlite:", "sqlite::memory:", "postgres://", "mysql://u@h/d", "data/gatepost.db"] {
            assert!(store_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn web_urls_are_not_repeated_when_wrong() {
        assert!(web_url("https://siem.internal/api?x=1").is_ok());
        for bad in ["", "siem.internal", "ftp://h/", "https://", "/path", "https://h/ hunter2"] {
            let problem = web_url(bad).unwrap_err();
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
