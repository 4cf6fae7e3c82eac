//! Events delivered once, now, to an address of the operator's, outside the sinks: the store does not know of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::OperationError;
use super::journal::Deed;
use super::{Operations, Operator};
use crate::sink::{self, Attempt, Sink};
use crate::store::EventRef;

/// What became of one event.
#[derive(Clone, Debug)]
pub struct Resent {
    /// Which.
    pub event: EventRef,
    /// Nothing, or why it was not taken.
    pub outcome: Result<(), String>,
}

/// Delivers to one address.
pub struct Resender {
    sink: Arc<dyn Sink>,
    url: String,
    /// What is to be said about the address: that events can be read on the way.
    pub warnings: Vec<String>,
}

impl Resender {
    /// For `url`, by the proxies that the variables `vars` name.
    ///
    /// # Errors
    /// [`OperationError::Refused`] where it is no address of ours to send to.
    pub fn new(url: &str, vars: &BTreeMap<String, String>) -> Result<Self, OperationError> {
        let (sink, warnings) = sink::at(url, vars).map_err(OperationError::Refused)?;
        Ok(Self { sink, url: url.to_owned(), warnings })
    }
}

impl Operations<'_> {
    /// Delivers `event` to the address of `to`, as the http sink does in binary mode, with no secret.
    ///
    /// # Errors
    /// Those of the store; that it was not taken is an outcome.
    pub async fn resend(&self, event: &EventRef, to: &Resender, operator: &Operator) -> Result<Resent, OperationError> {
        let found = self.store.archive.get(event).await?.pop();
        let outcome = match found {
            None => Err("it is gone".to_owned()),
            Some(found) if found.erased.is_some() => Err("it was erased".to_owned()),
            Some(found) => {
                let delivered = to.sink.deliver(&found.event, Attempt { number: 1, replay: 0 }).await;
                delivered.map(drop).map_err(|error| error.message)
            }
        };
        let deed = Deed { reason: Some(to.url.as_str()), ..Deed::to_event("event_resend", event) };
        self.record(operator, [deed]).await;
        Ok(Resent { event: event.clone(), outcome })
    }
}
