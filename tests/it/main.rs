//! Integration tests: black-box tests of the real program over real sockets and TLS, the published vectors of the
//! schemes, and the shape of the sources. One binary, one module for each thing that is promised.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking; clippy's own exception covers test functions only"
)]

mod dispatch;
mod dispatch_memory;
mod dispatch_sqlite;
mod siem;
mod sink_http;
#[cfg(feature = "nats")]
mod sink_nats;
#[cfg(feature = "sqs")]
mod sink_sqs;
mod sink_upstream;
mod store;
