//! What an operator sees of a running daemon and does to it: probes, metrics, logs, reloads, stopping, the
//! page and its API.

mod access;
mod acts;
mod api;
mod browser;
mod client;
mod forms;
mod guard;
mod lifecycle;
mod listener;
mod logs;
mod metrics;
mod reload;
mod reload_tls;
mod schemathesis;
mod search;
mod sessions;
mod several;
mod store;
mod tls;
