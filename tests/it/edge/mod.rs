//! What stands at the edge: the shipped deployments, the real HAProxy and nginx, what watches, and peers that attack.

mod container;
mod deploy;
mod files;
mod fronts;
mod grafana;
mod haproxy;
mod heads;
mod kubernetes;
mod memory;
mod nginx;
mod packages;
mod prometheus;
mod promql;
mod rolling;
mod slow;
