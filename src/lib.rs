//! gatepost, a webhook receiver: each webhook verified, stored once, acknowledged, then delivered onward.
//!
//! Data moves one way: ingress → store → dispatch → sink. Modules are listed by stratum, top first;
//! a module imports only from strata below its own (`tests/it/layering.rs` holds the code to it).

// 11: the process
pub mod cli;
// 10: the composition root
pub mod app;
// 9: raw configuration → meaning
pub mod config;
// 8: the page and its API
pub mod admin;
// 7: what operators do, for the command line and the API
pub mod operations;
// 7: the signature doctor, by the functions that verify
pub mod explain;
// 6: pipelines; they never import each other
pub mod audit;
pub mod dispatch;
pub mod ingress;
pub mod otlp;
// 5: families, a trait and a registry each
pub mod scheme;
pub mod sink;
pub mod store;
// 4: sockets, TLS, connections
pub mod server;
// 3: process-wide plumbing, passed, never global
pub mod feed;
pub mod lifecycle;
pub mod metrics;
pub mod near_misses;
pub mod telemetry;
pub mod trace;
// 2: reads TOML and environment for whoever asks
pub mod settings;
// 1: vocabulary
pub mod audit_record;
pub mod backoff;
pub mod clock;
pub mod escape;
pub mod event;
pub mod file;
pub(crate) mod flat_json;
mod json_text;
mod request_id;
pub mod request_outcome;
pub mod secret;
mod shell;
pub(crate) mod time_arg;
