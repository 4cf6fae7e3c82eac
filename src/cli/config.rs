//! `config`: what can be configured, as JSON Schema, as reference and as a commented example.

use clap::Subcommand;

use crate::config;

use super::failure::{Failure, Status};
use super::output;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// The JSON Schema of the file, for editors and validators
    Schema,
    /// Every section, key and variable with its default and range, as Markdown
    Reference,
    /// A commented file with every section and key
    Example,
}

/// Prints it. Reads no configuration.
pub(super) fn run(command: &Command) -> Result<Status, Failure> {
    let document = config::document();
    let text = match command {
        Command::Schema => format!("{:#}\n", document.schema()),
        Command::Reference => document.reference(),
        Command::Example => document.example(),
    };
    output::print(text.trim_end())?;
    Ok(Status::Done)
}
