//! Dead letters: which ones are meant, queued again, moved to another sink, given up.

use super::error::OperationError;
use super::event_ref::{self, Numbered};
use super::journal::Deed;
use super::{Chosen, Operations, Operator};
use crate::event::{EventId, Name};
use crate::store::{DeadLetter, DeadLetterFilter, DeliveryId};

/// What a replay of dead letters came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadReplayed {
    /// Dead letters that were queued.
    pub count: u64,
    /// Sinks that are not configured any more: nobody delivers there, so theirs were left.
    pub left: Vec<Name>,
}

/// Dead letters, chosen by somebody who knows them by number.
#[derive(Clone, Debug)]
pub enum DeadChoice {
    /// These, as far as they are still there.
    These(Vec<DeliveryId>),
    /// All that match.
    Matching(DeadLetterFilter),
}

/// The letters that are meant.
enum Letters {
    /// These.
    Named(Vec<DeadLetter>),
    /// All that match.
    Matching(DeadLetterFilter),
}

impl Operations<'_> {
    /// The dead letters that `text` names, all of one event, with bodies; what is pending for sinks that are not configured
    /// any more among them.
    ///
    /// # Errors
    /// [`OperationError::Missing`], or [`OperationError::Refused`] where it means several; those of the store.
    pub async fn dead_letters(&self, text: &str) -> Result<Vec<DeadLetter>, OperationError> {
        let all = DeadLetterFilter { gone: self.gone_sinks().await?, ..DeadLetterFilter::default() };
        let ids = ids(&self.find_letters(&[text.to_owned()], &all).await?);
        Ok(self.store.dead_letters.list(&ids, &all, true).await?)
    }

    /// Queues what is chosen again, for the configured sink called `to` where that is named; what nobody would deliver
    /// stays as it is.
    ///
    /// # Errors
    /// [`OperationError::Refused`] for a sink that nobody configured, as [`Operations::dead_letters`].
    pub async fn replay_dead(
        &self,
        chosen: &Chosen<DeadLetterFilter>,
        to: Option<&str>,
        operator: &Operator,
    ) -> Result<DeadReplayed, OperationError> {
        let gone = self.gone_sinks().await?;
        let letters = self.letters(chosen, &gone).await?;
        self.queue(letters, &gone, to, &Asked::of(chosen), operator).await
    }

    /// The same for exactly what is chosen; what is gone counts for nothing.
    ///
    /// # Errors
    /// As [`Operations::replay_dead`], but that nothing is missing.
    pub async fn replay_dead_exactly(
        &self,
        choice: &DeadChoice,
        to: Option<&str>,
        operator: &Operator,
    ) -> Result<DeadReplayed, OperationError> {
        let gone = self.gone_sinks().await?;
        let letters = self.letters_of(choice, &gone).await?;
        self.queue(letters, &gone, to, &Asked::exactly(choice), operator).await
    }

    async fn queue(
        &self,
        letters: Letters,
        gone: &[Name],
        to: Option<&str>,
        asked: &Asked,
        operator: &Operator,
    ) -> Result<DeadReplayed, OperationError> {
        let to = to.map(|to| self.configured_sink(to)).transpose()?;
        let left = if to.is_none() { self.undeliverable(&letters, gone).await? } else { Vec::new() };
        let mut count = 0;
        for (ids, filter) in self.parts(letters, &left, gone) {
            count += self.store.dead_letters.replay(&ids, &filter, to.as_ref()).await?;
        }
        self.record(operator, [asked.deed("dead_replay", count)]).await;
        Ok(DeadReplayed { count, left })
    }

    /// Gives what is chosen up for good; says how many.
    ///
    /// # Errors
    /// As [`Operations::dead_letters`].
    pub async fn discard_dead(
        &self,
        chosen: &Chosen<DeadLetterFilter>,
        operator: &Operator,
    ) -> Result<u64, OperationError> {
        let gone = self.gone_sinks().await?;
        let letters = self.letters(chosen, &gone).await?;
        self.give_up(letters, &gone, &Asked::of(chosen), operator).await
    }

    /// The same for exactly what is chosen; what is gone counts for nothing.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard_dead_exactly(&self, choice: &DeadChoice, operator: &Operator) -> Result<u64, OperationError> {
        let gone = self.gone_sinks().await?;
        let letters = self.letters_of(choice, &gone).await?;
        self.give_up(letters, &gone, &Asked::exactly(choice), operator).await
    }

    async fn give_up(
        &self,
        letters: Letters,
        gone: &[Name],
        asked: &Asked,
        operator: &Operator,
    ) -> Result<u64, OperationError> {
        let mut count = 0;
        for (ids, filter) in self.parts(letters, &[], gone) {
            count += self.store.dead_letters.discard(&ids, &filter).await?;
        }
        self.record(operator, [asked.deed("dead_discard", count)]).await;
        Ok(count)
    }

    async fn letters(&self, chosen: &Chosen<DeadLetterFilter>, gone: &[Name]) -> Result<Letters, OperationError> {
        let filter = chosen.filter.clone();
        if chosen.names.is_empty() {
            return Ok(Letters::Matching(filter));
        }
        let filter = DeadLetterFilter { gone: gone.to_vec(), ..filter };
        Ok(Letters::Named(self.find_letters(&chosen.names, &filter).await?))
    }

    async fn letters_of(&self, choice: &DeadChoice, gone: &[Name]) -> Result<Letters, OperationError> {
        let ids = match choice {
            DeadChoice::Matching(filter) => return Ok(Letters::Matching(filter.clone())),
            // To the store no ids at all are everything that matches.
            DeadChoice::These(ids) if ids.is_empty() => return Ok(Letters::Named(Vec::new())),
            DeadChoice::These(ids) => ids,
        };
        let all = DeadLetterFilter { gone: gone.to_vec(), ..DeadLetterFilter::default() };
        Ok(Letters::Named(self.store.dead_letters.list(ids, &all, false).await?))
    }

    /// The sinks of `gone` that some of `letters` are for.
    async fn undeliverable(&self, letters: &Letters, gone: &[Name]) -> Result<Vec<Name>, OperationError> {
        let mut left = Vec::new();
        for sink in gone {
            let some = match letters {
                Letters::Named(letters) => letters.iter().any(|letter| letter.sink == *sink),
                Letters::Matching(filter) => match to_sink(filter, sink) {
                    Some(filter) => {
                        let one = DeadLetterFilter { limit: Some(1), ..filter };
                        !self.store.dead_letters.list(&[], &one, false).await?.is_empty()
                    }
                    None => false,
                },
            };
            left.extend(some.then(|| sink.clone()));
        }
        Ok(left)
    }

    /// All of `letters` but what is for the sinks `left` out, as the store is asked for it.
    fn parts(&self, letters: Letters, left: &[Name], gone: &[Name]) -> Vec<(Vec<DeliveryId>, DeadLetterFilter)> {
        match letters {
            Letters::Named(mut letters) => {
                letters.retain(|letter| !left.contains(&letter.sink));
                let all = DeadLetterFilter { gone: gone.to_vec(), ..DeadLetterFilter::default() };
                // To the store no ids at all are everything that matches.
                if letters.is_empty() { Vec::new() } else { vec![(ids(&letters), all)] }
            }
            Letters::Matching(filter) if left.is_empty() => vec![(Vec::new(), filter)],
            Letters::Matching(filter) => {
                let configured = self.sinks.iter().filter_map(|sink| to_sink(&filter, &sink.name));
                configured.map(|filter| (Vec::new(), filter)).collect()
            }
        }
    }

    /// The letters that `names` name among those that match `filter`.
    async fn find_letters(
        &self,
        names: &[String],
        filter: &DeadLetterFilter,
    ) -> Result<Vec<DeadLetter>, OperationError> {
        let page = async |filter: &_, from| self.store.dead_letters.page(filter, from).await;
        let of_each: Vec<Vec<DeadLetter>> = event_ref::rows(names, filter, page).await?;
        Ok(of_each.into_iter().flatten().collect())
    }
}

/// What was asked for, as far as records say it.
struct Asked {
    source: Option<Name>,
    /// The only one that was named.
    one: Option<String>,
}

impl Asked {
    fn of(chosen: &Chosen<DeadLetterFilter>) -> Self {
        let one = if let [name] = chosen.names.as_slice() { Some(name.clone()) } else { None };
        Self { source: chosen.filter.source.clone(), one }
    }

    fn exactly(choice: &DeadChoice) -> Self {
        match choice {
            DeadChoice::These(ids) => {
                Self { source: None, one: if let [id] = ids.as_slice() { Some(id.0.to_string()) } else { None } }
            }
            DeadChoice::Matching(filter) => Self { source: filter.source.clone(), one: None },
        }
    }

    fn deed(&self, action: &'static str, count: u64) -> Deed<'_> {
        let subject = self.one.clone().unwrap_or_else(|| format!("{count} dead letters"));
        Deed { action, source: self.source.as_ref(), subject, reason: None }
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
