//! `cargo bench --bench peers -- [options]`: what could stand in gatepost's place, under the same load in the same run.
//!
//! Beside it: A, the bare echo; A that verifies; the same with the plainest durable log there is (the floor); and what is
//! installed of the servers that people verify webhooks with, which store nothing. Short windows take turns, so whatever
//! the machine does meanwhile it does to all. It measures, and fails where a row does not tell a good signature from a
//! bad one; it does not judge (see `docs/measurements/performance.md`).
#![expect(clippy::print_stdout, reason = "a report on stdout is what it is for")]

mod append_log;
#[path = "../receive/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with the receive bench, which measures memory")]
#[path = "../receive/cpu.rs"]
mod cpu;
#[path = "../receive/disk.rs"]
mod disk;
#[path = "../receive/echo.rs"]
mod echo;
#[path = "../receive/figures.rs"]
mod figures;
mod floor;
mod floor_postgres;
mod installed;
mod launch;
#[path = "../receive/listen.rs"]
mod listen;
#[expect(dead_code, reason = "shared with the receive bench, which measures handshakes too")]
#[path = "../receive/load.rs"]
mod load;
#[path = "../receive/message.rs"]
mod message;
mod name;
#[path = "../receive/numbers.rs"]
mod numbers;
mod options;
mod peer;
mod place;
mod process;
mod report;
mod request;
#[path = "../receive/result.rs"]
mod result;
mod rounds;
#[expect(dead_code, reason = "shared with the receive bench, whose stores stay")]
#[path = "../receive/setting.rs"]
mod setting;
mod table;
mod verify;
mod window;

use std::process::ExitCode;

use clap::Parser as _;

use crate::options::{Options, Serve};
use crate::result::BenchResult;

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.serve {
        Some(row) => serve(row, &options),
        None => rounds::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(row: Serve, options: &Options) -> BenchResult<()> {
    let (Some(cert), Some(key)) = (&options.cert, &options.key) else { return Err("no certificate".into()) };
    let app = match row {
        Serve::Echo => echo::app(),
        Serve::Verify => verify::app()?,
        Serve::Floor => floor::app(options.log.as_deref().ok_or("no --log")?)?,
        Serve::FloorPostgres => floor_postgres::app(options.postgres.as_deref().ok_or("no --postgres")?)?,
    };
    listen::serve(options.port, cert, key, &app)
}
