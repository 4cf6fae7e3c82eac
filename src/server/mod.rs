//! Sockets: accept, handshake, connections, deadlines, drain. Knows nothing of webhooks.
//!
//! [`Server::serve`] turns a listening socket into calls of one `tower` service, each request marked with its
//! [`client::Peer`] and, where its client showed one, its certificate. A connection passes: a permit ([`connection_limit`]), the PROXY header where required
//! ([`proxy_protocol`]), the `ClientHello` ([`handshake`]), a slot ([`handshake_queue`]), the TLS handshake ([`tls`]),
//! HTTP/1.1 or HTTP/2 ([`conn`]) under the deadlines that [`activity`] keeps. Routing, limits on bodies and responses are
//! the service's.
//! [`PlainServer`] is the same without TLS and without strangers: few connections, and always one more.
//!
//! Memory of an idle connection: hyper's first read buffer (8 KiB, its least), rustls's session and buffers, and a few
//! small boxed futures; 18 KiB before and 21 KiB after a request, 24 KiB for HTTP/2 (development build). To measure:
//! note `VmRSS` in `/proc/PID/status`, open 1000 idle TLS connections from another process, divide the difference.

mod accept;
mod accept_backoff;
mod activity;
pub mod client;
pub mod client_certificate;
mod conn;
mod connection_failure;
mod connection_limit;
mod handshake;
mod handshake_queue;
mod head_budget;
mod http2;
mod idle_eviction;
mod limits;
mod listener;
pub mod networks;
mod plain_server;
mod proxy_protocol;
mod rewrite_errors;
mod service;
pub(crate) mod settings;
mod socket;
pub(crate) mod starter;
pub mod tls;

pub use accept::Server;
pub use limits::{Limits, Proxy};
pub use plain_server::{AdminTls, PlainServer};
pub(crate) use service::Unreadable;
pub use settings::{CertificateFiles, ClientAuth, Connections, Deadlines, Listener, Tls};
