//! `NO_PROXY`: hosts, suffixes, networks, `*`, each perhaps with a port; separated by commas or blanks.

use std::net::IpAddr;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use ipnet::IpNet;

use super::address;

/// What is reached without a proxy.
#[derive(Default)]
pub(super) struct Exceptions {
    pub(super) everything: bool,
    /// On every port, as [`Matcher`] reads them.
    pub(super) hosts: String,
    /// On one port alone: what is let through here is no exception.
    ported: Vec<(u16, Matcher)>,
    /// Entries that match nothing there is.
    pub(super) pointless: Vec<String>,
}

impl Exceptions {
    /// Reads a list.
    pub(super) fn read(list: &str) -> Self {
        let mut read = Self::default();
        for entry in list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()) {
            let (host, port) = match entry.rsplit_once(':') {
                // A colon before that one: an IPv6 address, not a port, unless it is in brackets.
                Some((host, port)) if address::is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
                    (host, port.parse::<u16>().ok())
                }
                _ => (entry, None),
            };
            let host = address::bare(host);
            // `*.example` is what others write for `.example`.
            let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
            if !can_match(host) {
                read.pointless.push(entry.to_owned());
            }
            match port {
                None if host == "*" => read.everything = true,
                None => {
                    read.hosts.push_str(host);
                    read.hosts.push(',');
                }
                Some(port) if host == "*" => read.ported.push((port, Matcher::builder().build())),
                Some(port) => read.ported.push((port, Matcher::builder().all("http://any").no(host).build())),
            }
        }
        read
    }

    /// Whether an entry with a port names `to`, which is reached on `port`.
    pub(super) fn name_port_of(&self, to: &Uri, port: u16) -> bool {
        self.ported.iter().any(|(only, except)| *only == port && except.intercept(to).is_none())
    }
}

/// Whether some destination can be meant by `host`: what is neither an address nor a network is compared with names.
fn can_match(host: &str) -> bool {
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    host == "*" || host.parse::<IpNet>().is_ok() || host.parse::<IpAddr>().is_ok() || is_name(host)
}

#[cfg(test)]
mod tests {
    use super::Exceptions;

    #[test]
    fn entries_that_match_nothing_are_known() {
        let read = Exceptions::read(
            "10.0.0.0/99, 10.0.0.0/8 h:443 h:99999 *.a.example .b a*b * 10.*, http://h [::1]:1 ::1 2001:db8::/200 ä",
        );
        assert_eq!(read.pointless, ["10.0.0.0/99", "h:99999", "a*b", "10.*", "http://h", "2001:db8::/200", "ä"]);
    }
}
