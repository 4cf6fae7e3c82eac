//! `man`: the manual pages, one for the program and one for each command.

use std::fs;
use std::path::{Path, PathBuf};

use clap_mangen::Man;

use super::failure::{Failure, Status};
use super::output;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write every page into this directory, which is made; without it the program's own is printed
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints or writes those of `program`. Reads no configuration.
pub(super) fn run(args: &Args, mut program: clap::Command) -> Result<Status, Failure> {
    program.build();
    match &args.dir {
        Some(dir) => write(&program, dir)?,
        None => output::print(String::from_utf8_lossy(&page(&program)?).trim_end())?,
    }
    Ok(Status::Done)
}

fn write(program: &clap::Command, dir: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::runtime(format_args!("cannot write {}", dir.display()), &error);
    fs::create_dir_all(dir).map_err(failed)?;
    let mut commands = vec![program];
    while let Some(command) = commands.pop() {
        // As the page is called by its readers: gatepost-events-list(1).
        let name = command.get_display_name().unwrap_or(command.get_name());
        fs::write(dir.join(format!("{name}.1")), page(command)?).map_err(failed)?;
        commands.extend(command.get_subcommands().filter(|command| command.get_name() != "help"));
    }
    Ok(())
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    Man::new(command.clone()).render(&mut text).map_err(|error| Failure::runtime("cannot write the page", &error))?;
    Ok(text)
}
