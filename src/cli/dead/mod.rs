//! `dead`: deliveries that ran out of attempts, to be looked at, tried again or given up. Works beside a running daemon.

mod print;
#[cfg(test)]
mod tests;
mod which;

use clap::Subcommand;

use crate::event::Name;
use crate::operations::DeadReplayed;

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::progress::Progress;
use super::selection::{ListArgs, Selection, ShowArgs};
use super::{listing, operator, output};
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

impl Command {
    /// The source that it is narrowed down to.
    fn source(&self) -> Option<Name> {
        let which = match self {
            Self::List(list) => &list.which,
            Self::Replay { selection, .. } | Self::Discard(selection) => &selection.which,
            Self::Show { .. } => return None,
        };
        which.source.as_ref().map(Name::from)
    }
}

/// Lists, shows, replays or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let operations = invocation.operations(&config, store);
        operations.known_source(command.source().as_ref()).await?;
        let gone = operations.gone_sinks().await?;
        match command {
            Command::List(ListArgs { which, limit, form }) => {
                for sink in gone.iter().filter(|_| which.sink.is_none()) {
                    output::tell(&format!(
                        "{sink} is not in the configuration: --sink {sink} also lists what waits for it"
                    ));
                }
                let page = async |filter: &_, from| store.dead_letters.page(filter, from).await;
                listing::print(&which.filter(now, &gone, Some(limit)), &form, page).await?;
            }
            Command::Show { id, form } => {
                let letters = operations.dead_letters(&id).await?;
                // All of one event, so all bodies are the same.
                let body = letters.first().map_or(&[][..], |letter| letter.event.payload.bytes());
                form.print(body, || print::details(&letters), || print::shown(&letters))?;
            }
            Command::Replay { selection, to_sink } => {
                selection.require(WHICH)?;
                let chosen = selection.chosen(selection.which.filter(now, &gone, None));
                let user = operator::user(&invocation.vars)?;
                let bar = Progress::of_unknown("queueing dead letters again");
                let replayed = operations.replay_dead(&chosen, to_sink.as_deref(), &user).await?;
                drop(bar);
                return tell_replayed(&replayed, selection.json);
            }
            Command::Discard(selection) => {
                selection.require(WHICH)?;
                let chosen = selection.chosen(selection.which.filter(now, &gone, None));
                let count = operations.discard_dead(&chosen, &operator::user(&invocation.vars)?).await?;
                output::print_count(selection.json, "discarded", count, "dead letter")?;
            }
        }
        Ok(Status::Done)
    })
    .await
}

/// What a bulk command asks for that is given nothing.
const WHICH: &str = "which dead letters?";

fn tell_replayed(replayed: &DeadReplayed, json: bool) -> Result<Status, Failure> {
    output::print_count(json, "replayed", replayed.count, "dead letter")?;
    for sink in &replayed.left {
        output::tell(&format!(
            "{sink} is not in the configuration, so nobody delivers there: its dead letters were not replayed; \
             --sink {sink} --to-sink NAME moves them"
        ));
    }
    Ok(if replayed.left.is_empty() { Status::Done } else { Status::Failed })
}
