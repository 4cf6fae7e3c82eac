//! Integration tests: one binary, one module for each thing that is promised.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking; clippy's own exception covers test functions only"
)]

mod access;
mod admin;
mod answers;
mod cli;
mod cli_dev;
mod cli_listings;
mod clocks;
mod config;
mod crash;
mod deploy;
mod dispatch;
mod dispatch_crash;
mod dispatch_liveness;
mod dispatch_memory;
mod dispatch_sqlite;
mod edge_crowd;
mod edge_files;
mod edge_heads;
mod edge_measure;
mod edge_memory;
mod edge_slow;
mod env_config;
mod explain;
mod fuzz;
mod handshake_log;
mod haproxy;
mod hmac;
mod http1;
mod http2;
mod ids;
mod json;
mod layering;
mod lifecycle;
mod limits;
mod logs;
mod lost_files;
mod metrics;
mod order;
mod orphans;
mod quarantine;
mod reject;
mod reject_sigv4;
mod reload;
mod reload_outlets;
mod reload_tls;
mod replicas;
mod replicas_faults;
mod replicas_haproxy;
mod replicas_migrate;
mod replicas_rig;
mod schemes_hmac;
mod schemes_ids;
mod schemes_secrets;
mod schemes_sigv4;
mod server_crowd;
mod server_drain;
mod server_http1;
mod server_http2;
mod server_plain;
mod server_proxy;
mod server_rig;
mod server_slow;
mod server_tls;
mod siem;
mod sigv4;
mod sink_address;
mod sink_http;
mod sink_nats;
mod sink_proxy;
mod sink_sqs;
mod sink_upstream;
mod smuggling;
mod store;
mod support;
mod tls;
mod waiting;
