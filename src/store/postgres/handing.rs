//! The places that new deliveries of a batch have with the dispatchers of this process, and what is handed over after its commit.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::event::{EventKey, Name};
use crate::store::claimed::Claimed;
use crate::store::delivery::DeliveryId;
use crate::store::handover::{Handovers, Promise, apart, is_small};
use crate::store::postgres::candidate::Candidate;
use crate::store::stored::wait;

/// What is promised to a batch; nothing for one without sinks.
#[derive(Default)]
pub(super) struct Handing {
    places: HashMap<(EventKey, Name), Promise>,
    leases: Vec<i64>,
}

impl Handing {
    /// As many places as there are for the deliveries of `batch`.
    pub(super) fn of(batch: &[&Candidate], all: &Handovers) -> Self {
        let (mut handing, asked) = (Self::default(), Instant::now());
        for one in batch {
            for sink in &*one.sinks {
                let promise = if is_small(&one.event) { all.get(sink).and_then(|to| to.promise(asked)) } else { None };
                handing.leases.push(promise.as_ref().map_or(0, |promise| wait(promise.lease())));
                if let Some(promise) = promise {
                    handing.places.insert((one.key, sink.clone()), promise);
                }
            }
        }
        handing
    }

    /// How long each delivery is to be claimed for as it is queued, in microseconds: 0 where it has no place.
    pub(super) fn leases(&self) -> &[i64] {
        &self.leases
    }

    /// Whether some have to be claimed by whoever comes.
    pub(super) fn leaves_some(&self) -> bool {
        self.leases.contains(&0)
    }

    /// Hands over those of `batch` that were `claimed`; the other places are free again.
    pub(super) fn hand_over(mut self, batch: &[&Candidate], claimed: &HashMap<(EventKey, Name), DeliveryId>) {
        for one in batch {
            let mut copy = None;
            for sink in &*one.sinks {
                let delivery = (one.key, sink.clone());
                if let Some(id) = claimed.get(&delivery)
                    && let Some(promise) = self.places.remove(&delivery)
                {
                    promise.keep(Claimed::queued(*id, apart(&one.event, &mut copy)));
                }
            }
        }
    }
}
