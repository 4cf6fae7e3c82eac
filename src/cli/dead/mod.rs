//! `dead`: deliveries that ran out of attempts, to be looked at, tried again or given up. Works beside a running daemon.

mod print;
#[cfg(test)]
mod tests;

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::event::{EventId, Name};
use crate::store::{DeadLetter, DeadLetterFilter, DeliveryId, Store};

use super::event_ref::Numbered;
use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::selection::{Criteria, ListArgs, Received, Selection, ShowArgs};
use super::time_arg::{self, TimeArg};
use super::{event_ref, listing, output, sinks};

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

/// Which dead letters.
#[derive(Args, Default, PartialEq, Debug)]
pub(super) struct Which {
    /// Only to this sink; with one that is not in the configuration any more, also what is pending for it
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Only those whose last error contains this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only events of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only events of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    received: Received,
    /// Only events received longer ago than this (3d)
    #[arg(long, value_name = "AGE", value_parser = time_arg::parse_age, conflicts_with = "until")]
    older: Option<SignedDuration>,
}

impl Criteria for Which {
    const IDS: &'static str = "As listed, event ids, or source:id";
}

impl Which {
    /// What is pending for a sink of `gone` counts only where that sink is named: it may come back.
    fn filter(&self, now: Timestamp, gone: &[Name], limit: Option<u64>) -> DeadLetterFilter {
        DeadLetterFilter {
            gone: gone.iter().filter(|name| self.is_to(name)).cloned().collect(),
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            since: self.received.since(now),
            until: self.older.map(|age| TimeArg::Ago(age).resolve(now)).or(self.received.until(now)),
            sink: self.sink.as_ref().map(Name::from),
            error: self.error.clone(),
            limit,
        }
    }

    fn is_to(&self, sink: &Name) -> bool {
        self.sink.as_deref() == Some(sink.as_str())
    }
}

/// Lists, shows, replays or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let dead = Dead { store, config: &config, now, gone: sinks::gone(store, &config).await? };
        match command {
            Command::List(args) => dead.list(&args).await,
            Command::Show { id, form } => dead.show(id, &form).await,
            Command::Replay { selection, to_sink } => dead.replay(&selection, to_sink).await,
            Command::Discard(selection) => dead.discard(&selection).await,
        }
    })
    .await?;
    Ok(Status::Done)
}

/// The dead letters of a store, for one command.
struct Dead<'a> {
    store: &'a Store,
    config: &'a Config,
    now: Timestamp,
    /// Sinks that are not in the configuration any more.
    gone: Vec<Name>,
}

impl Dead<'_> {
    async fn list(&self, ListArgs { which, limit, json }: &ListArgs<Which>) -> Result<(), Failure> {
        for sink in self.gone.iter().filter(|_| which.sink.is_none()) {
            output::tell(&format!("{sink} is not in the configuration: --sink {sink} also lists what waits for it"));
        }
        let page = async |filter: &_, from| self.store.dead_letters.page(filter, from).await;
        listing::print(&which.filter(self.now, &self.gone, Some(*limit)), *json, page).await
    }

    async fn show(&self, id: String, form: &ShowArgs) -> Result<(), Failure> {
        let ids = self.find(&[id], &self.all()).await?;
        let letters = self.store.dead_letters.list(&ids, &self.all(), true).await?;
        // All of one event, so all bodies are the same.
        let body = letters.first().map_or(&[][..], |letter| letter.event.payload.bytes());
        form.print(body, || print::details(&letters), || print::shown(&letters))
    }

    async fn replay(&self, selection: &Selection<Which>, to: Option<String>) -> Result<(), Failure> {
        let to = sinks::configured(self.config, to.as_slice())?.pop();
        let (ids, filter) = self.selected(selection).await?;
        let count = self.store.dead_letters.replay(&ids, &filter, to.as_ref()).await?;
        if let Some(sink) = self.gone.iter().find(|name| to.is_none() && selection.which.is_to(name)) {
            output::tell(&format!(
                "{sink} is not in the configuration: nobody delivers there, --to-sink NAME moves them"
            ));
        }
        output::print_count(selection.json, "replayed", count, "dead letter")
    }

    async fn discard(&self, selection: &Selection<Which>) -> Result<(), Failure> {
        let (ids, filter) = self.selected(selection).await?;
        let count = self.store.dead_letters.discard(&ids, &filter).await?;
        output::print_count(selection.json, "discarded", count, "dead letter")
    }

    /// Deliveries by id, or a filter that chooses them.
    async fn selected(&self, selection: &Selection<Which>) -> Result<(Vec<DeliveryId>, DeadLetterFilter), Failure> {
        selection.require("which dead letters?")?;
        let filter = selection.which.filter(self.now, &self.gone, None);
        if selection.ids.is_empty() {
            return Ok((Vec::new(), filter));
        }
        let ids = self.find(&selection.ids, &DeadLetterFilter { gone: self.gone.clone(), ..filter }).await?;
        Ok((ids, self.all()))
    }

    /// The deliveries that `texts` name among those that match `filter`.
    async fn find(&self, texts: &[String], filter: &DeadLetterFilter) -> Result<Vec<DeliveryId>, Failure> {
        let page = async |filter: &_, from| self.store.dead_letters.page(filter, from).await;
        let letters: Vec<Vec<DeadLetter>> = event_ref::rows(texts, filter, page).await?;
        let mut ids: Vec<DeliveryId> = letters.iter().flatten().map(|letter| letter.id).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// Everything, what is pending for sinks that are gone included.
    fn all(&self) -> DeadLetterFilter {
        DeadLetterFilter { gone: self.gone.clone(), ..DeadLetterFilter::default() }
    }
}

impl Numbered for DeadLetter {
    const NOUN: &'static str = "dead letter";
    const LISTED_BY: &'static str = "dead list";

    fn number(&self) -> i64 {
        self.id.0
    }

    fn event(&self) -> Option<(&Name, &EventId)> {
        Some((&self.event.source, &self.event.id))
    }
}
