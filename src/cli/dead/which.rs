//! Which dead letters a command is about.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::event::Name;
use crate::store::DeadLetterFilter;

use super::super::selection::{Criteria, Received};
use crate::time_arg::{self, TimeArg};

/// Which dead letters.
#[derive(Args, Default, PartialEq, Debug)]
pub(in crate::cli) struct Which {
    /// Only to this sink; with one that is not in the configuration any more, also what is pending for it
    #[arg(long, value_name = "NAME")]
    pub(super) sink: Option<String>,
    /// Only those whose last error contains this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Only events of this source
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
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
    pub(super) fn filter(&self, now: Timestamp, gone: &[Name], limit: Option<u64>) -> DeadLetterFilter {
        DeadLetterFilter {
            gone: gone.iter().filter(|name| self.sink.as_deref() == Some(name.as_str())).cloned().collect(),
            source: self.source.as_ref().map(Name::from),
            kind: self.kind.clone(),
            since: self.received.since(now),
            until: self.older.map(|age| TimeArg::Ago(age).resolve(now)).or(self.received.until(now)),
            sink: self.sink.as_ref().map(Name::from),
            error: self.error.clone(),
            limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_an_upper_bound() {
        let now = "2026-05-02T00:00:00Z".parse().unwrap();
        let which = Which { older: Some(SignedDuration::from_hours(24)), ..Which::default() };
        assert_eq!(which.filter(now, &[], None).until, Some("2026-05-01T00:00:00Z".parse().unwrap()));
        assert_ne!(which, Which::default());
    }

    #[test]
    fn what_waits_for_a_sink_that_is_gone_counts_where_that_is_named() {
        let gone = ["old".into(), "older".into()];
        let of = |sink: Option<&str>| Which { sink: sink.map(str::to_owned), ..Which::default() };
        let counted = |sink| of(sink).filter(Timestamp::UNIX_EPOCH, &gone, None).gone;
        assert_eq!(counted(None), []);
        assert_eq!(counted(Some("orders")), []);
        assert_eq!(counted(Some("old")), [Name::from("old")]);
    }
}
