//! `dead`: deliveries that ran out of attempts, to be looked at, tried again or given up. Works beside a running daemon.

mod letters;
mod print;
#[cfg(test)]
mod tests;
mod which;

use clap::Subcommand;

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::selection::{ListArgs, Selection, ShowArgs};
use super::sinks;
use letters::Letters;
use which::Which;

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List dead letters, newest first
    List(ListArgs<Which>),
    /// Show dead letters with their events and bodies
    Show {
        /// As listed, an event id, or source:id
        id: String,
        #[command(flatten)]
        form: ShowArgs,
    },
    /// Queue dead letters again, from the first attempt
    Replay {
        #[command(flatten)]
        selection: Selection<Which>,
        /// To this sink instead; also what is pending for a sink that is not in the configuration any more
        #[arg(long, value_name = "NAME")]
        to_sink: Option<String>,
    },
    /// Give dead letters up for good
    Discard(Selection<Which>),
}

/// Lists, shows, replays or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let gone = sinks::gone(store, &config).await?;
        let letters = Letters { store, config: &config, now, gone };
        match command {
            Command::List(args) => letters.list(&args).await?,
            Command::Show { id, form } => letters.show(id, &form).await?,
            Command::Replay { selection, to_sink } => return letters.replay(&selection, to_sink).await,
            Command::Discard(selection) => letters.discard(&selection).await?,
        }
        Ok(Status::Done)
    })
    .await
}
