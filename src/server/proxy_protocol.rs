//! The PROXY protocol, versions 1 and 2 (`HAProxy`'s proxy-protocol.txt): who is really at the other end.
//!
//! Reads exactly the header's bytes, so that what follows is the TLS handshake. Whether the peer may send one at all
//! is the caller's matter, and so is the deadline.

use std::io;
use std::net::IpAddr;

use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The first bytes of version 2.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The first bytes of version 1.
const V1_PREFIX: &[u8] = b"PROXY ";
/// Signature, version, family and length of version 2.
const V2_FIXED: usize = 16;
/// Longest line of version 1, CR LF included (section 2.1 of the specification).
const V1_MAX: usize = 107;
/// Longest version 2 header taken. Addresses are at most 216 bytes; the rest is room for TLVs (a client certificate's
/// names among them), none of which we read.
const V2_MAX: usize = V2_FIXED + 2048;

/// Why a connection has no believable PROXY header.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    /// The connection ended or failed within the header.
    #[error("the connection ended before the PROXY header did")]
    Io(#[from] io::Error),
    /// The bytes are no header, or one that is too long.
    #[error("not a PROXY header: {0}")]
    Malformed(&'static str),
    /// The header would come from somebody who is not to be believed.
    #[error("the peer is not among the trusted proxies")]
    Untrusted,
}

/// A whole header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Header {
    /// Its length, bytes.
    len: usize,
    /// The client; `None` where the header says to take the socket's address (`LOCAL`, `UNKNOWN`, `UNSPEC`).
    source: Option<IpAddr>,
}

/// Reads one header off `stream`, which then stands at the byte after it.
///
/// # Errors
/// [`ProxyError`] where there is none; the connection is then to be closed.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, ProxyError> {
    let mut header: Vec<u8> = Vec::with_capacity(V1_MAX);
    let mut ahead = [0; 256];
    loop {
        // Looking before taking: bytes behind the header belong to TLS. Everything looked at is taken unless the
        // header ends within, so that a peek never sees the same bytes twice.
        let seen = stream.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let before = header.len();
        header.extend(ahead.iter().take(seen));
        let found = parse(&header)?;
        let take = found.map_or(seen, |found| found.len - before);
        let Some(taken) = ahead.get_mut(..take) else { return Err(ProxyError::Malformed("its length changed")) };
        stream.read_exact(taken).await?;
        if let Some(found) = found {
            return Ok(found.source);
        }
    }
}

/// The header that `bytes` begin with; `None` while it is not complete but may still become one.
fn parse(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    if begins_alike(bytes, V2_SIGNATURE) {
        parse_v2(bytes)
    } else if begins_alike(bytes, V1_PREFIX) {
        parse_v1(bytes)
    } else {
        Err(ProxyError::Malformed("neither version's first bytes"))
    }
}

/// Whether `bytes` and `prefix` agree as far as both go.
fn begins_alike(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.iter().zip(prefix).all(|(a, b)| a == b)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    let end = bytes.iter().take(V1_MAX).position(|&b| b == b'\n');
    let Some(line) = end.and_then(|end| bytes.get(..=end)) else {
        return if bytes.len() < V1_MAX { Ok(None) } else { Err(ProxyError::Malformed("longer than 107 bytes")) };
    };
    // Integer parsing takes a leading plus sign; the specification does not.
    if line.contains(&b'+') {
        return Err(ProxyError::Malformed("a sign in a number"));
    }
    let header = v1::Header::try_from(line).map_err(|_| ProxyError::Malformed("faulty version 1 line"))?;
    let source = match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ip) => Some(IpAddr::V4(ip.source_address)),
        v1::Addresses::Tcp6(ip) => Some(IpAddr::V6(ip.source_address)),
    };
    // A CR earlier in the line would end the header there for the parser but not for us.
    if header.header.len() != line.len() {
        return Err(ProxyError::Malformed("faulty version 1 line"));
    }
    Ok(Some(Header { len: line.len(), source: source.map(|ip| ip.to_canonical()) }))
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    let Some(&[high, low]) = bytes.get(V2_FIXED - 2..V2_FIXED) else { return Ok(None) };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > V2_MAX {
        return Err(ProxyError::Malformed("version 2 header too long"));
    }
    let Some(whole) = bytes.get(..len) else { return Ok(None) };
    let header = v2::Header::try_from(whole).map_err(|_| ProxyError::Malformed("faulty version 2 header"))?;
    let source = match (header.command, header.addresses) {
        (v2::Command::Local, _) | (v2::Command::Proxy, v2::Addresses::Unspecified) => None,
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Some(IpAddr::V4(ip.source_address)),
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Some(IpAddr::V6(ip.source_address)),
        (v2::Command::Proxy, v2::Addresses::Unix(_)) => return Err(ProxyError::Malformed("a UNIX socket's address")),
    };
    if source.is_some() && header.protocol != v2::Protocol::Stream {
        return Err(ProxyError::Malformed("not a stream"));
    }
    Ok(Some(Header { len, source: source.map(|ip| ip.to_canonical()) }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v2_header(version_command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
        bytes.extend([version_command, family]);
        bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];

    fn source(bytes: &[u8]) -> Option<String> {
        parse(bytes).unwrap().unwrap().source.map(|ip| ip.to_string())
    }

    #[test]
    fn version_1_gives_the_source() {
        assert_eq!(source(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n").unwrap(), "192.0.2.1");
        assert_eq!(source(b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n\x16\x03").unwrap(), "2001:db8::1");
        assert_eq!(source(b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n").unwrap(), "192.0.2.1");
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN ff:: ff:: 1 2\r\n"), None);
    }

    #[test]
    fn version_2_gives_the_source_whatever_tlvs_follow() {
        assert_eq!(source(&v2_header(0x21, 0x11, &V4)).unwrap(), "192.0.2.1");
        let with_tlv = [&V4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        assert_eq!(source(&v2_header(0x21, 0x11, &with_tlv)).unwrap(), "192.0.2.1");
        assert_eq!(source(&v2_header(0x20, 0x00, &[])), None, "LOCAL");
        assert_eq!(source(&v2_header(0x20, 0x11, &V4)), None, "LOCAL, addresses to be ignored");
        assert_eq!(source(&v2_header(0x21, 0x00, &[])), None, "UNSPEC");
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_certain() {
        let long_line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
        let bad: Vec<Vec<u8>> = vec![
            b"\x16\x03\x01".to_vec(),
            b"GET / HTTP/1.1\r\n".to_vec(),
            b"proxy TCP4".to_vec(),
            b"PROXY\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +4711 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 65536\r\n".to_vec(),
            b"PROXY TCP4 010.0.2.1 10.0.0.1 4711 443\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 10.0.0.1 4711 443\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 x\r\n".to_vec(),
            b"PROXY UNKNOWN\rxx\r\n".to_vec(),
            long_line.into_bytes(),
            vec![b'P'; 200],
            v2_header(0x11, 0x11, &V4),
            v2_header(0x22, 0x11, &V4),
            v2_header(0x21, 0x12, &V4),
            v2_header(0x21, 0x11, &V4[..11]),
            v2_header(0x21, 0x31, &[0; 216]),
            v2_header(0x21, 0x11, &[0; 2049])[..16].to_vec(),
        ];
        for bytes in bad {
            assert!(parse(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn every_prefix_of_a_header_is_incomplete() {
        for whole in [b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n".to_vec(), v2_header(0x21, 0x11, &V4)] {
            for end in 0..whole.len() {
                assert_eq!(parse(&whole[..end]).unwrap(), None, "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..3_usize) {
            let prefix: &[u8] = [&b""[..], V1_PREFIX, V2_SIGNATURE][kind];
            let bytes = [prefix, &bytes].concat();
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.len <= bytes.len());
            }
        }
    }
}
