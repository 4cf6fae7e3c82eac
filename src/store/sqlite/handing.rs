//! Deliveries that a transaction inserts as claimed, and hands over once it is committed.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::time::Instant;

use crate::event::Name;
use crate::store::claimed::Claimed;
use crate::store::error::StoreError;
use crate::store::handover::{Handover, Handovers, Promise};
use crate::store::sqlite::pauses;

/// What one transaction has promised so far.
pub(super) struct Handing {
    /// Before the time from which on it claims.
    asked: Instant,
    /// Where new deliveries of the sinks seen so far may go, by the sinks' numbers.
    places: Vec<(i64, Option<Arc<Handover>>)>,
    ready: Vec<(Promise, Claimed)>,
}

impl Handing {
    /// Nothing yet, in a transaction that claims from a time after `asked` on.
    pub(super) const fn new(asked: Instant) -> Self {
        Self { asked, places: Vec::new(), ready: Vec::new() }
    }

    /// A place for a new delivery of sink `number`, called `name`, where one of `all` has one and nobody has paused the sink.
    pub(super) fn promise(
        &mut self,
        conn: &Connection,
        all: &Handovers,
        number: i64,
        name: &Name,
    ) -> Result<Option<Promise>, StoreError> {
        if let Some((_, place)) = self.places.iter().find(|(known, _)| *known == number) {
            return Ok(place.as_ref().and_then(|place| place.promise(self.asked)));
        }
        let place = match all.get(name) {
            Some(place) if !pauses::is_paused(conn, name)? => Some(place),
            Some(_) | None => None,
        };
        let promise = place.as_ref().and_then(|place| place.promise(self.asked));
        self.places.push((number, place));
        Ok(promise)
    }

    /// Hands `claimed` over when the transaction is committed.
    pub(super) fn add(&mut self, promise: Promise, claimed: Claimed) {
        self.ready.push((promise, claimed));
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.ready.len()
    }

    /// Forgets all but the first `len`: the others were rolled back.
    pub(super) fn truncate(&mut self, len: usize) {
        self.ready.truncate(len);
    }

    /// The transaction is committed.
    pub(super) fn hand_over(self) {
        for (promise, claimed) in self.ready {
            promise.keep(claimed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::delivery::DeliveryId;
    use crate::store::sqlite::testing::empty;

    fn claimed(id: i64) -> Claimed {
        let event = Err("not read".to_owned());
        Claimed { id: DeliveryId(id), lease: 1, attempts: 0, replay: 0, age: Duration::ZERO, event }
    }

    #[test]
    fn what_is_rolled_back_is_not_handed_over() {
        let conn = empty();
        let (all, sink, handover) = (Handovers::default(), Name::from("orders"), Handover::new(Duration::ZERO));
        all.set(&sink, &handover);
        handover.offer(9);
        let mut handing = Handing::new(Instant::now());
        for id in 1..=3 {
            let promise = handing.promise(&conn, &all, 1, &sink).unwrap().unwrap();
            handing.add(promise, claimed(id));
            if id == 2 {
                handing.truncate(1);
            }
        }
        assert_eq!((handing.len(), handover.outstanding()), (2, 2));
        handing.hand_over();
        let ids: Vec<i64> = handover.take().into_iter().map(|handed| handed.claimed.id.0).collect();
        assert_eq!(ids, [1, 3]);
        let rolled_back = Handing::new(Instant::now()).promise(&conn, &all, 1, &sink).unwrap();
        drop(rolled_back);
        assert_eq!((handover.outstanding(), handover.take().len()), (0, 0));
    }
}
