//! The attempts of one sink that are in flight: what they are for, and how many of them are probes.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{Id, JoinError, JoinSet};

use super::circuit::Pass;
use super::lease::DeliveryLease;
use crate::sink::{Delivered, Retry, SinkError};

/// Attempts, each a task.
#[derive(Default)]
pub(super) struct InFlight {
    tasks: JoinSet<Result<Delivered, SinkError>>,
    leases: HashMap<Id, (DeliveryLease, Pass)>,
    probes: usize,
}

/// An attempt that has ended.
pub(super) struct Finished {
    pub lease: DeliveryLease,
    /// What it began as.
    pub pass: Pass,
    pub result: Result<Delivered, SinkError>,
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
        attempt: impl Future<Output = Result<Delivered, SinkError>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(attempt);
        self.leases.insert(task.id(), (lease, pass));
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
            (error.id(), Err(SinkError { message, retry: Retry::Backoff }))
        });
        let (lease, pass) = self.leases.remove(&id)?;
        self.probes -= usize::from(pass == Pass::Probe);
        Some(Finished { lease, pass, result })
    }

    pub(super) fn leases(&mut self) -> impl Iterator<Item = &mut DeliveryLease> {
        self.leases.values_mut().map(|(lease, _)| lease)
    }

    pub(super) fn abort(&mut self) {
        self.tasks.abort_all();
    }
}
