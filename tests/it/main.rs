//! Integration tests: one binary, a room for each part of what is promised.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking; clippy's own exception covers test functions only"
)]

/// What an operator sees of a running daemon and does to it: probes, metrics, logs, reloads, stopping.
mod admin;
/// The command line, with and without a daemon beside it.
mod cli;
/// What a sender is promised, asked of the running program and of the schemes: answers, ids, limits, signatures.
mod contract;
/// From the store to the sinks: retries, ends, crashes, and that in the end everything is delivered.
mod dispatch;
/// What stands at the edge: the shipped deployments, the real HAProxy and nginx, what watches, and peers that attack.
mod edge;
/// The shape of the sources themselves.
mod layering;
/// Several processes on one PostgreSQL: one receiver, whatever fails under or between them.
mod replicas;
/// The listener: framing, limits, deadlines, TLS and PROXY headers, over raw sockets.
mod server;
/// What each sink and the SIEM send, through which proxies, and what they make of the answers.
mod sinks;
/// What every store promises, on each of them, and that nothing acknowledged is lost.
mod store;
/// What tests share: a running program, raw clients, independent signers, rigs. No tests.
mod support;
