//! What may stand in `Host` and `:authority`: `uri-host [":" port]` (RFC 9112, section 3.2; RFC 3986, section 3.2.2).

use std::net::Ipv6Addr;

/// Whether `text` is a host, perhaps with a port; without user information, and not empty.
pub(super) fn is_host(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if let Some(rest) = text.strip_prefix('[') {
        let Some((literal, port)) = rest.split_once(']') else { return false };
        return is_ip_literal(literal) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    is_name(name) && port.is_none_or(is_port)
}

/// What stands between brackets: an IPv6 address without a zone, or an address of a later version.
fn is_ip_literal(text: &str) -> bool {
    let later =
        text.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')).is_some_and(|(version, address)| {
            let hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
            hex && !address.is_empty() && address.bytes().all(|byte| byte == b':' || is_plain(byte))
        });
    later || text.parse::<Ipv6Addr>().is_ok()
}

/// An IPv4 address or a registered name, which are written in the same characters.
fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escape = byte == b'%'
            && [bytes.next(), bytes.next()].into_iter().flatten().filter(u8::is_ascii_hexdigit).count() == 2;
        if !escape && !is_plain(byte) {
            return false;
        }
    }
    !text.is_empty()
}

/// Digits, perhaps none: the grammar lets a colon stand alone. No port is greater than 65535.
fn is_port(text: &str) -> bool {
    text.is_empty() || (text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

/// RFC 3986, section 2: `unreserved` and `sub-delims`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_a_port() {
        for right in [
            "a",
            "Hooks.Example.com",
            "hooks.example.com:8443",
            "hooks.example.com.:443",
            "a_b-c~d",
            "a:",
            "a:0",
            "a:00443",
            "192.0.2.1",
            "192.0.2.1:8443",
            "[::1]",
            "[2001:db8::1]:8443",
            "[::ffff:192.0.2.1]",
            "[v1.fe:80]",
            "%61b",
            "a!$&'()*+,;=b",
        ] {
            assert!(is_host(right.as_bytes()), "{right}");
        }
    }

    #[test]
    fn anything_else() {
        for wrong in [
            "",
            ":443",
            "a b",
            "a\tb",
            " a",
            "a ",
            "a/",
            "a/b",
            "http://a",
            "a?b",
            "a#b",
            "u@a",
            "u:p@a",
            "a\\b",
            "a\u{1}",
            "a\u{7f}",
            "\u{e4}",
            "a:b",
            "a:443x",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:99999999999999999999",
            "a:1:2",
            "::1",
            "2001:db8::1",
            "[::1",
            "::1]",
            "[]",
            "[::1]x",
            "[::1]8443",
            "[::1]:x",
            "[:::1]",
            "[::g]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[v.1]",
            "[v1.]",
            "[a]",
            "a[::1]",
            "%",
            "%4",
            "%zz",
            "<a>",
            "\"a\"",
            "a,b c",
            "{a}",
            "a|b",
        ] {
            assert!(!is_host(wrong.as_bytes()), "{wrong}");
        }
        assert!(!is_host(b"a\xff") && !is_host(b"a\0"));
    }
}
