//! How the rows of ours are started: the echo and what is built on it by this very program, and gatepost.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed;
use crate::name::Name;
use crate::options::Options;
use crate::place::{Place, free_address};
use crate::process::command;
use crate::result::BenchResult;

/// What is about to run.
pub(crate) struct Launch {
    /// In the words of its own.
    pub version: String,
    /// How it is started.
    pub command: Command,
}

/// Prepares the row `name` for `port`; `None` where it is not installed.
pub(crate) fn prepare(name: Name, place: &Place, options: &Options, port: u16) -> BenchResult<Option<Launch>> {
    let database = options.postgres.as_ref().filter(|_| options.database_pid.is_some());
    match name {
        Name::A => ours("echo", place, port).map(Some),
        Name::Verify => ours("verify", place, port).map(Some),
        Name::Floor => ours("floor", place, port).map(Some),
        Name::FloorPostgres => {
            database.map(|url| Ok(on_postgres(ours("floor-postgres", place, port)?, url))).transpose()
        }
        Name::Gatepost => gatepost(place, options, port, &place.setting.store),
        Name::GatepostPostgres => database.map_or(Ok(None), |url| gatepost(place, options, port, url)),
        Name::Haproxy => installed::haproxy(place, port),
        Name::Nginx => installed::nginx(place, port),
        Name::Node => Ok(installed::node(place, port)),
        Name::Webhook => installed::webhook(place, port),
        Name::Starlette => installed::starlette(place, options, port),
    }
}

fn ours(row: &str, place: &Place, port: u16) -> BenchResult<Launch> {
    let setting = &place.setting;
    let mut command = command(setting.pinned, &std::env::current_exe()?);
    command.args(["--serve", row, "--port", &port.to_string()]).arg("--log").arg(place.file("floor.log"));
    command.arg("--cert").arg(&setting.cert).arg("--key").arg(&setting.key);
    let version = format!("axum {}, rustls {}", locked("axum"), locked("rustls"));
    Ok(Launch { version, command })
}

fn on_postgres(mut launch: Launch, url: &str) -> Launch {
    launch.command.args(["--postgres", url]);
    launch
}

/// The version of a crate that this build has.
fn locked(name: &str) -> &'static str {
    let entry = format!("\nname = \"{name}\"\nversion = \"");
    let rest = include_str!("../../Cargo.lock").split_once(&entry).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

fn gatepost(place: &Place, options: &Options, port: u16, store: &str) -> BenchResult<Option<Launch>> {
    let program = options.program.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_gatepost")));
    let Some(said) = installed::says(&program, &["--version"]) else { return Ok(None) };
    let admin = free_address()?.port().to_string();
    let config = place.fill("gatepost.toml", port, &[("@ADMIN_PORT@", &admin), ("@STORE@", store)])?;
    let mut command = command(place.setting.pinned, Path::new(&program));
    command.arg("--config").arg(config).arg("serve");
    // Behind the comma are the sinks it was built with.
    let version = said.trim_start_matches("gatepost ").split(',').next().unwrap_or_default().to_owned();
    Ok(Some(Launch { version, command }))
}
