//! What an operator sees of a running daemon and does to it: probes, metrics, logs, reloads, stopping.

mod access;
mod lifecycle;
mod listener;
mod logs;
mod metrics;
mod reload;
mod reload_tls;
