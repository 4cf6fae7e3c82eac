//! `events`: what was accepted, and delivering it again. Works on the store, beside a running daemon.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::config::Config;
use crate::event::Name;
use crate::store::{Archived, EventRef, Filter, Pager, State, Store};

use super::failure::{Failure, Status};
use super::invocation::{Invocation, open_store};
use super::listing::Listing;
use super::time_arg::{self, TimeArg};
use super::{dead, event_ref, output, table};

/// What a listing shows at most unless told otherwise.
pub(super) const DEFAULT_LIMIT: u64 = 100;

/// What to do with accepted events.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List events, newest first
    List {
        #[command(flatten)]
        which: Which,
        /// How many rows at most
        #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT)]
        limit: u64,
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one event with its deliveries and its body
    Show {
        /// An event id, or source:id
        id: String,
        /// Of this source, where several have an event of that id
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Print one JSON object
        #[arg(long, conflicts_with = "body")]
        json: bool,
        /// Write the body alone, byte for byte
        #[arg(long)]
        body: bool,
    },
    /// Deliver events again, from the first attempt
    Replay {
        /// Event ids, or source:id
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
        /// Only to this sink; may be repeated. Default: to the sinks the event had. What waits for a sink that is not in
        /// the configuration any more is moved there
        #[arg(long, value_name = "NAME")]
        sink: Vec<String>,
        /// Every event there is; needed where neither ids nor a filter narrow it down
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Print the outcome as one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Which events.
#[derive(Args, Debug, Default)]
pub(super) struct Which {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only of this event type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Received at or after: a time (2026-05-01T12:00:00Z), a date, or how long ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    since: Option<TimeArg>,
    /// Received before
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    until: Option<TimeArg>,
    /// Only in this state: pending, delivered or dead
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Option<State>,
}

impl Which {
    fn filter(&self, invocation: &Invocation, limit: Option<u64>) -> Filter {
        let now = invocation.clock.now();
        Filter {
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            since: self.since.map(|time| time.resolve(now)),
            until: self.until.map(|time| time.resolve(now)),
            state: self.state,
            limit,
            ..Filter::default()
        }
    }

    const fn is_everything(&self) -> bool {
        self.source.is_none()
            && self.kind.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.state.is_none()
    }
}

fn parse_state(text: &str) -> Result<State, String> {
    match text {
        "pending" => Ok(State::Pending),
        "delivered" => Ok(State::Delivered),
        "dead" => Ok(State::Dead),
        _ => Err("expected pending, delivered or dead".to_owned()),
    }
}

const fn state_word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Delivered => "delivered",
        State::Dead => "dead",
    }
}

/// Lists, shows or replays.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let store = open_store(&config).await?;
    match command {
        Command::List { which, limit, json } => {
            list(&store, &which.filter(&invocation, Some(limit)), json).await?;
        }
        Command::Show { id, source, json, body } => {
            let source = source.map(Name::from);
            let found = event_ref::find(store.archive.as_ref(), &id, source.as_ref()).await?;
            if body {
                output::print_bytes(found.event.payload.bytes())?;
            } else if json {
                output::print_json(&detail(&found))?;
            } else {
                output::print(&shown(&found))?;
            }
        }
        Command::Replay { ids, which, sink, all, json } => {
            if ids.is_empty() && !all && which.is_everything() {
                return Err(Failure::Usage("replay what? give event ids, a filter, or --all".to_owned()));
            }
            let filter = which.filter(&invocation, None);
            let events = chosen(&store, &ids, &filter).await?;
            let sinks = known_sinks(&config, &sink)?;
            let gone = dead::gone(&store, &config).await?;
            let count = store.archive.replay(&events, sinks.as_deref(), &gone).await?;
            if count == 0 && sinks.is_none() {
                for sink in gone {
                    output::tell(&format!(
                        "nothing goes to {sink}, which is not in the configuration: --sink NAME moves it"
                    ));
                }
            }
            if json {
                output::print_json(&json!([{ "events": events.len(), "deliveries": count }]))?;
            } else {
                output::print(&format!("{count} deliveries of {} events queued again", events.len()))?;
            }
        }
    }
    store.upkeep.close().await?;
    Ok(Status::Done)
}

/// Writes what matches `filter` as it comes from the store.
async fn list(store: &Store, filter: &Filter, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(["ID", "SOURCE", "TYPE", "STATE", "RECEIVED", "BYTES"], json);
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let page = store.archive.page(filter, from).await?;
        if !listing.write(&pager.take(page), cells, summary)? {
            return Ok(());
        }
    }
    listing.end()
}

/// The events that `ids` name, each of which must exist and match `filter`; without ids, all that match.
async fn chosen(store: &Store, ids: &[String], filter: &Filter) -> Result<Vec<EventRef>, Failure> {
    let mut events = Vec::new();
    for id in ids {
        let found = event_ref::find(store.archive.as_ref(), id, filter.source.as_ref()).await?;
        if matches(&found, filter) {
            events.push(reference_to(&found));
        }
    }
    if !ids.is_empty() {
        return Ok(events);
    }
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let page = store.archive.page(filter, from).await?;
        events.extend(pager.take(page).iter().map(reference_to));
    }
    Ok(events)
}

fn matches(archived: &Archived, filter: &Filter) -> bool {
    let event = &archived.event;
    filter.source.as_ref().is_none_or(|source| *source == event.source)
        && filter.kind.as_ref().is_none_or(|kind| *kind == event.kind)
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
        && filter.state.is_none_or(|state| state == archived.state)
}

fn reference_to(archived: &Archived) -> EventRef {
    EventRef { source: Some(archived.event.source.clone()), id: archived.event.id.clone() }
}

pub(super) fn known_sinks(config: &Config, names: &[String]) -> Result<Option<Vec<Name>>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    if let Some(unknown) = names.iter().find(|name| !config.sinks.iter().any(|sink| sink.name.as_str() == **name)) {
        let known = config.sinks.iter().map(|sink| sink.name.as_str()).collect::<Vec<_>>();
        return Err(Failure::Usage(format!("no sink is called {unknown:?}; there are: {}", known.join(", "))));
    }
    Ok(Some(names.iter().map(Name::from).collect()))
}

fn cells(archived: &Archived) -> [String; 6] {
    let event = &archived.event;
    [
        event.id.to_string(),
        event.source.to_string(),
        event.kind.clone(),
        state_word(archived.state).to_owned(),
        format!("{:.0}", event.received_at),
        archived.bytes.to_string(),
    ]
}

/// An event of a listing, as JSON.
fn summary(archived: &Archived) -> Value {
    let event = &archived.event;
    json!({
        "id": event.id.as_str(),
        "source": event.source,
        "type": event.kind,
        "state": archived.state,
        "received_at": event.received_at,
        "content_type": event.content_type,
        "bytes": archived.bytes,
        "key": event.key,
        "request_id": event.request_id,
        "client_ip": event.client_ip,
        "deliveries": archived.deliveries,
    })
}

/// An event with all there is, as JSON; a body that is not text in base64.
fn detail(archived: &Archived) -> Value {
    let mut value = summary(archived);
    let payload = &archived.event.payload;
    value["sha256"] = payload.digest().to_string().into();
    value["traceparent"] = archived.event.traceparent.clone().into();
    table::put_body(&mut value, payload.bytes());
    value
}

fn shown(archived: &Archived) -> String {
    let event = &archived.event;
    let mut text = table::fields(&[
        ("id", event.id.to_string()),
        ("source", event.source.to_string()),
        ("type", event.kind.clone()),
        ("state", state_word(archived.state).to_owned()),
        ("received at", event.received_at.to_string()),
        ("content type", event.content_type.clone()),
        ("bytes", archived.bytes.to_string()),
        ("sha256", event.payload.digest().to_string()),
        ("verified by key", event.key.clone()),
        ("request id", event.request_id.clone()),
        ("client", event.client_ip.map_or_else(String::new, |ip| ip.to_string())),
        ("traceparent", event.traceparent.clone().unwrap_or_default()),
    ]);
    if !archived.deliveries.is_empty() {
        let rows = archived.deliveries.iter().map(|delivery| {
            [
                delivery.sink.to_string(),
                format!("{}{}", state_word(delivery.state), if delivery.duplicate { " (duplicate)" } else { "" }),
                delivery.attempts.to_string(),
                delivery.replays.to_string(),
                delivery.next_attempt_at.map_or_else(String::new, |at| format!("{at:.0}")),
                delivery.last_error.clone().unwrap_or_default(),
            ]
        });
        text.push_str("\n\n");
        text.push_str(&table::table(
            ["SINK", "STATE", "ATTEMPTS", "REPLAYS", "NEXT", "LAST ERROR"],
            &rows.collect::<Vec<_>>(),
        ));
    }
    text.push_str("\n\n");
    text.push_str(&table::body(event.payload.bytes()));
    text
}
