//! Sockets: accept, handshake, connections, deadlines, drain. Knows nothing of webhooks.

pub mod client;
pub mod networks;
