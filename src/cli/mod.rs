//! The command line, for operators: reads the arguments, runs one command, turns its end into an exit status.
//!
//! Data goes to stdout, human words to stderr. What a command does stands in its own file.

mod any_certificate;
mod args;
mod check;
mod completions;
mod config;
mod dead;
mod dev;
mod dev_certificates;
#[cfg(test)]
mod documented;
mod events;
mod explain;
mod failure;
mod healthcheck;
mod init;
mod invocation;
mod listing;
mod man;
mod operator;
mod output;
mod progress;
mod quarantine;
mod reference;
mod selection;
mod send;
mod serve;
mod short_ids;
mod sinks;
mod store;
mod table;
mod tail;

use std::future::Future;
use std::process::ExitCode;

use args::{Cli, Command};
use failure::{Failure, Status};
use invocation::Invocation;

/// Runs the program with the arguments and variables of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::of_process() {
        Ok(cli) => cli,
        Err(error) => return answer_usage(&error),
    };
    let ended = Invocation::of_process(cli.config).and_then(|invocation| run(cli.command, invocation));
    match ended {
        Ok(status) => status.into(),
        Err(failure) => {
            output::tell(&failure.to_string());
            failure.status().into()
        }
    }
}

/// Help and version are answers; everything else that clap stops at is wrong usage.
fn answer_usage(error: &clap::Error) -> ExitCode {
    // A closed terminal is no reason to answer anything else.
    let _ = error.print();
    if error.use_stderr() { Status::Wrong.into() } else { Status::Done.into() }
}

fn run(command: Option<Command>, invocation: Invocation) -> Result<Status, Failure> {
    match command.unwrap_or(Command::Serve) {
        Command::Serve => on_all_cores(serve::run(invocation)),
        Command::Dev => on_all_cores(dev::run(invocation)),
        Command::Init(args) => on_one_core(init::run(*args, invocation)),
        Command::Check(args) => on_one_core(check::run(args, invocation)),
        Command::Config(command) => config::run(&command),
        Command::Send(args) => on_one_core(send::run(args, invocation)),
        Command::Events(command) => on_one_core(events::run(command, invocation)),
        Command::Dead(command) => on_one_core(dead::run(command, invocation)),
        Command::Quarantine(command) => on_one_core(quarantine::run(command, invocation)),
        Command::Sinks(command) => on_one_core(sinks::run(command, invocation)),
        Command::Tail(args) => on_one_core(tail::run(args, invocation)),
        Command::Store(command) => on_one_core(store::run(command, invocation)),
        Command::Explain(args) => on_one_core(explain::run(args, invocation)),
        Command::Completions(args) => completions::run(&args, Cli::definition()),
        Command::Man(args) => man::run(&args, Cli::definition()),
        Command::Reference(args) => reference::run(&args, Cli::definition()),
        Command::Healthcheck => on_one_core(healthcheck::run(invocation)),
    }
}

/// Where there is one core, by affinity or by a container's share, threads of the runtime could only wait for each other
/// (measured: a twentieth to a tenth of what an event costs).
fn on_all_cores(command: impl Future<Output = Result<Status, Failure>>) -> Result<Status, Failure> {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        return on_one_core(command);
    }
    block_on(tokio::runtime::Builder::new_multi_thread(), command)
}

/// The daemon's helpers need one thread, and leave the others to the daemon.
fn on_one_core(command: impl Future<Output = Result<Status, Failure>>) -> Result<Status, Failure> {
    block_on(tokio::runtime::Builder::new_current_thread(), command)
}

fn block_on(
    mut builder: tokio::runtime::Builder,
    command: impl Future<Output = Result<Status, Failure>>,
) -> Result<Status, Failure> {
    let runtime =
        builder.enable_all().build().map_err(|error| Failure::runtime("the runtime does not start", &error))?;
    let ended = runtime.block_on(command);
    // Whatever still blocks (a name look-up, a store that hangs) must not hold up the exit: what had to be
    // waited for was waited for.
    runtime.shutdown_background();
    ended
}
