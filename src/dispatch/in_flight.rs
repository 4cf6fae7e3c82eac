//! The attempts of one sink that are in flight: what they are for, and how many of them are probes.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::circuit::Pass;
use super::lease::DeliveryLease;
use crate::event::Name;
use crate::sink::{Delivered, Retry, SinkError};

/// Attempts, each a task.
#[derive(Default)]
pub(super) struct InFlight {
    tasks: JoinSet<Result<Delivered, SinkError>>,
    leases: HashMap<Id, (DeliveryLease, Pass, Option<Box<Subject>>)>,
    probes: usize,
}

/// An attempt that has ended.
pub(super) struct Finished {
    pub lease: DeliveryLease,
    /// What it began as.
    pub pass: Pass,
    pub result: Result<Delivered, SinkError>,
    /// What it was about, where somebody followed when it began.
    pub subject: Option<Box<Subject>>,
}

/// What those who follow are told of an attempt besides its outcome.
pub(super) struct Subject {
    pub source: Name,
    pub event_id: String,
    pub event_type: String,
    pub request_id: String,
    pub begun: Instant,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }

    pub(super) const fn probes(&self) -> usize {
        self.probes
    }

    pub(super) fn begin(
        &mut self,
        lease: DeliveryLease,
        pass: Pass,
        subject: Option<Box<Subject>>,
        attempt: impl Future<Output = Result<Delivered, SinkError>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(attempt);
        self.leases.insert(task.id(), (lease, pass, subject));
        self.probes += usize::from(pass == Pass::Probe);
    }

    /// The next that ends; never, where none is in flight.
    pub(super) async fn next(&mut self) -> Finished {
        loop {
            let Some(joined) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
            if let Some(finished) = self.finish(joined) {
                return finished;
            }
        }
    }

    /// One that has ended already.
    pub(super) fn try_next(&mut self) -> Option<Finished> {
        loop {
            let joined = self.tasks.try_join_next_with_id()?;
            if let Some(finished) = self.finish(joined) {
                return Some(finished);
            }
        }
    }

    fn finish(&mut self, joined: Result<(Id, Result<Delivered, SinkError>), JoinError>) -> Option<Finished> {
        let (id, result) = joined.unwrap_or_else(|error| {
            let message = "the sink panicked".to_owned();
            (error.id(), Err(SinkError { message, status: None, retry: Retry::Backoff }))
        });
        let (lease, pass, subject) = self.leases.remove(&id)?;
        self.probes -= usize::from(pass == Pass::Probe);
        Some(Finished { lease, pass, result, subject })
    }

    pub(super) fn leases(&mut self) -> impl Iterator<Item = &mut DeliveryLease> {
        self.leases.values_mut().map(|(lease, ..)| lease)
    }

    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}
