//! The integration tests: black box, over real sockets and TLS.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod server_drain;
mod server_http1;
mod server_http2;
mod server_proxy;
mod server_rig;
mod server_slow;
mod server_tls;
