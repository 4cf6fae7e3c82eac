//! `cargo bench --bench receive -- [options]`: what receiving costs, side by side with a bare echo in the same run.
//!
//! Machines are noisy, so only ratios within one run count: rounds of A (the echo) and B (the real program) alternate,
//! and medians are reported. It measures; it does not judge (the targets are in `docs/measurements/performance.md`).
#![expect(clippy::print_stdout, reason = "a report on stdout is what it is for")]

mod client;
mod config;
mod cpu;
mod disk;
mod echo;
mod figures;
mod followers;
mod jwt;
mod listen;
mod load;
mod message;
mod numbers;
mod options;
mod preload;
mod report;
mod request;
mod result;
mod rounds;
mod scenario;
mod server;
mod setting;
mod single;

use std::process::ExitCode;

use clap::Parser as _;

use crate::options::Options;
use crate::result::BenchResult;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = if options.serve_echo { serve_echo(&options) } else { scenario::run(&options) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_echo(options: &Options) -> BenchResult<()> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else { return Err("no certificate".into()) };
    listen::serve(0, cert, key, &echo::app())
}
