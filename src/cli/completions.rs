//! `completions`: what a shell needs to complete the program's commands and options.

use clap_complete::{Shell, generate};

use super::failure::{Failure, Status};
use super::output;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The shell that it is for
    shell: Shell,
}

/// Prints it for what `definition` says. Reads no configuration.
pub(super) fn run(args: &Args, mut definition: clap::Command) -> Result<Status, Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut definition, "gatepost", &mut script);
    output::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Status::Done)
}
