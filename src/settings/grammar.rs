//! The small grammars that several rooms share: names, labels, files, addresses, header names, URLs.
//!
//! Each function reads one text and says, where it cannot, what was expected.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::{HeaderName, Uri};

use crate::event::Name;

/// The longest name of a source or sink.
const MAX_NAME: usize = 40;
/// The longest label of a key.
const MAX_LABEL: usize = 64;

/// The name of a source or sink. `none` is what records call requests that no source took.
pub(crate) fn name(text: &str) -> Result<Name, String> {
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
pub(crate) fn label(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=MAX_LABEL).contains(&text.len()) && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a label of 1 to {MAX_LABEL} of a-z, A-Z, 0-9, -, . and _"))
}

/// The name of an environment variable.
pub(crate) fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) || text.contains(char::is_whitespace) {
        return Err("expected the name of an environment variable".to_owned());
    }
    Ok(text.to_owned())
}

/// The path of a file.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') { Err("expected the path of a file".to_owned()) } else { Ok(text.into()) }
}

/// An address and a port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let wanted = "expected ADDRESS:PORT such as \"[::]:8443\" or \"127.0.0.1:9090\" (no host names)";
    text.parse().map_err(|_| format!("{wanted}, found {text:?}"))
}

/// An RFC 6901 pointer that points into the document, not at all of it.
pub(crate) fn pointer(text: &str) -> Result<String, String> {
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.starts_with('/') && text.len() > 1 && escapes {
        return Ok(text.to_owned());
    }
    Err(format!("expected a JSON pointer such as \"/eventId\" (RFC 6901), found {text:?}"))
}

/// A header's name, in lower case.
pub(crate) fn header_name(text: &str) -> Result<String, String> {
    let name = HeaderName::from_bytes(text.as_bytes());
    name.map(|name| name.as_str().to_owned()).map_err(|_| format!("expected the name of a header, found {text:?}"))
}

/// A media type without parameters, in lower case.
pub(crate) fn media_type(text: &str) -> Result<String, String> {
    // A header's name and the halves of a media type are the same `token` (RFC 9110 section 5.6.2).
    let token = |part: &str| HeaderName::from_bytes(part.as_bytes()).is_ok() && part != "*";
    match text.split_once('/') {
        Some((kind, subtype)) if token(kind) && token(subtype) => Ok(text.to_ascii_lowercase()),
        _ => Err(format!("expected a media type without parameters such as \"application/json\", found {text:?}")),
    }
}

/// Whether `url` goes over an open wire: `http://` to anywhere but this machine.
pub(crate) fn is_open_wire(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback_host)
}

/// Whether `address` is this machine, `::ffff:127.0.0.1` included.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_loopback_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(is_loopback)
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
}
