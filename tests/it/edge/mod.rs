//! What stands at the edge: the shipped deployments, the real HAProxy and nginx, what watches, and peers that attack.

mod deploy;
mod files;
mod fronts;
mod haproxy;
mod heads;
mod kubernetes;
mod memory;
mod nginx;
mod rolling;
mod slow;
