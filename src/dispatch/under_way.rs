//! The attempts of one sink that are under way: what they are for, and how many of them are probes.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

use super::circuit::Pass;
use super::outcome::Ticket;
use super::{Delivered, Retry, SinkError};

/// Attempts, each a task.
#[derive(Default)]
pub(super) struct UnderWay {
    tasks: JoinSet<Result<Delivered, SinkError>>,
    begun: HashMap<Id, (Ticket, Pass)>,
    probes: usize,
}

/// An attempt that ended.
pub(super) struct Ended {
    /// What it was for.
    pub ticket: Ticket,
    /// What it began as.
    pub pass: Pass,
    /// What came of it.
    pub result: Result<Delivered, SinkError>,
}

impl UnderWay {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.begun.len()
    }

    /// How many of them are probes.
    pub(super) const fn probes(&self) -> usize {
        self.probes
    }

    /// Begins `attempt`.
    pub(super) fn begin(
        &mut self,
        ticket: Ticket,
        pass: Pass,
        attempt: impl Future<Output = Result<Delivered, SinkError>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(attempt);
        self.begun.insert(task.id(), (ticket, pass));
        self.probes += usize::from(pass == Pass::Probe);
    }

    /// The next that ends; never, where none is under way.
    pub(super) async fn next(&mut self) -> Ended {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
            if let Some(ended) = self.end(ended) {
                return ended;
            }
        }
    }

    /// One that has ended already.
    pub(super) fn try_next(&mut self) -> Option<Ended> {
        loop {
            let ended = self.tasks.try_join_next_with_id()?;
            if let Some(ended) = self.end(ended) {
                return Some(ended);
            }
        }
    }

    fn end(&mut self, ended: Result<(Id, Result<Delivered, SinkError>), JoinError>) -> Option<Ended> {
        let (id, result) = ended.unwrap_or_else(|error| {
            let message = "the sink panicked".to_owned();
            (error.id(), Err(SinkError { message, retry: Retry::Backoff }))
        });
        let (ticket, pass) = self.begun.remove(&id)?;
        self.probes -= usize::from(pass == Pass::Probe);
        Some(Ended { ticket, pass, result })
    }

    /// What they are for.
    pub(super) fn tickets(&mut self) -> impl Iterator<Item = &mut Ticket> {
        self.begun.values_mut().map(|(ticket, _)| ticket)
    }

    /// Stops them all.
    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}
