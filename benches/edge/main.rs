//! `cargo bench --bench edge -- [options]`: what a good sender notices of an attack, in latency with and without each.
//!
//! The attacker runs on the same machine and takes its share of the processors, so what is seen is an upper bound. It
//! measures, and fails where a good request is not answered with 200; it does not judge the figures (`docs/measurements/edge.md`).
#![expect(clippy::print_stdout, reason = "a report on stdout is what it is for")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "drives the program as the tests do: a measurement that cannot go on says so by panicking"
)]

mod attack;
mod options;
mod report;
mod rounds;
#[expect(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../../tests/it/support/mod.rs"]
mod support;

use clap::Parser as _;

use crate::options::Options;

fn main() {
    rounds::run(&Options::parse());
}
