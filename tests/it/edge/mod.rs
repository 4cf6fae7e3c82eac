//! What stands at the edge: the shipped deployments, the real HAProxy, and peers that attack.

mod deploy;
mod files;
mod haproxy;
mod heads;
mod memory;
mod slow;
