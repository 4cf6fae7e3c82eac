//! What the operator sets of a listener.

use std::time::Duration;

use super::networks::Networks;

/// Limits of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open connections at once. For one more the longest silent (without a whole `ClientHello`) is closed; where there is
    /// none the new one is, so that its sender tries again elsewhere or later.
    pub max_connections: usize,
    /// The same by client address: the socket's or the PROXY header's, an IPv6 /64 being one. Not applied to trusted
    /// proxies, which stand for many.
    pub max_connections_per_client: usize,
    /// From accept to handshake done, PROXY header and waiting for a handshake slot included.
    pub handshake_timeout: Duration,
    /// From the first byte of a head to its last; with HTTP/2 of any frame but DATA, the preface included.
    pub header_timeout: Duration,
    /// Longest time with nothing in flight; also the longest time for a client to take an answer.
    pub idle_timeout: Duration,
}

/// Whom to believe about where a connection comes from; swapped on reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proxy {
    /// Whether every connection must begin with a PROXY header (v1 or v2) from a trusted proxy.
    pub required: bool,
    /// The trusted proxies.
    pub trusted: Networks,
}
