//! The arguments that `events`, `dead` and `quarantine` share: which rows, how many, in what form.

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use crate::operations::Chosen;

use super::failure::Failure;
use super::listing::Form;
use super::output;
use crate::time_arg::{self, TimeArg};

/// When something was received.
#[derive(Args, Clone, Default, PartialEq, Debug)]
pub(super) struct Received {
    /// Only what was received at or after: a time (2026-05-01T12:00:00Z), a date, or how long ago (2h)
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    pub(super) since: Option<TimeArg>,
    /// Only what was received before
    #[arg(long, value_name = "WHEN", value_parser = time_arg::parse)]
    pub(super) until: Option<TimeArg>,
}

impl Received {
    /// The first point in time, when it is `now`.
    pub(super) fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.since.map(|time| time.resolve(now))
    }

    /// The point in time behind the last.
    pub(super) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.map(|time| time.resolve(now))
    }
}

/// What narrows rows down apart from their ids.
pub(super) trait Criteria: Args + Default + PartialEq {
    /// What ids may be.
    const IDS: &'static str;
}

/// What to list.
#[derive(Args, Debug)]
pub(super) struct ListArgs<W: Args> {
    #[command(flatten)]
    pub(super) which: W,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) limit: u64,
    #[command(flatten)]
    pub(super) form: Form,
}

/// In what form to show.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "body")]
    json: bool,
    /// Write the body alone, byte for byte
    #[arg(long)]
    body: bool,
}

impl ShowArgs {
    /// Prints the body, the value or the words.
    pub(super) fn print(
        &self,
        body: &[u8],
        value: impl FnOnce() -> Value,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        if self.body { output::print_bytes(body) } else { output::print_either(self.json, value, words) }
    }
}

/// What to act on.
#[derive(Args, Debug)]
pub(super) struct Selection<W: Criteria> {
    #[arg(help = W::IDS)]
    pub(super) ids: Vec<String>,
    #[command(flatten)]
    pub(super) which: W,
    /// All there are; needed where neither ids nor a filter narrow it down
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Print the outcome as one JSON array
    #[arg(long)]
    pub(super) json: bool,
}

impl<W: Criteria> Selection<W> {
    /// The rows that are meant, where `filter` is what the criteria come to.
    pub(super) fn chosen<F>(&self, filter: F) -> Chosen<F> {
        Chosen { names: self.ids.clone(), filter }
    }

    /// Refuses to act on everything by accident, with `question`.
    pub(super) fn require(&self, question: &str) -> Result<(), Failure> {
        if self.ids.is_empty() && !self.all && self.which == W::default() {
            return Err(Failure::Usage(format!("{question} give ids, a filter, or --all")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Line {
        #[command(flatten)]
        selection: Selection<Which>,
    }

    #[derive(Args, Default, PartialEq, Debug)]
    struct Which {
        #[command(flatten)]
        received: Received,
    }

    impl Criteria for Which {
        const IDS: &'static str = "Ids";
    }

    fn chosen(arguments: &[&str]) -> Result<(), String> {
        let line = Line::try_parse_from([&["test"], arguments].concat()).map_err(|error| error.to_string())?;
        line.selection.require("discard what?").map_err(|failure| failure.to_string())
    }

    #[test]
    fn everything_has_to_be_asked_for() {
        assert_eq!(chosen(&[]), Err("discard what? give ids, a filter, or --all".to_owned()));
        assert_eq!(chosen(&["--json"]), Err("discard what? give ids, a filter, or --all".to_owned()));
        for arguments in [&["--all"][..], &["7"], &["--since", "2h"], &["--all", "--until", "2026-05-01"]] {
            assert_eq!(chosen(arguments), Ok(()), "{arguments:?}");
        }
        assert!(chosen(&["--all", "7"]).is_err());
    }
}
