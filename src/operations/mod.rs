//! What operators do to a daemon's store, whoever asks: the command line, beside the daemon or without one, and the API.
//!
//! Which rows are meant, what the rules say, what became of it, and the record of who did so; how it is asked for and how
//! it is shown is for those who call.

mod curl;
mod dead;
mod erase;
mod error;
mod event_ref;
mod events;
mod find;
mod journal;
mod open;
mod operator;
mod pages;
mod quarantine;
mod release;
mod resend;
mod sinks;
mod sources;
mod store;

use crate::clock::Clock;
use crate::ingress::SourceSettings;
use crate::sink;
use crate::store::Store;

pub use curl::curl;
pub use dead::{DeadChoice, DeadReplayed};
pub use erase::{Erased, MOST_ERASED};
pub use error::OperationError;
pub use event_ref::Numbered;
pub use events::EventsReplayed;
pub use find::{BodyField, Found, LOOKED_AT, Sought};
pub use operator::Operator;
pub use pages::each;
pub use release::ReleaseOutcome;
pub use resend::{Resender, Resent};
pub use sinks::SinkStatus;
pub use sources::no_source;

#[cfg(test)]
pub(crate) use event_ref::named;

/// For whoever need not know how far something is.
pub const UNSEEN: &(dyn Fn(u64, u64) + Sync) = &|_, _| {};

/// What operations need: the store, what is configured, the time. Made anew for each, from the configuration that counts.
#[derive(Clone, Copy)]
pub struct Operations<'a> {
    /// What they are done to.
    pub store: &'a Store,
    /// The configured sources.
    pub sources: &'a [SourceSettings],
    /// The configured sinks.
    pub sinks: &'a [sink::Settings],
    /// Whether records go to a SIEM.
    pub siem: bool,
    /// What records are dated by.
    pub clock: &'a Clock,
    /// Is told how much of something long is done, of how much.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// What an operation is about: the rows that `names` name, each of which must exist, as far as they match `filter`; without
/// names, all that match.
#[derive(Clone, Debug, Default)]
pub struct Chosen<F> {
    /// As listed, event ids, or `source:id`.
    pub names: Vec<String>,
    /// What they have in common.
    pub filter: F,
}
