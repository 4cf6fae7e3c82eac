//! Sets of addresses: allowlists and trusted proxies.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net, PrefixLenError};

/// Bits in front of the IPv4 address in `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A set of addresses. `::ffff:a.b.c.d` is `a.b.c.d` on both sides of every comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Networks {
    /// Every address; only ever by the operator's word `any`.
    Any,
    /// These networks; an empty list matches nothing.
    List(Vec<IpNet>),
}

impl Networks {
    /// Reads addresses and CIDRs, canonical text only (`010.0.0.1`, `127.1` are errors); the single entry `any` is
    /// [`Networks::Any`]. No entries at all is an empty list: whether that may be is for the caller to say.
    ///
    /// # Errors
    /// One sentence for each entry that is not one.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<String>> {
        let entries: Vec<&str> = entries.into_iter().map(str::trim).collect();
        if entries == ["any"] {
            return Ok(Self::Any);
        }
        let mut nets = Vec::with_capacity(entries.len());
        let mut errors = Vec::new();
        for entry in entries {
            match parse_entry(entry) {
                Ok(net) => nets.push(net),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self::List(nets)) } else { Err(errors) }
    }

    /// Whether `address` is among them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::List(nets) => {
                let address = address.to_canonical();
                nets.iter().any(|net| net.contains(&address))
            }
        }
    }
}

impl Networks {
    /// Whether nobody is among them.
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::List(nets) if nets.is_empty())
    }

    /// As it stands in a TOML file: `"any"`, or a list.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Any => "\"any\"".to_owned(),
            Self::List(list) => format!("{:?}", list.iter().map(ToString::to_string).collect::<Vec<_>>()),
        }
    }
}

impl fmt::Display for Networks {
    /// `any`, or the entries joined by `, `, single addresses without their prefix length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::List(nets) = self else { return f.write_str("any") };
        for (i, net) in nets.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if net.prefix_len() == net.max_prefix_len() { net.addr().fmt(f)? } else { net.fmt(f)? }
        }
        Ok(())
    }
}

/// An address or a CIDR, or what is wrong with it in one sentence.
fn parse_entry(entry: &str) -> Result<IpNet, String> {
    if entry.eq_ignore_ascii_case("any") {
        return Err(format!("`{entry}` stands for every address and must be the only entry, in lower case"));
    }
    let (address, prefix) = match entry.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().map_err(|_| {
        format!("{entry:?} is not an address or CIDR in canonical form (like 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)")
    })?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let bad_prefix = || format!("{entry:?}: the part after the slash must be a number from 0 to {longest}");
    let prefix = prefix.map_or(Some(longest), parse_prefix).ok_or_else(bad_prefix)?;
    let net = normalise(address, prefix).map_err(|_| bad_prefix())?;
    if net.addr() != net.network() {
        let (network, host) = (net.trunc(), net.addr());
        return Err(format!(
            "{entry:?} has bits set behind its prefix: write {network} for the network, {host} for the address"
        ));
    }
    Ok(net)
}

/// Digits only, no leading zero.
fn parse_prefix(text: &str) -> Option<u8> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// The network, as IPv4 where it lies within `::ffff:0:0/96`.
fn normalise(address: IpAddr, prefix: u8) -> Result<IpNet, PrefixLenError> {
    match address {
        IpAddr::V4(v4) => Ipv4Net::new(v4, prefix).map(IpNet::V4),
        IpAddr::V6(v6) => match (v6.to_ipv4_mapped(), prefix.checked_sub(MAPPED_BITS)) {
            (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).map(IpNet::V4),
            _ => Ipv6Net::new(v6, prefix).map(IpNet::V6),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Networks {
        Networks::parse(entries.iter().copied()).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_networks_match_in_both_families() {
        let nets = list(&["192.0.2.7", "198.51.100.0/24", "2001:db8::/32", "::1"]);
        for inside in ["192.0.2.7", "198.51.100.255", "2001:db8:ffff::1", "::1"] {
            assert!(nets.contains(ip(inside)), "{inside}");
        }
        for outside in ["192.0.2.8", "198.51.101.0", "2001:db9::1", "::2", "0.0.0.1"] {
            assert!(!nets.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_on_both_sides() {
        assert!(list(&["192.0.2.7"]).contains(ip("::ffff:192.0.2.7")));
        assert!(list(&["::ffff:192.0.2.7"]).contains(ip("192.0.2.7")));
        assert!(list(&["::ffff:10.0.0.0/104"]).contains(ip("10.200.0.1")));
        assert!(list(&["::ffff:10.0.0.0/104"]).contains(ip("::ffff:10.200.0.1")));
        assert!(!list(&["::ffff:10.0.0.0/104"]).contains(ip("11.0.0.1")));
        assert!(list(&["::ffff:0:0/96"]).contains(ip("203.0.113.9")));
        assert!(!list(&["::/0"]).contains(ip("203.0.113.9")), "all of IPv6 is not IPv4");
    }

    #[test]
    fn only_canonical_text_is_an_address() {
        for bad in [
            "",
            " ",
            "010.0.0.1",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "1.2.3",
            "1.2.3.4.5",
            "1.2.3.4/",
            "1.2.3.4/33",
            "1.2.3.0/024",
            "1.2.3.0/+24",
            "1.2.3.0/ 24",
            "::/129",
            "fe80::1%eth0",
            "[::1]",
            "localhost",
            "1.2.3.4:80",
            "1.2.3.4/24/24",
            "ANY",
        ] {
            assert!(Networks::parse([bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn host_bits_are_an_error_that_tells_the_right_form() {
        let errors = Networks::parse(["10.0.0.1/8", "2001:db8::1/32"]).unwrap_err();
        assert!(errors[0].contains("10.0.0.0/8") && errors[0].contains("10.0.0.1"), "{}", errors[0]);
        assert!(errors[1].contains("2001:db8::/32"), "{}", errors[1]);
    }

    #[test]
    fn any_stands_alone_and_nothing_matches_nothing() {
        assert_eq!(list(&["any"]), Networks::Any);
        assert!(Networks::parse(["any", "10.0.0.0/8"]).is_err());
        assert_eq!(list(&[]), Networks::List(Vec::new()));
        assert!(!list(&[]).contains(ip("127.0.0.1")));
    }

    #[test]
    fn every_faulty_entry_is_reported() {
        assert_eq!(Networks::parse(["1.2.3", "10.0.0.0/8", "x"]).unwrap_err().len(), 2);
    }

    #[test]
    fn entries_are_listed_as_an_operator_writes_them() {
        assert_eq!(list(&["10.0.0.0/8", "::ffff:1.2.3.4", "::1"]).to_string(), "10.0.0.0/8, 1.2.3.4, ::1");
        assert_eq!(Networks::Any.to_string(), "any");
    }
}
