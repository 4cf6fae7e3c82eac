//! `dead`: deliveries that ran out of attempts, to be looked at, tried again or given up. Works beside a running daemon.

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::event::{EventId, Name};
use crate::store::{DeadLetter, DeliveryId, Filter, Pager, Store};

use super::events::DEFAULT_LIMIT;
use super::failure::{Failure, Status};
use super::invocation::{Invocation, open_store};
use super::listing::Listing;
use super::moment::{self, Moment};
use super::{console, reference, table};

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
    Replay(Selection),
    /// Give dead letters up for good
    Discard(Selection),
}

/// Which dead letters.
#[derive(Args, Debug, Default)]
pub(super) struct Which {
    /// Only to this sink
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
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    since: Option<Moment>,
    /// Only events received before
    #[arg(long, value_name = "WHEN", value_parser = moment::parse)]
    until: Option<Moment>,
    /// Only events received longer ago than this (3d)
    #[arg(long, value_name = "AGE", value_parser = moment::parse_duration, conflicts_with = "until")]
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
    fn filter(&self, invocation: &Invocation, limit: Option<u64>) -> Filter {
        let now = invocation.clock.now();
        Filter {
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            since: self.since.map(|moment| moment.resolve(now)),
            until: self.until.or(self.older.map(Moment::Ago)).map(|moment| moment.resolve(now)),
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
    match command {
        Command::List { which, limit, json } => {
            list(&store, &which.filter(&invocation, Some(limit)), json).await?;
        }
        Command::Show { id, json, body } => {
            let ids = find(&store, &[id], &Filter::default()).await?;
            let letters = store.dead_letters.list(&ids, &Filter::default(), true).await?;
            show(&letters, json, body)?;
        }
        Command::Replay(selection) => {
            let (ids, filter) = selected(&store, &selection, &invocation).await?;
            let count = store.dead_letters.replay(&ids, &filter).await?;
            report("replayed", count, selection.json)?;
        }
        Command::Discard(selection) => {
            let (ids, filter) = selected(&store, &selection, &invocation).await?;
            let count = store.dead_letters.discard(&ids, &filter).await?;
            report("discarded", count, selection.json)?;
        }
    }
    store.upkeep.close().await?;
    Ok(Status::Done)
}

/// Deliveries by id, or a filter that chooses them; never everything by accident.
async fn selected(
    store: &Store,
    selection: &Selection,
    invocation: &Invocation,
) -> Result<(Vec<DeliveryId>, Filter), Failure> {
    let filter = selection.which.filter(invocation, None);
    if !selection.ids.is_empty() {
        return Ok((find(store, &selection.ids, &filter).await?, Filter::default()));
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
    reference::meanings(text).iter().any(|meaning| reference::fits(meaning, &event.source, &event.id))
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
        return Err(reference::ambiguous(text, events.into_iter()));
    }
    Ok(found.into_iter().map(|letter| letter.id).collect())
}

fn report(done: &str, count: u64, json: bool) -> Result<(), Failure> {
    if json {
        return console::print_json(&json!([{ done: count }]));
    }
    console::print(&format!("{done} {count} dead {}", if count == 1 { "letter" } else { "letters" }))
}

fn cells(letter: &DeadLetter) -> [String; 7] {
    [
        letter.id.0.to_string(),
        letter.sink.to_string(),
        format!("{}:{}", letter.event.source, letter.event.id),
        letter.event.kind.clone(),
        letter.attempts.to_string(),
        format!("{:.0}", letter.died_at),
        letter.error.clone(),
    ]
}

fn summary(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.0,
        "sink": letter.sink,
        "source": letter.event.source,
        "event_id": letter.event.id.as_str(),
        "type": letter.event.kind,
        "attempts": letter.attempts,
        "received_at": letter.event.received_at,
        "died_at": letter.died_at,
        "error": letter.error,
    })
}

fn show(letters: &[DeadLetter], json: bool, body: bool) -> Result<(), Failure> {
    if body {
        // All of one event, so all bodies are the same.
        return letters.first().map_or(Ok(()), |letter| console::print_bytes(letter.event.payload.bytes()));
    }
    if json {
        let with_body = |letter: &DeadLetter| {
            let mut value = summary(letter);
            table::put_body(&mut value, letter.event.payload.bytes());
            value
        };
        return console::print_json(&Value::Array(letters.iter().map(with_body).collect()));
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
            ("died at", letter.died_at.to_string()),
            ("error", letter.error.clone()),
        ]);
        format!("{fields}\n\n{}", table::body(letter.event.payload.bytes()))
    });
    console::print(&texts.collect::<Vec<_>>().join("\n\n"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;
    use crate::event::Event;

    fn letter(id: i64, source: &str, event: &str) -> DeadLetter {
        DeadLetter {
            id: DeliveryId(id),
            sink: "orders".into(),
            attempts: 12,
            died_at: Timestamp::UNIX_EPOCH,
            error: "503".into(),
            event: Event {
                source: source.into(),
                id: EventId::new(event).unwrap(),
                kind: "t".into(),
                received_at: Timestamp::UNIX_EPOCH,
                content_type: "application/json".into(),
                payload: Bytes::from_static(b"{}").into(),
                key: "0".into(),
                request_id: "r".into(),
                client_ip: None,
                traceparent: None,
            },
        }
    }

    fn ids(text: &str, letters: &[DeadLetter]) -> Result<Vec<i64>, Status> {
        let found = named(text, letters);
        found.map(|ids| ids.into_iter().map(|id| id.0).collect()).map_err(|failure| failure.status())
    }

    #[test]
    fn a_letter_is_named_as_listed_by_event_or_by_source_and_event() {
        let letters = [letter(7, "a", "e1"), letter(8, "a", "e1"), letter(9, "b", "e2")];
        assert_eq!(ids("7", &letters), Ok(vec![7]));
        assert_eq!(ids("e1", &letters), Ok(vec![7, 8]));
        assert_eq!(ids("b:e2", &letters), Ok(vec![9]));
        assert_eq!(ids("b:e1", &letters), Err(Status::Failed));
        assert_eq!(ids("10", &letters), Err(Status::Failed));
    }

    #[test]
    fn nothing_is_guessed() {
        let shared = [letter(1, "a", "e"), letter(2, "b", "e")];
        assert_eq!(ids("e", &shared), Err(Status::Wrong));
        let numeric = [letter(1, "a", "2"), letter(2, "a", "x")];
        assert_eq!(ids("2", &numeric), Err(Status::Wrong));
        assert_eq!(ids("a:2", &numeric), Ok(vec![1]));
        assert_eq!(ids("3", &[letter(3, "a", "3")]), Ok(vec![3]));
        // `a:x` is x of a, and an id of b's own.
        let colons = [letter(1, "a", "x"), letter(2, "b", "a:x"), letter(3, "b", "a:x")];
        assert_eq!(ids("a:x", &colons), Err(Status::Wrong));
        assert_eq!(ids("b:a:x", &colons), Ok(vec![2, 3]));
        assert_eq!(ids("a:x", &colons[..1]), Ok(vec![1]));
        assert_eq!(ids("a:x", &colons[1..]), Ok(vec![2, 3]));
    }

    #[test]
    fn an_age_is_an_upper_bound() {
        let invocation = Invocation {
            file: None,
            vars: std::collections::BTreeMap::new(),
            clock: crate::clock::Clock::manual("2026-05-02T00:00:00Z".parse().unwrap()),
        };
        let which = Which { older: Some(SignedDuration::from_hours(24)), ..Which::default() };
        assert_eq!(which.filter(&invocation, None).until, Some("2026-05-01T00:00:00Z".parse().unwrap()));
        assert!(!which.is_everything());
        assert!(Which::default().is_everything());
    }
}
