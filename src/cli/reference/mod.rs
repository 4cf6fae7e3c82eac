//! `reference`: the pages of the reference that are made of what the program declares.

mod commands;

use crate::{admin, metrics, request_outcome};

use super::failure::{Failure, Status};
use super::output;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Page {
    /// Every command with its arguments
    Commands,
    /// Every answer with when it is given and what to do about it
    Answers,
    /// Every metric with its labels
    Metrics,
    /// Every path of the admin listener's API
    Api,
}

/// Prints it, that of the commands as `definition` has them. Reads no configuration.
pub(super) fn run(args: &Args, definition: clap::Command) -> Result<Status, Failure> {
    let text = match args.page {
        Page::Commands => commands::page(definition),
        Page::Answers => request_outcome::reference::page(),
        Page::Metrics => metrics::reference::page(),
        Page::Api => admin::api_reference(),
    };
    output::print(text.trim_end())?;
    Ok(Status::Done)
}
