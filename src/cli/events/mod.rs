//! `events`: what was accepted, and delivering it again. Works on the store, beside a running daemon.

mod print;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::event::{KeptHeaders, Name};
use crate::operations::{
    self, BodyField, Chosen, Found, LOOKED_AT, MOST_ERASED, Operations, Operator, Resender, Sought,
};
use crate::settings::grammar;
use crate::store::{EventFilter, State};

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::operator::{self, OperatorArg};
use super::progress::Progress;
use super::selection::{Criteria, ListArgs, Received, Selection, ShowArgs};
use super::{listing, output};

/// What to do with accepted events.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List events, newest first
    List {
        #[command(flatten)]
        list: ListArgs<Which>,
        #[command(flatten)]
        sought: SoughtArgs,
    },
    /// Show one event with its deliveries and its body
    Show {
        /// An event id, or source:id
        id: String,
        /// Of this source, where several have an event of that id
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// Print the curl command that posts it as it was received
        #[arg(long, conflicts_with_all = ["json", "body"])]
        curl: bool,
        /// Where that posts to
        #[arg(long, value_name = "URL", default_value = "http://localhost:8080/", requires = "curl")]
        url: String,
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
        /// To this address instead, once and now, outside the sinks: a CloudEvents POST without any secret
        #[arg(long, value_name = "URL", conflicts_with = "sink")]
        to: Option<String>,
    },
    /// Remove body, kept headers and all that says whom events came from, for good
    ///
    /// What stays is source, id, type and time, so that the id still counts once: a repetition stays a duplicate, another
    /// body a conflict. Deliveries that wait or are dead go, and so do refused requests with that id or body.
    Erase {
        #[command(flatten)]
        selection: Selection<Which>,
        /// Erase what a filter matches; without it, only how many that are is said
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        operator: OperatorArg,
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
    /// Only in this state: pending, delivered, dead, or stored where it has no sink
    #[arg(long, value_name = "STATE", value_parser = State::parse)]
    state: Option<State>,
}

impl Command {
    /// The source that it is narrowed down to.
    fn source(&self) -> Option<Name> {
        let name = match self {
            Self::List { list, .. } => &list.which.source,
            Self::Show { source, .. } => source,
            Self::Replay { selection, .. } | Self::Erase { selection, .. } => &selection.which.source,
        };
        name.as_ref().map(Name::from)
    }
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

/// What no index knows.
#[derive(Args, Default, PartialEq, Debug)]
pub(super) struct SoughtArgs {
    /// Only what this request brought: its `request_id`, as in the access record and in `X-Request-Id` of the answer
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only with this value in the JSON body: /sessionId=abc
    #[arg(long, value_name = "/POINTER=VALUE", value_parser = BodyField::parse)]
    field: Option<BodyField>,
    /// How many events these look at
    #[arg(long, value_name = "N", default_value_t = LOOKED_AT)]
    scan: u64,
}

impl SoughtArgs {
    fn is_given(&self) -> bool {
        !self.sought().is_nothing()
    }

    fn sought(&self) -> Sought {
        Sought { request: self.request.clone(), field: self.field.clone() }
    }
}

/// What a search that did not look at everything says.
fn tell_how_far(found: &Found) {
    let Some(back_to) = found.back_to else { return };
    let looked = found.looked_at;
    let more = if found.next.is_some() { "; --scan N looks further" } else { ", which are all" };
    output::tell(&format!("looked at {looked} events, back to {back_to:.0}{more}"));
}

/// Lists, shows, replays or erases.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let operations = invocation.operations(&config, store);
        operations.known_source(command.source().as_ref()).await?;
        match command {
            Command::List { list: ListArgs { which, limit, form }, sought } if sought.is_given() => {
                let (filter, sought, most) = (which.filter(now, Some(limit)), sought.sought(), sought.scan);
                let found = operations.find_events(&filter, &sought, None, most).await?;
                listing::print_all(&found.events, &form)?;
                tell_how_far(&found);
            }
            Command::List { list: ListArgs { which, limit, form }, .. } => {
                let page = async |filter: &_, from| store.archive.page(filter, from).await;
                listing::print(&which.filter(now, Some(limit)), &form, page).await?;
            }
            Command::Show { id, source, curl, url, form } => {
                let found = operations.event(&id, source.map(Name::from).as_ref()).await?;
                if curl {
                    output::print(&operations::curl(&found, &url)?)?;
                } else {
                    form.print(found.event.payload.bytes(), || print::detail(&found), || print::shown(&found))?;
                }
            }
            Command::Replay { selection, sink, to } => {
                selection.require("replay what?")?;
                let chosen = selection.chosen(selection.which.filter(now, None));
                let user = operator::user(&invocation.vars)?;
                if let Some(url) = to {
                    return resend(&operations, &invocation, &chosen, &url, &user, selection.json).await;
                }
                replay(&operations, &chosen, &sink, &user, selection.json).await?;
            }
            Command::Erase { selection, yes, operator } => {
                let operator = operator.required(&invocation.vars)?;
                selection.require("erase what?")?;
                let chosen = selection.chosen(selection.which.filter(now, None));
                let by_filter = selection.ids.is_empty() && !yes;
                return erase(&operations, &chosen, by_filter, &operator, selection.json).await;
            }
        }
        Ok(Status::Done)
    })
    .await
}

/// Queues what is chosen again, to the sinks called `to` or to those it had.
async fn replay(
    operations: &Operations<'_>,
    chosen: &Chosen<EventFilter>,
    to: &[String],
    user: &Operator,
    json: bool,
) -> Result<(), Failure> {
    let bar = Progress::new("events queued again");
    let told = |done, all| bar.tell(done, all);
    let replayed = Operations { progress: &told, ..*operations }.replay_events(chosen, to, user).await?;
    drop(bar);
    for sink in &replayed.left {
        output::tell(&format!("{sink} is not in the configuration: nothing was queued for it; --sink NAME moves it"));
    }
    let (events, count) = (replayed.events, replayed.deliveries);
    let outcome = || json!([{ "events": events, "deliveries": count }]);
    output::print_either(json, outcome, || format!("{count} deliveries of {events} events queued again"))
}

/// Delivers what is chosen to `url`, one after the other, and says what became of each; 1 where one was not taken.
async fn resend(
    operations: &Operations<'_>,
    invocation: &Invocation,
    chosen: &Chosen<EventFilter>,
    url: &str,
    user: &Operator,
    json: bool,
) -> Result<Status, Failure> {
    let to = Resender::new(url, &invocation.vars).map_err(|error| Failure::Usage(format!("--to: {error}")))?;
    for warning in &to.warnings {
        output::tell(&format!("warning: {warning}"));
    }
    let (mut failed, mut values) = (false, Vec::new());
    for event in operations.chosen_events(chosen).await? {
        let resent = operations.resend(&event, &to, user).await?;
        failed |= resent.outcome.is_err();
        if json {
            values.push(print::resent_value(&resent));
        } else {
            output::print(&print::resent(&resent))?;
        }
    }
    if json {
        output::print_json(&Value::Array(values))?;
    }
    Ok(if failed { Status::Failed } else { Status::Done })
}

/// Erases what is chosen; where `by_filter`, only says how many that would be.
async fn erase(
    operations: &Operations<'_>,
    chosen: &Chosen<EventFilter>,
    by_filter: bool,
    operator: &Operator,
    json: bool,
) -> Result<Status, Failure> {
    let events = operations.to_erase(chosen).await?;
    if by_filter {
        let many = if events.len() > MOST_ERASED { "more than " } else { "" };
        let count = events.len().min(MOST_ERASED);
        output::tell(&format!("{many}{count} events match, which cannot be brought back: say --yes to erase them"));
        return Ok(Status::Wrong);
    }
    let erased = operations.erase_events(&events, operator).await?;
    output::print_either(json, || print::erased_value(&erased), || print::erased(&erased))?;
    if !erased.overwritten {
        output::tell(
            "what was erased may stay in the database's files until it cleans up, and stays in copies: see docs/how-to/erase.md",
        );
    }
    Ok(Status::Done)
}
