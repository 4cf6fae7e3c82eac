//! `dead`: deliveries that ran out of attempts, to be looked at, tried again or given up. Works beside a running daemon.

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::app::orphans;
use crate::config::Config;
use crate::event::{EventId, Name};
use crate::store::{DeadLetter, DeliveryId, Filter, Pager, State, Store};

use super::events::{self, DEFAULT_LIMIT};
use super::failure::{Failure, Status};
use super::invocation::{Invocation, open_store};
use super::listing::Listing;
use super::time_arg::{self, TimeArg};
use super::{event_ref, output, table};

/// Why something pending stands among dead letters.
const GONE: &str = "waits: the sink is not in the configuration";

/// What to do with dead letters.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List dead letters, newest first
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
    /// Show dead letters with their events and bodies
    Show {
        /// As listed, an event id, or source:id
        id: String,
        /// Print one JSON array
        #[arg(long, conflicts_with = "body")]
        json: bool,
        /// Write the event's body alone, byte for byte
        #[arg(long)]
        body: bool,
    },
    /// Queue dead letters again, from the first attempt
    Replay {
        #[command(flatten)]
        selection: Selection,
        /// To this sink instead; also what is pending for a sink that is not in the configuration any more
        #[arg(long, value_name = "NAME")]
        to_sink: Option<String>,
    },
    /// Give dead letters up for good
    Discard(Selection),
}

/// Which dead letters.
#[derive(Args, Debug, Default)]
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
    /// Only events received at or after: a time (2026-05-01T12:00:00Z), a date, or how long ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    since: Option<TimeArg>,
    /// Only events received before
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    until: Option<TimeArg>,
    /// Only events received longer ago than this (3d)
    #[arg(long, value_name = "AGE", value_parser = time_arg::parse_age, conflicts_with = "until")]
    older: Option<SignedDuration>,
}

/// Which dead letters to act on.
#[derive(Args, Debug)]
pub(super) struct Selection {
    /// As listed, event ids, or source:id
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// All there are; needed where neither ids nor a filter narrow it down
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Print the outcome as one JSON array
    #[arg(long)]
    json: bool,
}

impl Which {
    /// What is pending for a sink of `gone` counts only where that sink is named: it may come back.
    fn filter(&self, invocation: &Invocation, gone: &[Name], limit: Option<u64>) -> Filter {
        let now = invocation.clock.now();
        let named = gone.iter().filter(|name| self.sink.as_deref() == Some(name.as_str()));
        Filter {
            gone: named.cloned().collect(),
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            since: self.since.map(|time| time.resolve(now)),
            until: self.until.or(self.older.map(TimeArg::Ago)).map(|time| time.resolve(now)),
            sink: self.sink.as_ref().map(Name::from),
            error: self.error.clone(),
            limit,
            ..Filter::default()
        }
    }

    const fn is_everything(&self) -> bool {
        self.sink.is_none()
            && self.error.is_none()
            && self.source.is_none()
            && self.kind.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.older.is_none()
    }
}

/// Lists, shows, replays or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let store = open_store(&config).await?;
    let gone = gone(&store, &config).await?;
    match command {
        Command::List { which, limit, json } => {
            for sink in gone.iter().filter(|_| which.sink.is_none()) {
                output::tell(&format!(
                    "{sink} is not in the configuration: --sink {sink} also lists what waits for it"
                ));
            }
            list(&store, &which.filter(&invocation, &gone, Some(limit)), json).await?;
        }
        Command::Show { id, json, body } => {
            let all = Filter { gone, ..Filter::default() };
            let ids = find(&store, &[id], &all).await?;
            let letters = store.dead_letters.list(&ids, &all, true).await?;
            show(&letters, json, body)?;
        }
        Command::Replay { selection, to_sink } => {
            let to = events::known_sinks(&config, to_sink.as_slice())?.and_then(|mut names| names.pop());
            let (ids, filter) = selected(&store, &selection, &invocation, &gone).await?;
            let count = store.dead_letters.replay(&ids, &filter, to.as_ref()).await?;
            if let Some(sink) =
                gone.iter().find(|name| to.is_none() && selection.which.sink.as_deref() == Some(name.as_str()))
            {
                output::tell(&format!(
                    "{sink} is not in the configuration: nobody delivers there, --to-sink NAME moves them"
                ));
            }
            report("replayed", count, selection.json)?;
        }
        Command::Discard(selection) => {
            let (ids, filter) = selected(&store, &selection, &invocation, &gone).await?;
            let count = store.dead_letters.discard(&ids, &filter).await?;
            report("discarded", count, selection.json)?;
        }
    }
    store.upkeep.close().await?;
    Ok(Status::Done)
}

/// Sinks of the store that are not in the configuration.
pub(super) async fn gone(store: &Store, config: &Config) -> Result<Vec<Name>, Failure> {
    let configured = |name: &Name| config.sinks.iter().any(|sink| sink.name == *name);
    let found = orphans::find(store.outbox.as_ref(), configured).await?;
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

/// Deliveries by id, or a filter that chooses them; never everything by accident.
async fn selected(
    store: &Store,
    selection: &Selection,
    invocation: &Invocation,
    gone: &[Name],
) -> Result<(Vec<DeliveryId>, Filter), Failure> {
    let filter = selection.which.filter(invocation, gone, None);
    if !selection.ids.is_empty() {
        let all = Filter { gone: gone.to_vec(), ..Filter::default() };
        return Ok((find(store, &selection.ids, &Filter { gone: all.gone.clone(), ..filter }).await?, all));
    }
    if !selection.all && selection.which.is_everything() {
        return Err(Failure::Usage("which dead letters? give ids, a filter, or --all".to_owned()));
    }
    Ok((Vec::new(), filter))
}

/// Writes what matches `filter` as it comes from the store.
async fn list(store: &Store, filter: &Filter, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(["ID", "SINK", "EVENT", "TYPE", "ATTEMPTS", "DIED", "ERROR"], json);
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let page = store.dead_letters.page(filter, from).await?;
        if !listing.write(&pager.take(page), cells, summary)? {
            return Ok(());
        }
    }
    listing.end()
}

/// The deliveries that each of `texts` names among those that match `filter`; one that names none is a failure.
async fn find(store: &Store, texts: &[String], filter: &Filter) -> Result<Vec<DeliveryId>, Failure> {
    let mut letters = Vec::new();
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let page = store.dead_letters.page(filter, from).await?;
        letters.extend(pager.take(page).into_iter().filter(|letter| texts.iter().any(|text| may_mean(text, letter))));
    }
    let mut ids = Vec::new();
    for text in texts {
        ids.extend(named(text, &letters)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn may_mean(text: &str, letter: &DeadLetter) -> bool {
    text.parse() == Ok(letter.id.0) || is_of_event(text, letter)
}

fn is_of_event(text: &str, letter: &DeadLetter) -> bool {
    let event = &letter.event;
    event_ref::meanings(text).iter().any(|meaning| event_ref::fits(meaning, &event.source, &event.id))
}

fn named(text: &str, letters: &[DeadLetter]) -> Result<Vec<DeliveryId>, Failure> {
    let listed = text.parse().ok().map(DeliveryId).filter(|id| letters.iter().any(|letter| letter.id == *id));
    let by_event = of_event(text, letters)?;
    match (listed, by_event.as_slice()) {
        (Some(id), []) => Ok(vec![id]),
        (None, [_, ..]) => Ok(by_event),
        (Some(id), [only]) if id == *only => Ok(by_event),
        // A number may be both; what is discarded is gone, so nothing is guessed.
        (Some(_), _) => {
            Err(Failure::Usage(format!("{text} is a dead letter and the id of another event: say source:{text}")))
        }
        (None, []) => {
            Err(Failure::Runtime(format!("no dead letter {text:?}; `gatepost dead list` shows what there is")))
        }
    }
}

/// All dead deliveries of the one event that `text` names.
fn of_event(text: &str, letters: &[DeadLetter]) -> Result<Vec<DeliveryId>, Failure> {
    let found: Vec<&DeadLetter> = letters.iter().filter(|letter| is_of_event(text, letter)).collect();
    let mut events: Vec<(&Name, &EventId)> =
        found.iter().map(|letter| (&letter.event.source, &letter.event.id)).collect();
    events.sort_unstable_by_key(|(source, id)| (source.as_str(), id.as_str()));
    events.dedup();
    if events.len() > 1 {
        return Err(event_ref::ambiguous(text, events.into_iter()));
    }
    Ok(found.into_iter().map(|letter| letter.id).collect())
}

fn report(done: &str, count: u64, json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(&json!([{ done: count }]));
    }
    output::print(&format!("{done} {count} dead {}", if count == 1 { "letter" } else { "letters" }))
}

fn cells(letter: &DeadLetter) -> [String; 7] {
    [
        letter.id.0.to_string(),
        letter.sink.to_string(),
        format!("{}:{}", letter.event.source, letter.event.id),
        letter.event.kind.clone(),
        letter.attempts.to_string(),
        died_at(letter).map_or_else(String::new, |at| format!("{at:.0}")),
        error(letter),
    ]
}

fn summary(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.0,
        "sink": letter.sink,
        "source": letter.event.source,
        "event_id": letter.event.id.as_str(),
        "type": letter.event.kind,
        "state": letter.state,
        "attempts": letter.attempts,
        "received_at": letter.event.received_at,
        "died_at": died_at(letter),
        "error": error(letter),
    })
}

fn died_at(letter: &DeadLetter) -> Option<Timestamp> {
    (letter.state == State::Dead).then_some(letter.died_at)
}

/// Why it does not get any further.
fn error(letter: &DeadLetter) -> String {
    match (letter.state, letter.error.as_str()) {
        (State::Pending, "") => GONE.to_owned(),
        (State::Pending, error) => format!("{GONE}; before: {error}"),
        (State::Dead | State::Delivered, error) => error.to_owned(),
    }
}

fn show(letters: &[DeadLetter], json: bool, body: bool) -> Result<(), Failure> {
    if body {
        // All of one event, so all bodies are the same.
        return letters.first().map_or(Ok(()), |letter| output::print_bytes(letter.event.payload.bytes()));
    }
    if json {
        let with_body = |letter: &DeadLetter| {
            let mut value = summary(letter);
            table::put_body(&mut value, letter.event.payload.bytes());
            value
        };
        return output::print_json(&Value::Array(letters.iter().map(with_body).collect()));
    }
    let texts = letters.iter().map(|letter| {
        let fields = table::fields(&[
            ("id", letter.id.0.to_string()),
            ("sink", letter.sink.to_string()),
            ("source", letter.event.source.to_string()),
            ("event id", letter.event.id.to_string()),
            ("type", letter.event.kind.clone()),
            ("received at", letter.event.received_at.to_string()),
            ("attempts", letter.attempts.to_string()),
            ("died at", died_at(letter).map_or_else(String::new, |at| at.to_string())),
            ("error", error(letter)),
        ]);
        format!("{fields}\n\n{}", table::body(letter.event.payload.bytes()))
    });
    output::print(&texts.collect::<Vec<_>>().join("\n\n"))
}

#[cfg(test)]
mod tests;
