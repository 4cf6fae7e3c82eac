//! The listener: framing, limits, deadlines, TLS and PROXY headers, over raw sockets.

mod crowd;
mod drain;
mod handshake_log;
mod http1;
mod http2;
mod plain;
mod proxy;
mod rig;
mod slow;
mod tls;
