//! `quarantine`: refused requests kept for inspection. Works on the store, beside a running daemon.

mod release;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::event::{EventId, Name};
use crate::store::{Filter, Pager, Quarantine, Quarantined};

use super::events::DEFAULT_LIMIT;
use super::failure::{Failure, Status};
use super::invocation::{Invocation, open_store};
use super::listing::Listing;
use super::time_arg::{self, TimeArg};
use super::{event_ref, output, table};
use release::{Operator, Releaser};

/// What to do with refused requests.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List refused requests, newest first
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
    /// Show one refused request with its headers and its body
    Show {
        /// As listed, a request id, an event id, or source:id
        id: String,
        /// Print one JSON object
        #[arg(long, conflicts_with = "body")]
        json: bool,
        /// Write the body alone, byte for byte
        #[arg(long)]
        body: bool,
    },
    /// Accept refused requests as if they had been valid, forged ones too; the events tell who did so
    Release {
        /// As listed, request ids, event ids, or source:id
        #[arg(required = true)]
        ids: Vec<String>,
        /// Who answers for it, as the event will say; default: `SUDO_USER`, else `USER`
        #[arg(long, value_name = "NAME")]
        operator: Option<String>,
        /// Print the outcome as one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove refused requests
    Discard {
        /// As listed, request ids, event ids, or source:id
        ids: Vec<String>,
        #[command(flatten)]
        which: Which,
        /// All there are; needed where neither ids nor a filter narrow it down
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Print the outcome as one JSON array
        #[arg(long)]
        json: bool,
    },
}

/// Which refused requests.
#[derive(Args, Debug, Default)]
pub(super) struct Which {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those refused for this reason, such as `signature_mismatch` or `id_conflict`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Received at or after: a time (2026-05-01T12:00:00Z), a date, or how long ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    since: Option<TimeArg>,
    /// Received before
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    until: Option<TimeArg>,
}

impl Which {
    fn filter(&self, invocation: &Invocation, limit: Option<u64>) -> Filter {
        let now = invocation.clock.now();
        Filter {
            source: self.source.as_ref().map(Name::from),
            error: self.reason.clone(),
            since: self.since.map(|time| time.resolve(now)),
            until: self.until.map(|time| time.resolve(now)),
            limit,
            ..Filter::default()
        }
    }

    const fn is_everything(&self) -> bool {
        self.source.is_none() && self.reason.is_none() && self.since.is_none() && self.until.is_none()
    }
}

/// Lists, shows, releases or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let store = open_store(&config).await?;
    let quarantine = store.quarantine.as_ref();
    match command {
        Command::List { which, limit, json } => {
            list(quarantine, &which.filter(&invocation, Some(limit)), json).await?;
        }
        Command::Show { id, json, body } => {
            let entry = find(quarantine, &id).await?;
            if body {
                output::print_bytes(&entry.body)?;
            } else if json {
                output::print_json(&detail(&entry))?;
            } else {
                output::print(&shown(&entry))?;
            }
        }
        Command::Release { ids, operator, json } => {
            let operator = Operator::new(operator, &invocation.vars)?;
            let entries = chosen(quarantine, &ids, &Filter::default()).await?;
            let releaser = Releaser { config: &config, store: &store, operator, now: invocation.clock.now() };
            let outcomes = releaser.release(&entries).await?;
            if json {
                output::print_json(&Value::Array(outcomes.iter().map(release::Outcome::json).collect()))?;
            } else {
                let lines: Vec<String> = outcomes.iter().map(release::Outcome::words).collect();
                output::print(&lines.join("\n"))?;
            }
        }
        Command::Discard { ids, which, all, json } => {
            if ids.is_empty() && !all && which.is_everything() {
                return Err(Failure::Usage("discard what? give ids, a filter, or --all".to_owned()));
            }
            let entries = chosen(quarantine, &ids, &which.filter(&invocation, None)).await?;
            let count = quarantine.remove(&entries).await?;
            if json {
                output::print_json(&json!([{ "discarded": count }]))?;
            } else {
                output::print(&format!(
                    "discarded {count} refused {}",
                    if count == 1 { "request" } else { "requests" }
                ))?;
            }
        }
    }
    store.upkeep.close().await?;
    Ok(Status::Done)
}

/// Writes what matches `filter` as it comes from the store.
async fn list(quarantine: &dyn Quarantine, filter: &Filter, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(["ID", "SOURCE", "REASON", "RECEIVED", "CLIENT", "REQUEST", "EVENT"], json);
    let mut pager = Pager::new(filter);
    while let Some((filter, from)) = pager.next() {
        let page = quarantine.page(filter, from).await?;
        if !listing.write(&pager.take(page), cells, summary)? {
            return Ok(());
        }
    }
    listing.end()
}

async fn chosen(quarantine: &dyn Quarantine, texts: &[String], filter: &Filter) -> Result<Vec<i64>, Failure> {
    let entries = quarantine.list(filter).await?;
    if texts.is_empty() {
        return Ok(entries.iter().map(|entry| entry.id).collect());
    }
    texts.iter().map(|text| named(text, &entries)).collect()
}

/// The entry that `text` names, with its body.
pub(super) async fn find(quarantine: &dyn Quarantine, text: &str) -> Result<Quarantined, Failure> {
    // The bounds of the quarantine bound this list too.
    let entries = quarantine.list(&Filter::default()).await?;
    let id = named(text, &entries)?;
    quarantine.get(id).await?.ok_or_else(|| missing(text))
}

fn missing(text: &str) -> Failure {
    Failure::Runtime(format!("no refused request {text:?}; `gatepost quarantine list` shows what there is"))
}

/// By the number listed, by request id, or by event id; the newest of several that conflicted over one event id.
fn named(text: &str, entries: &[Quarantined]) -> Result<i64, Failure> {
    let number = text.parse::<i64>().ok();
    let listed = entries.iter().find(|entry| Some(entry.id) == number || entry.request_id == text);
    let meanings = event_ref::meanings(text);
    let mut of_events: Vec<(&Quarantined, &EventId)> = Vec::new();
    for entry in entries {
        if let Some(id) = &entry.event_id
            && meanings.iter().any(|meaning| event_ref::fits(meaning, &entry.source, id))
            && !of_events.iter().any(|(known, known_id)| known.source == entry.source && *known_id == id)
        {
            of_events.push((entry, id));
        }
    }
    match (listed, of_events.as_slice()) {
        (Some(a), [(b, id)]) if a.id != b.id => {
            Err(Failure::Usage(format!("{text} is listed and the event id of another: say {}:{id}", b.source)))
        }
        (Some(entry), [] | [_]) => Ok(entry.id),
        (None, [(entry, _)]) => Ok(entry.id),
        (None, []) => Err(missing(text)),
        (_, several) => {
            let numbers: Vec<String> = several.iter().map(|(entry, _)| entry.id.to_string()).collect();
            Err(Failure::Usage(format!("{text:?} names more than one event: say {}", numbers.join(" or "))))
        }
    }
}

fn cells(entry: &Quarantined) -> [String; 7] {
    [
        entry.id.to_string(),
        entry.source.to_string(),
        entry.reason.clone(),
        format!("{:.0}", entry.received_at),
        entry.client_ip.map_or_else(String::new, |ip| ip.to_string()),
        entry.request_id.clone(),
        entry.event_id.as_ref().map_or_else(String::new, ToString::to_string),
    ]
}

fn summary(entry: &Quarantined) -> Value {
    json!({
        "id": entry.id,
        "source": entry.source,
        "reason": entry.reason,
        "received_at": entry.received_at,
        "request_id": entry.request_id,
        "client_ip": entry.client_ip,
        "target": entry.target,
        "event_id": entry.event_id.as_ref().map(ToString::to_string),
    })
}

fn detail(entry: &Quarantined) -> Value {
    let mut value = summary(entry);
    value["headers"] = serde_json::from_str(&entry.headers).unwrap_or(Value::Null);
    value["bytes"] = entry.body.len().into();
    table::put_body(&mut value, &entry.body);
    value
}

fn shown(entry: &Quarantined) -> String {
    let fields = table::fields(&[
        ("id", entry.id.to_string()),
        ("source", entry.source.to_string()),
        ("reason", entry.reason.clone()),
        ("received at", entry.received_at.to_string()),
        ("request id", entry.request_id.clone()),
        ("client", entry.client_ip.map_or_else(String::new, |ip| ip.to_string())),
        ("event id", entry.event_id.as_ref().map_or_else(String::new, ToString::to_string)),
        ("bytes", entry.body.len().to_string()),
    ]);
    let mut head = vec![table::visible(&entry.target, false)];
    for (name, value) in header_lines(&entry.headers) {
        head.push(table::visible(&format!("{name}: {value}"), false));
    }
    format!("{fields}\n\n{}\n\n{}", head.join("\n"), table::body(&entry.body))
}

/// The header lines of an entry, in the order they came.
pub(super) fn header_lines(headers: &str) -> Vec<(String, String)> {
    serde_json::from_str(headers).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    fn entry(id: i64, request: &str, event: Option<&str>) -> Quarantined {
        Quarantined {
            id,
            source: "nice".into(),
            reason: "id_conflict".into(),
            received_at: Timestamp::UNIX_EPOCH,
            request_id: request.into(),
            client_ip: None,
            target: "POST /webhooks/nice".into(),
            headers: r#"[["host","localhost"],["x-evil","\u001b[2J"]]"#.into(),
            event_id: event.and_then(EventId::new),
            body: Bytes::from_static(b"{\"a\":1}"),
        }
    }

    #[test]
    fn a_request_is_named_as_listed_by_request_or_by_event() {
        let entries = [entry(3, "r3", None), entry(2, "r2", Some("e")), entry(1, "r1", Some("e"))];
        let named = |text: &str| named(text, &entries).map_err(|failure| failure.status());
        assert_eq!(named("3"), Ok(3));
        assert_eq!(named("r1"), Ok(1));
        assert_eq!(named("e"), Ok(2));
        assert_eq!(named("nice:e"), Ok(2));
        assert_eq!(named("other"), Err(Status::Failed));
        let mut other = entry(1, "r1", Some("nice:e"));
        other.source = "other".into();
        let two = [entry(2, "r2", Some("e")), other];
        assert_eq!(super::named("nice:e", &two).map_err(|failure| failure.status()), Err(Status::Wrong));
        assert_eq!(super::named("other:nice:e", &two).unwrap(), 1);
    }

    #[test]
    fn a_number_that_is_two_things_is_not_guessed() {
        let entries = [entry(3, "r3", None), entry(2, "r2", Some("3"))];
        assert_eq!(named("3", &entries).map_err(|failure| failure.status()), Err(Status::Wrong));
        assert_eq!(named("nice:3", &entries).unwrap(), 2);
    }

    #[test]
    fn what_is_shown_is_safe_for_a_terminal_and_whole() {
        let text = shown(&entry(1, "r", None));
        assert!(text.contains("POST /webhooks/nice\nhost: localhost\nx-evil: \\u{1b}[2J\n\n{\"a\":1}"), "{text}");
        assert_eq!(detail(&entry(1, "r", None))["headers"][0][1], "localhost");
    }
}
