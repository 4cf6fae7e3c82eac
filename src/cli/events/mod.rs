//! `events`: what was accepted, and delivering it again. Works on the store, beside a running daemon.

mod print;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use crate::config::Config;
use crate::event::{KeptHeaders, Name};
use crate::settings::grammar;
use crate::store::{Archived, EventFilter, EventRef, State, Store};

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::selection::{Criteria, ListArgs, Received, Selection, ShowArgs};
use super::{event_ref, listing, output, pages, sinks};

/// What to do with accepted events.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List events, newest first
    List(ListArgs<Which>),
    /// Show one event with its deliveries and its body
    Show {
        /// An event id, or source:id
        id: String,
        /// Of this source, where several have an event of that id
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        #[command(flatten)]
        form: ShowArgs,
    },
    /// Deliver events again, from the first attempt
    Replay {
        #[command(flatten)]
        selection: Selection<Which>,
        /// Only to this sink; may be repeated. Default: to the sinks the event had. What waits for a sink that is not in
        /// the configuration any more is moved there
        #[arg(long, value_name = "NAME")]
        sink: Vec<String>,
    },
}

/// Which events.
#[derive(Args, Default, PartialEq, Debug)]
pub(super) struct Which {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only of this event type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only with this kept header, whole: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_header)]
    header: Option<KeptHeaders>,
    #[command(flatten)]
    received: Received,
    /// Only in this state: pending, delivered or dead
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Option<State>,
}

impl Criteria for Which {
    const IDS: &'static str = "Event ids, or source:id";
}

impl Which {
    fn filter(&self, now: Timestamp, limit: Option<u64>) -> EventFilter {
        EventFilter {
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            header: self.header.clone(),
            since: self.received.since(now),
            until: self.received.until(now),
            state: self.state,
            limit,
            ..EventFilter::default()
        }
    }
}

fn parse_header(text: &str) -> Result<KeptHeaders, String> {
    let (name, value) = text.split_once('=').ok_or("expected the name of a header, =, and its value")?;
    if value.contains(char::is_control) {
        return Err("a header's value has no control characters".to_owned());
    }
    let name = grammar::header_name(name)?;
    Ok([(name.as_str(), value.as_bytes())].into_iter().collect())
}

fn parse_state(text: &str) -> Result<State, String> {
    match text {
        "pending" => Ok(State::Pending),
        "delivered" => Ok(State::Delivered),
        "dead" => Ok(State::Dead),
        _ => Err("expected pending, delivered or dead".to_owned()),
    }
}

/// Lists, shows or replays.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| match command {
        Command::List(ListArgs { which, limit, json }) => {
            let page = async |filter: &_, from| store.archive.page(filter, from).await;
            listing::print(&which.filter(now, Some(limit)), json, page).await
        }
        Command::Show { id, source, form } => {
            let source = source.map(Name::from);
            let found = event_ref::find(store.archive.as_ref(), &id, source.as_ref()).await?;
            form.print(found.event.payload.bytes(), || print::detail(&found), || print::shown(&found))
        }
        Command::Replay { selection, sink } => {
            selection.require("replay what?")?;
            let filter = selection.which.filter(now, None);
            let events = chosen(store, &selection.ids, &filter).await?;
            replay(store, &config, &events, &sink, selection.json).await
        }
    })
    .await?;
    Ok(Status::Done)
}

/// Queues `events` again, to the sinks called `to` or to those they had.
async fn replay(store: &Store, config: &Config, events: &[EventRef], to: &[String], json: bool) -> Result<(), Failure> {
    let to = sinks::configured(config, to)?;
    let gone = sinks::gone(store, config).await?;
    let count = store.archive.replay(events, (!to.is_empty()).then_some(&to), &gone).await?;
    if count == 0 && to.is_empty() {
        for sink in gone {
            output::tell(&format!(
                "{sink} is not in the configuration: nothing was queued for it; --sink NAME moves it"
            ));
        }
    }
    let outcome = || json!([{ "events": events.len(), "deliveries": count }]);
    output::print_either(json, outcome, || format!("{count} deliveries of {} events queued again", events.len()))
}

/// The events that `ids` name, each of which must exist, as far as they match `filter`; without ids, all that match.
async fn chosen(store: &Store, ids: &[String], filter: &EventFilter) -> Result<Vec<EventRef>, Failure> {
    let mut events = Vec::new();
    if ids.is_empty() {
        let page = async |filter: &_, from| store.archive.page(filter, from).await;
        pages::each(filter, page, |found| {
            events.extend(found.iter().map(reference));
            Ok(true)
        })
        .await?;
    }
    for id in ids {
        let found = event_ref::find(store.archive.as_ref(), id, filter.source.as_ref()).await?;
        if matches(&found, filter) {
            events.push(reference(&found));
        }
    }
    Ok(events)
}

fn matches(archived: &Archived, filter: &EventFilter) -> bool {
    let event = &archived.event;
    filter.source.as_ref().is_none_or(|source| *source == event.source)
        && filter.kind.as_ref().is_none_or(|kind| *kind == event.kind)
        && filter.header.as_ref().is_none_or(|header| event.headers.hold(header))
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && filter.state.is_none_or(|state| state == archived.state)
}

fn reference(archived: &Archived) -> EventRef {
    EventRef { source: Some(archived.event.source.clone()), id: archived.event.id.clone() }
}
