//! Who sent a request: the peer, or what trusted proxies say of it.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};

use super::networks::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection, put into every request's extensions by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address, or what the PROXY header says of that.
    pub ip: IpAddr,
    /// Which connection of this process it is.
    pub connection: ConnectionId,
}

impl Peer {
    /// `ip` at the other end of a connection that has just been made.
    #[must_use]
    pub fn of_new_connection(ip: IpAddr) -> Self {
        Self { ip, connection: ConnectionId(fastrand::u64(..)) }
    }
}

/// The name of a connection, unique in this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// A forwarded address, at the place that decides, which is not an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BadForwarded;

/// The address that `ip` counts under where a client has a share: its own, or the first of its /64 in IPv6, where one host
/// has all of a /64 to itself (RFC 4291 section 2.5.1).
#[must_use]
pub(crate) const fn counted_as(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The client's address: the peer, or, when that is a trusted proxy, the right-most address in `X-Forwarded-For`
/// (else `Forwarded`, RFC 7239) that is not one. All lines of the header count together, in order. Where every entry
/// is a trusted proxy it is the left-most; where there is none it is the peer. Headers from anybody else are ignored.
///
/// # Errors
/// [`BadForwarded`] where the deciding entry does not parse, or where a quote in `Forwarded` is left open: whatever
/// stands behind it may be the sender's own words.
pub(crate) fn client_ip(peer: Peer, headers: &HeaderMap, trusted: &Networks) -> Result<IpAddr, BadForwarded> {
    let peer = peer.ip.to_canonical();
    if !trusted.contains(peer) {
        return Ok(peer);
    }
    if headers.contains_key(X_FORWARDED_FOR) {
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|&b| b == b','));
        return first_untrusted(peer, entries.map(address), trusted);
    }
    let mut elements = Vec::new();
    for line in headers.get_all(FORWARDED) {
        split_unquoted(line.as_bytes(), b',', &mut elements)?;
    }
    first_untrusted(peer, elements.into_iter().rev().map(forwarded_for), trusted)
}

/// Walks from the nearest hop outwards over trusted proxies.
fn first_untrusted(
    peer: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    trusted: &Networks,
) -> Result<IpAddr, BadForwarded> {
    let mut client = peer;
    for hop in hops {
        client = hop.ok_or(BadForwarded)?.to_canonical();
        if !trusted.contains(client) {
            break;
        }
    }
    Ok(client)
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`, blanks around it allowed.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry.trim_ascii()).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (v6, rest) = bracketed.split_once(']')?;
        let sound = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return v6.parse().ok().filter(|_| sound).map(IpAddr::V6);
    }
    match text.split_once(':') {
        Some((v4, port)) if !port.contains(':') => v4.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4),
        _ => text.parse().ok(),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The address of the one `for` parameter of an element of `Forwarded`; `unknown` and `_names` are none.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut pairs = Vec::new();
    split_unquoted(element, b';', &mut pairs).ok()?;
    let mut found = None;
    for pair in pairs {
        let at = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            let bare = match value.get(1..)?.trim_ascii() {
                [b'"', inner @ .., b'"'] => inner,
                bare => bare,
            };
            if found.replace(address(bare)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// Splits at `separator` outside quoted strings (RFC 9110 section 5.6.4).
fn split_unquoted<'a>(text: &'a [u8], separator: u8, parts: &mut Vec<&'a [u8]>) -> Result<(), BadForwarded> {
    let (mut quoted, mut escaped) = (false, false);
    let mut separates = |&b: &u8| {
        if escaped {
            escaped = false;
        } else if quoted && b == b'\\' {
            escaped = true;
        } else if b == b'"' {
            quoted = !quoted;
        }
        b == separator && !quoted
    };
    parts.extend(text.split(|b| separates(b)));
    if quoted { Err(BadForwarded) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn resolve(peer: &str, lines: &[(HeaderName, &str)]) -> Result<IpAddr, BadForwarded> {
        let trusted = Networks::parse(["10.0.0.0/8", "2001:db8:1::/48"]).unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_ip(Peer::of_new_connection(peer.parse().unwrap()), &headers, &trusted)
    }

    fn xff(lines: &[&str]) -> Result<String, BadForwarded> {
        let lines: Vec<_> = lines.iter().map(|line| (X_FORWARDED_FOR, *line)).collect();
        resolve("10.0.0.1", &lines).map(|ip| ip.to_string())
    }

    fn forwarded(lines: &[&str]) -> Result<String, BadForwarded> {
        let lines: Vec<_> = lines.iter().map(|line| (FORWARDED, *line)).collect();
        resolve("10.0.0.1", &lines).map(|ip| ip.to_string())
    }

    #[test]
    fn an_ipv6_client_counts_by_its_64() {
        let counted = |ip: &str| counted_as(ip.parse().unwrap()).to_string();
        assert_eq!(counted("192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(counted("::1"), "::");
    }

    #[test]
    fn the_right_most_address_that_is_no_trusted_proxy_counts() {
        assert_eq!(xff(&["6.6.6.6, 192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(xff(&["6.6.6.6, 192.0.2.1, 10.0.0.2,10.0.0.3"]).unwrap(), "192.0.2.1");
        assert_eq!(xff(&["6.6.6.6", "192.0.2.1", "10.0.0.2"]).unwrap(), "192.0.2.1", "all lines together, in order");
        assert_eq!(xff(&["10.0.0.9, 10.0.0.8"]).unwrap(), "10.0.0.9", "all trusted: the left-most");
        assert_eq!(xff(&[]).unwrap(), "10.0.0.1", "none: the peer");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        assert_eq!(xff(&["192.0.2.1:4711"]).unwrap(), "192.0.2.1");
        assert_eq!(xff(&["[2001:db8::7]:4711"]).unwrap(), "2001:db8::7");
        assert_eq!(xff(&["[2001:db8::7]"]).unwrap(), "2001:db8::7");
        assert_eq!(xff(&["2001:db8::7, 2001:db8:1::9"]).unwrap(), "2001:db8::7");
        assert_eq!(xff(&["192.0.2.1, ::ffff:10.0.0.2"]).unwrap(), "192.0.2.1");
        assert_eq!(
            resolve("::ffff:10.0.0.1", &[(X_FORWARDED_FOR, "::ffff:192.0.2.1")]).unwrap().to_string(),
            "192.0.2.1"
        );
    }

    #[test]
    fn an_entry_that_decides_must_parse_and_one_that_does_not_decide_need_not() {
        for bad in [
            "",
            "unknown",
            "010.0.0.1",
            "127.1",
            "1.2.3.4:",
            "1.2.3.4:65536",
            "1.2.3.4:+1",
            "[1.2.3.4]",
            "[::1",
            "::1]",
            "1.2.3.4,",
            "é",
        ] {
            assert_eq!(xff(&[bad]), Err(BadForwarded), "{bad:?}");
            assert_eq!(xff(&[&format!("192.0.2.1, {bad}, 10.0.0.2")]), Err(BadForwarded), "{bad:?}");
        }
        assert_eq!(xff(&["unknown, 192.0.2.1"]).unwrap(), "192.0.2.1");
    }

    #[test]
    fn forwarded_is_read_where_x_forwarded_for_is_absent() {
        assert_eq!(
            forwarded(&["for=6.6.6.6, For=\"[2001:db8::7]:47\";proto=https, for=10.0.0.2"]).unwrap(),
            "2001:db8::7"
        );
        assert_eq!(forwarded(&["for=6.6.6.6", "proto=https;for=192.0.2.1;by=10.0.0.1"]).unwrap(), "192.0.2.1");
        assert_eq!(forwarded(&["nonsense, for=192.0.2.1"]).unwrap(), "192.0.2.1");
        let both = [(FORWARDED, "for=6.6.6.6"), (X_FORWARDED_FOR, "192.0.2.1")];
        assert_eq!(resolve("10.0.0.1", &both).unwrap().to_string(), "192.0.2.1");
    }

    #[test]
    fn forwarded_that_cannot_be_believed_is_refused() {
        for bad in [
            "for=unknown",
            "for=_hidden",
            "proto=https",
            "for=1.2.3.4;for=5.6.7.8",
            "for",
            "",
            "for=\"1.2.3.4",
            "for=6.6.6.6;x=\", for=192.0.2.1",
            "for=6.6.6.6;x=\"\\, for=\"192.0.2.1\"",
        ] {
            assert_eq!(forwarded(&[bad]), Err(BadForwarded), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_of_an_untrusted_peer_changes_the_client(xff in "[ -~\t]{0,60}", forwarded in "[ -~\t]{0,60}") {
            let lines = [(X_FORWARDED_FOR, xff.as_str()), (FORWARDED, forwarded.as_str())];
            prop_assert_eq!(resolve("192.0.2.9", &lines).unwrap().to_string(), "192.0.2.9");
        }

        #[test]
        fn arbitrary_headers_never_panic_and_the_proxys_own_entry_decides(sent in "[ -~\t]{0,60}") {
            let line = format!("{sent}, 192.0.2.1");
            prop_assert_eq!(resolve("10.0.0.1", &[(X_FORWARDED_FOR, &line)]).unwrap().to_string(), "192.0.2.1");
            let line = format!("{sent}, for=192.0.2.1;host=\"a\"");
            // Refused where the sender left a quote open, never the sender's choice.
            if let Ok(ip) = resolve("10.0.0.1", &[(FORWARDED, &line)]) {
                prop_assert_eq!(ip.to_string(), "192.0.2.1");
            }
        }
    }
}
