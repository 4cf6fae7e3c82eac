//! `sinks`: how each stands, paused and resumed. Works on the store, beside a running daemon or without one.

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::operations::SinkStatus;

use super::failure::{Failure, Status};
use super::invocation::{Invocation, with_store};
use super::listing::TableArgs;
use super::operator::OperatorArg;
use super::{output, table};

/// What to do with sinks.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List sinks with what waits for them, and who paused which
    ///
    /// Whether a sink's circuit is open, only its daemon knows: see `gatepost_sink_circuit` of /metrics.
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        table: TableArgs,
    },
    /// Deliver nothing to a sink until it is resumed, in every process of this store and across restarts
    ///
    /// What is under way is finished. What waits is kept, and does not grow older for `max_age` meanwhile.
    Pause {
        /// As configured
        name: String,
        /// Why, as listings and records will say
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        operator: OperatorArg,
    },
    /// Deliver to a paused sink again
    Resume {
        /// As listed
        name: String,
        #[command(flatten)]
        operator: OperatorArg,
    },
    /// Deliver to a sink at another rate than the configured one, in every process of this store and across restarts
    Rate {
        /// As configured
        name: String,
        /// At most so many deliveries: 100/s, 600/m; or `configured`
        #[arg(value_name = "RATE")]
        rate: String,
        #[command(flatten)]
        operator: OperatorArg,
    },
}

/// Lists, pauses, resumes or slows down.
pub(super) async fn run(command: Command, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    with_store(&config, async |store| {
        let operations = invocation.operations(&config, store);
        match command {
            Command::List { json, table } => {
                let sinks = operations.list_sinks().await?;
                let value = || Value::Array(sinks.iter().map(summary).collect());
                output::print_either(json, value, || listed(&sinks, now, table))
            }
            Command::Pause { name, reason, operator } => {
                let operator = operator.required(&invocation.vars)?;
                let paused = operations.pause_sink(&name, &operator, reason.as_deref()).await?;
                let done = if paused { "paused" } else { "is paused already:" };
                output::print(&if paused {
                    format!("{done} {name}, by {}: what waits is kept", operator.as_str())
                } else {
                    format!("{name} {done} nothing was changed")
                })
            }
            Command::Resume { name, operator } => {
                let operator = operator.required(&invocation.vars)?;
                output::print(&match operations.resume_sink(&name, &operator).await? {
                    Some(pause) => format!("resumed {name}, paused since {:.0} by {}", pause.at, pause.by),
                    None => format!("{name} is not paused: nothing was changed"),
                })
            }
            Command::Rate { name, rate, operator } => {
                let operator = operator.required(&invocation.vars)?;
                let given = Some(rate.as_str()).filter(|rate| *rate != "configured");
                operations.rate_sink(&name, &operator, given).await?;
                output::print(&format!(
                    "{name} gets its deliveries at the rate {}",
                    given.unwrap_or("of the configuration")
                ))
            }
        }
    })
    .await?;
    Ok(Status::Done)
}

fn summary(sink: &SinkStatus) -> Value {
    json!({
        "sink": sink.name,
        "configured": sink.configured,
        "paused": sink.control.paused,
        "pending": sink.backlog.pending,
        "dead": sink.backlog.dead,
        "oldest_age_seconds": sink.backlog.oldest_age.map(|age| age.as_secs()),
        "rate": sink.rate.map(|rate| rate.to_string()),
        "rate_override": sink.control.rate,
    })
}

fn listed(sinks: &[SinkStatus], now: Timestamp, table: TableArgs) -> String {
    let rows: Vec<[String; 6]> = sinks.iter().map(|sink| cells(sink, now)).collect();
    table::fitted(["SINK", "STATE", "PENDING", "DEAD", "OLDEST", "RATE"], &rows, table.fit())
}

fn cells(sink: &SinkStatus, now: Timestamp) -> [String; 6] {
    let paused = sink.control.paused.as_ref().map(|pause| {
        let why = pause.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let ago = now.duration_since(pause.at).as_secs();
        format!("paused {} ago by {}{why}", span(u64::try_from(ago).unwrap_or(0)), pause.by)
    });
    let state = if sink.configured { "delivering" } else { "not in the configuration" };
    let rate = match (&sink.control.rate, sink.rate) {
        (Some(given), _) => format!("{} by {}", given.rate, given.by),
        (None, Some(rate)) => rate.to_string(),
        (None, None) => String::new(),
    };
    [
        sink.name.to_string(),
        paused.unwrap_or_else(|| state.to_owned()),
        sink.backlog.pending.to_string(),
        sink.backlog.dead.to_string(),
        sink.backlog.oldest_age.map_or_else(String::new, |age| span(age.as_secs())),
        rate,
    ]
}

/// Seconds in the largest unit that there is one of: `90s`, `15m`, `50h`, `3d`.
fn span(seconds: u64) -> String {
    let units = [("d", 86_400, 3), ("h", 3600, 2), ("m", 60, 2), ("s", 1, 0)];
    let fits = units.into_iter().find(|(_, unit, least)| seconds >= unit * least);
    fits.map_or_else(String::new, |(name, unit, _)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [(0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (259_200, "3d")] {
            assert_eq!(span(seconds), text);
        }
    }
}
