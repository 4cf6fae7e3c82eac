//! HTTP/2: h2's streams as requests to the service, and its responses as frames.
//!
//! hyper's server for HTTP/2 is not used: it cannot send 100 (Continue), so a client that waits for it waits for ever,
//! and it says nothing of requests that h2 refuses by itself.

mod connection;
mod frames;
mod keep_alive;
mod stream;

pub(super) use connection::Http2Connection;
