//! `quarantine`: refused requests kept for inspection. Works on the store, beside a running daemon.

mod print;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::Name;
use crate::operations::ReleaseOutcome;
use crate::store::QuarantineFilter;

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::operator::{self, OperatorArg};
use super::selection::{Criteria, ListArgs, Received, Selection, ShowArgs};
use super::{listing, output, table};

/// What to do with refused requests.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List refused requests, newest first
    List(ListArgs<Which>),
    /// Show one refused request with its headers and its body
    Show {
        /// As listed, a request id, an event id, or source:id
        id: String,
        #[command(flatten)]
        form: ShowArgs,
    },
    /// Accept refused requests as if they had been valid, forged ones too; the events tell who did so
    Release {
        /// As listed, request ids, event ids, or source:id
        #[arg(required = true)]
        ids: Vec<String>,
        #[command(flatten)]
        operator: OperatorArg,
        /// Print the outcome as one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Remove refused requests
    Discard(Selection<Which>),
}

/// Which refused requests.
#[derive(Args, Default, PartialEq, Debug)]
pub(super) struct Which {
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only those refused for this reason, such as `signature_mismatch` or `id_conflict`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    #[command(flatten)]
    received: Received,
}

impl Command {
    /// The source that it is narrowed down to.
    fn source(&self) -> Option<Name> {
        let which = match self {
            Self::List(list) => &list.which,
            Self::Discard(selection) => &selection.which,
            Self::Show { .. } | Self::Release { .. } => return None,
        };
        which.source.as_ref().map(Name::from)
    }
}

impl Criteria for Which {
    const IDS: &'static str = "As listed, request ids, event ids, or source:id";
}

impl Which {
    fn filter(&self, now: Timestamp, limit: Option<u64>) -> QuarantineFilter {
        QuarantineFilter {
            source: self.source.as_ref().map(Name::from),
            reason: self.reason.clone(),
            since: self.received.since(now),
            until: self.received.until(now),
            limit,
        }
    }
}

/// Lists, shows, releases or discards.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let operations = invocation.operations(&config, store);
        operations.known_source(command.source().as_ref()).await?;
        match command {
            Command::List(ListArgs { which, limit, form }) => {
                let page = async |filter: &_, from| store.quarantine.page(filter, from).await;
                listing::print(&which.filter(now, Some(limit)), &form, page).await
            }
            Command::Show { id, form } => {
                let entry = operations.refused(&id).await?;
                form.print(&entry.body, || print::detail(&entry), || print::shown(&entry))
            }
            Command::Release { ids, operator, json } => {
                let outcomes = operations.release(&ids, &operator.required(&invocation.vars)?).await?;
                let values = || Value::Array(outcomes.iter().map(value).collect());
                output::print_either(json, values, || outcomes.iter().map(words).collect::<Vec<_>>().join("\n"))
            }
            Command::Discard(selection) => {
                selection.require("discard what?")?;
                let chosen = selection.chosen(selection.which.filter(now, None));
                let count = operations.discard_refused(&chosen, &operator::user(&invocation.vars)?).await?;
                output::print_count(selection.json, "discarded", count, "refused request")
            }
        }
    })
    .await?;
    Ok(Status::Done)
}

/// What became of a release, on one line.
fn words(outcome: &ReleaseOutcome) -> String {
    let ReleaseOutcome { entry, source, event_id, operator, .. } = outcome;
    let done = if outcome.added {
        let sinks = if outcome.sinks == 1 { "sink" } else { "sinks" };
        format!("released {entry} as {source}:{event_id}, by {operator}, to {} {sinks}", outcome.sinks)
    } else {
        format!("{entry} was accepted before as {source}:{event_id}: nothing was added")
    };
    table::visible(&outcome.note.iter().fold(done, |line, note| format!("{line}; {note}")), false)
}

/// It as JSON.
fn value(outcome: &ReleaseOutcome) -> Value {
    json!({
        "id": outcome.entry,
        "source": outcome.source,
        "event_id": outcome.event_id.as_str(),
        "type": outcome.kind,
        "status": if outcome.added { "released" } else { "duplicate" },
        "duplicate": !outcome.added,
        "operator": outcome.operator,
        "note": outcome.note,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::print::{detail, shown};
    use super::*;
    use crate::event::EventId;
    use crate::operations;
    use crate::store::Quarantined;

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

    /// The newest entry of those that `text` names.
    fn named(text: &str, entries: &[Quarantined]) -> Result<i64, Status> {
        operations::named(text, entries).map(|found| found[0].id).map_err(|error| Failure::from(error).status())
    }

    #[test]
    fn a_request_is_named_as_listed_by_request_or_by_event() {
        let entries = [entry(3, "r3", None), entry(2, "r2", Some("e")), entry(1, "r1", Some("e"))];
        for (text, expected) in [("3", 3), ("r1", 1), ("e", 2), ("nice:e", 2)] {
            assert_eq!(named(text, &entries), Ok(expected), "{text}");
        }
        assert_eq!(named("other", &entries), Err(Status::Failed));
        let mut other = entry(1, "r1", Some("nice:e"));
        other.source = "other".into();
        let two = [entry(2, "r2", Some("e")), other];
        assert_eq!(named("nice:e", &two), Err(Status::Wrong));
        assert_eq!(named("other:nice:e", &two), Ok(1));
    }

    #[test]
    fn a_number_that_is_two_things_is_not_guessed() {
        let entries = [entry(3, "r3", None), entry(2, "r2", Some("3"))];
        assert_eq!(named("3", &entries), Err(Status::Wrong));
        assert_eq!(named("nice:3", &entries), Ok(2));
    }

    #[test]
    fn what_is_shown_is_safe_for_a_terminal_and_whole() {
        let text = shown(&entry(1, "r", None));
        assert!(text.contains("POST /webhooks/nice\nhost: localhost\nx-evil: \\u{1b}[2J\n\n{\"a\":1}"), "{text}");
        assert_eq!(detail(&entry(1, "r", None))["headers"][0][1], "localhost");
    }
}
