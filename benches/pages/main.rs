//! `cargo bench --bench pages -- [options]`: how long the admin listener takes for each page and listing of a full store.
//!
//! A store is filled with events, deliveries in every state and a full quarantine, the real program is started on it, and each
//! address is asked for many times over loopback. It measures and marks; it does not judge (see `docs/measurements/performance.md`).
#![expect(clippy::print_stdout, reason = "a report on stdout is what it is for")]

mod ask;
#[expect(dead_code, reason = "shared with the receive bench, which sends events")]
#[path = "../receive/client.rs"]
mod client;
mod config;
#[expect(dead_code, reason = "shared with the receive bench, which measures CPU")]
#[path = "../receive/cpu.rs"]
mod cpu;
mod fill;
#[expect(dead_code, reason = "shared with the receive bench, which compares")]
#[path = "../receive/numbers.rs"]
mod numbers;
mod options;
mod paths;
#[expect(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "shared with the tests")]
#[path = "../../tests/it/store/postgres_server.rs"]
mod postgres_server;
mod refused;
mod report;
mod request {
    /// What an answer must hold.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Expected {
        /// The status code.
        pub status: u16,
        /// Text that the body contains.
        pub contains: &'static str,
    }
}
#[path = "../receive/result.rs"]
mod result;
mod rounds;
#[expect(dead_code, reason = "shared with the receive bench, which compares with an echo")]
#[path = "../receive/server.rs"]
mod server;
#[path = "../receive/setting.rs"]
mod setting;

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
