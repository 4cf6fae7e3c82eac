//! `cargo bench --bench deliver -- [options]`: what delivering costs, from a full queue to each kind of sink.
//!
//! A store is filled with events that have a delivery waiting, the real program is started on it, and the sink counts
//! what arrives. It measures, and fails where an event did not arrive exactly once; it does not judge the figures (see
//! `docs/measurements/delivering.md`).
#![expect(clippy::print_stdout, reason = "a report on stdout is what it is for")]

mod arrivals;
#[expect(dead_code, reason = "shared with the receive bench, which keeps connections for longer")]
#[path = "../receive/client.rs"]
mod client;
mod config;
#[path = "../receive/cpu.rs"]
mod cpu;
#[path = "../receive/disk.rs"]
mod disk;
mod drain;
#[expect(dead_code, reason = "shared with the receive bench, whose program is told the keys")]
#[path = "../receive/jwt.rs"]
mod jwt;
mod latency;
#[path = "../receive/message.rs"]
mod message;
mod nats;
#[path = "../receive/numbers.rs"]
mod numbers;
mod options;
#[path = "../receive/preload.rs"]
mod preload;
mod receiver;
mod report;
#[expect(dead_code, reason = "shared with the receive bench, which sends every kind of request")]
#[path = "../receive/request.rs"]
mod request;
#[path = "../receive/result.rs"]
mod result;
mod rounds;
#[expect(dead_code, reason = "shared with the receive bench, which compares with an echo")]
#[path = "../receive/server.rs"]
mod server;
#[path = "../receive/setting.rs"]
mod setting;
mod web;

use std::process::ExitCode;

use clap::Parser as _;

use crate::options::Options;

fn main() -> ExitCode {
    match rounds::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}
