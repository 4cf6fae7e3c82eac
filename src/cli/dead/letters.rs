//! The dead letters of a store, and what a command does with those it is about.

use jiff::Timestamp;

use crate::config::Config;
use crate::event::{EventId, Name};
use crate::store::{DeadLetter, DeadLetterFilter, DeliveryId, Store};

use super::super::event_ref::Numbered;
use super::super::failure::{Failure, Status};
use super::super::selection::{ListArgs, Selection, ShowArgs};
use super::super::{event_ref, listing, output, sinks};
use super::print;
use super::which::Which;

/// Where to find them.
pub(super) struct Letters<'a> {
    pub(super) store: &'a Store,
    pub(super) config: &'a Config,
    pub(super) now: Timestamp,
    /// Sinks that are not in the configuration any more.
    pub(super) gone: Vec<Name>,
}

/// What a bulk command is about.
enum Chosen {
    /// These.
    Named(Vec<DeadLetter>),
    /// All that match.
    Matching(DeadLetterFilter),
}

impl Letters<'_> {
    pub(super) async fn list(&self, args: &ListArgs<Which>) -> Result<(), Failure> {
        let ListArgs { which, limit, json } = args;
        for sink in self.gone.iter().filter(|_| which.sink.is_none()) {
            output::tell(&format!("{sink} is not in the configuration: --sink {sink} also lists what waits for it"));
        }
        let page = async |filter: &_, from| self.store.dead_letters.page(filter, from).await;
        listing::print(&which.filter(self.now, &self.gone, Some(*limit)), *json, page).await
    }

    pub(super) async fn show(&self, id: String, form: &ShowArgs) -> Result<(), Failure> {
        let ids = ids(&self.find(&[id], &self.all()).await?);
        let letters = self.store.dead_letters.list(&ids, &self.all(), true).await?;
        // All of one event, so all bodies are the same.
        let body = letters.first().map_or(&[][..], |letter| letter.event.payload.bytes());
        form.print(body, || print::details(&letters), || print::shown(&letters))
    }

    /// Queues what is chosen again, for sink `to` where that is named; what nobody would deliver stays as it is.
    pub(super) async fn replay(&self, selection: &Selection<Which>, to: Option<String>) -> Result<Status, Failure> {
        let to = sinks::configured(self.config, to.as_slice())?.pop();
        let chosen = self.chosen(selection).await?;
        let left = if to.is_none() { self.undeliverable(&chosen).await? } else { Vec::new() };
        let mut count = 0;
        for (ids, filter) in self.parts(chosen, &left) {
            count += self.store.dead_letters.replay(&ids, &filter, to.as_ref()).await?;
        }
        output::print_count(selection.json, "replayed", count, "dead letter")?;
        for sink in &left {
            output::tell(&format!(
                "{sink} is not in the configuration, so nobody delivers there: its dead letters were not replayed; \
                 --sink {sink} --to-sink NAME moves them"
            ));
        }
        Ok(if left.is_empty() { Status::Done } else { Status::Failed })
    }

    pub(super) async fn discard(&self, selection: &Selection<Which>) -> Result<(), Failure> {
        let chosen = self.chosen(selection).await?;
        let mut count = 0;
        for (ids, filter) in self.parts(chosen, &[]) {
            count += self.store.dead_letters.discard(&ids, &filter).await?;
        }
        output::print_count(selection.json, "discarded", count, "dead letter")
    }

    async fn chosen(&self, selection: &Selection<Which>) -> Result<Chosen, Failure> {
        selection.require("which dead letters?")?;
        let filter = selection.which.filter(self.now, &self.gone, None);
        if selection.ids.is_empty() {
            return Ok(Chosen::Matching(filter));
        }
        Ok(Chosen::Named(self.find(&selection.ids, &DeadLetterFilter { gone: self.gone.clone(), ..filter }).await?))
    }

    /// The sinks that some of `chosen` are for and nobody delivers to.
    async fn undeliverable(&self, chosen: &Chosen) -> Result<Vec<Name>, Failure> {
        let mut left = Vec::new();
        for sink in &self.gone {
            let some = match chosen {
                Chosen::Named(letters) => letters.iter().any(|letter| letter.sink == *sink),
                Chosen::Matching(filter) => match to_sink(filter, sink) {
                    Some(filter) => {
                        let one = DeadLetterFilter { limit: Some(1), ..filter };
                        !self.store.dead_letters.page(&one, None).await?.rows.is_empty()
                    }
                    None => false,
                },
            };
            left.extend(some.then(|| sink.clone()));
        }
        Ok(left)
    }

    /// All of `chosen` but what is for the sinks `left` out, as the store is asked for it.
    fn parts(&self, chosen: Chosen, left: &[Name]) -> Vec<(Vec<DeliveryId>, DeadLetterFilter)> {
        match chosen {
            Chosen::Named(mut letters) => {
                letters.retain(|letter| !left.contains(&letter.sink));
                // To the store no ids at all are everything that matches.
                if letters.is_empty() { Vec::new() } else { vec![(ids(&letters), self.all())] }
            }
            Chosen::Matching(filter) if left.is_empty() => vec![(Vec::new(), filter)],
            Chosen::Matching(filter) => {
                let configured = self.config.live.sinks.iter().filter_map(|sink| to_sink(&filter, &sink.name));
                configured.map(|filter| (Vec::new(), filter)).collect()
            }
        }
    }

    /// The letters that `texts` name among those that match `filter`.
    async fn find(&self, texts: &[String], filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, Failure> {
        let page = async |filter: &_, from| self.store.dead_letters.page(filter, from).await;
        let of_each: Vec<Vec<DeadLetter>> = event_ref::rows(texts, filter, page).await?;
        Ok(of_each.into_iter().flatten().collect())
    }

    /// Everything, what is pending for sinks that are gone included.
    fn all(&self) -> DeadLetterFilter {
        DeadLetterFilter { gone: self.gone.clone(), ..DeadLetterFilter::default() }
    }
}

/// What matches `filter` and is for `sink`; `None` where nothing can be.
fn to_sink(filter: &DeadLetterFilter, sink: &Name) -> Option<DeadLetterFilter> {
    let possible = filter.sink.as_ref().is_none_or(|named| named == sink);
    possible.then(|| DeadLetterFilter { sink: Some(sink.clone()), ..filter.clone() })
}

fn ids(letters: &[DeadLetter]) -> Vec<DeliveryId> {
    let mut ids: Vec<DeliveryId> = letters.iter().map(|letter| letter.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Numbered for DeadLetter {
    const NOUN: &'static str = "dead letter";
    const LISTED_BY: &'static str = "dead list";

    fn number(&self) -> i64 {
        self.id.0
    }

    fn event(&self) -> Option<(&Name, &EventId)> {
        Some((&self.event.source, &self.event.id))
    }
}
