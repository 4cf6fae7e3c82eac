//! The integration tests: black box, over real sockets and TLS.

mod server_drain;
mod server_http1;
mod server_http2;
mod server_proxy;
mod server_rig;
mod server_slow;
mod server_tls;
