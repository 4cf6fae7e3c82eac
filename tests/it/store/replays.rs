//! What every store does with replays, and with deliveries to sinks that nobody delivers to any more.

use std::time::Duration;

use gatepost::event::Name;
use gatepost::store::{Backlog, Claimed, DeadLetterFilter, DeliveryStatus, Settled, State, Store};

use super::deliveries::{backlog, claim, dead, named, retry, settle};
use super::{Subject, accept, event};

const NEW: Settled = Settled::Done { duplicate: false };

async fn claim_one(store: &Store, sink: &str) -> Claimed {
    let mut claimed = claim(store, sink).await;
    assert_eq!(claimed.len(), 1, "{sink}");
    claimed.remove(0)
}

async fn status(store: &Store, id: &str, sink: &str) -> Option<DeliveryStatus> {
    let deliveries = store.archive.get(&named(id)).await.unwrap().remove(0).deliveries;
    deliveries.into_iter().find(|delivery| delivery.sink.as_str() == sink)
}

fn gone(sink: &str) -> DeadLetterFilter {
    DeadLetterFilter { sink: Some(sink.into()), gone: vec![sink.into()], ..DeadLetterFilter::default() }
}

fn pending(pending: u64, dead: u64) -> (u64, u64) {
    (pending, dead)
}

async fn counts(store: &Store, sink: &str) -> (u64, u64) {
    let Backlog { pending, dead, .. } = backlog(store, sink).await;
    (pending, dead)
}

pub(super) async fn each_replay_counts_and_a_duplicate_is_remembered_until_then(s: Subject) {
    let (store, archive) = (&s.store, &s.store.archive);
    accept(store, event("a", "1", "body"), &["x", "y"]).await;
    for sink in ["x", "y"] {
        let first = claim_one(store, sink).await;
        assert_eq!(first.replay, 0);
        settle(store, &first, Settled::Done { duplicate: sink == "x" }).await;
    }
    let [x, y] = [status(store, "1", "x").await.unwrap(), status(store, "1", "y").await.unwrap()];
    assert_eq!((x.state, x.duplicate, x.replays), (State::Delivered, true, 0));
    assert_eq!((y.state, y.duplicate, y.replays), (State::Delivered, false, 0));

    assert_eq!(archive.replay(&[named("1")], None, &[]).await.unwrap(), 2);
    let x = status(store, "1", "x").await.unwrap();
    assert_eq!((x.state, x.duplicate, x.replays), (State::Pending, false, 1));
    let again = claim_one(store, "x").await;
    assert_eq!((again.replay, again.attempts), (1, 0));
    assert_eq!(claim_one(store, "y").await.replay, 1, "each sink counts its own");
    settle(store, &again, retry(0)).await;
    let again = claim_one(store, "x").await;
    assert_eq!((again.replay, again.attempts), (1, 1), "an attempt is no replay");
    settle(store, &again, dead("400")).await;
    assert_eq!(store.dead_letters.replay(&[], &DeadLetterFilter::default(), None).await.unwrap(), 1);
    let again = claim_one(store, "x").await;
    assert_eq!(again.replay, 2);
    settle(store, &again, NEW).await;

    // The new one may lead to the same place: it must not look like what arrived there before.
    assert_eq!(archive.replay(&[named("1")], Some(&["z".into()]), &[]).await.unwrap(), 1);
    assert_eq!(claim_one(store, "z").await.replay, 3);
}

pub(super) async fn every_sink_with_something_left_is_known(s: Subject) {
    let store = &s.store;
    assert_eq!(store.outbox.sinks().await.unwrap(), []);
    accept(store, event("a", "1", "body"), &["x", "y", "z"]).await;
    accept(store, event("a", "2", "body"), &["x"]).await;
    settle(store, &claim_one(store, "y").await, dead("400")).await;
    settle(store, &claim_one(store, "z").await, NEW).await;
    let sinks = store.outbox.sinks().await.unwrap();
    let found: Vec<_> = sinks.iter().map(|(name, backlog)| (name.as_str(), backlog.pending, backlog.dead)).collect();
    assert_eq!(found, [("x", 2, 0), ("y", 0, 1)]);
    assert!(sinks[0].1.oldest_age.is_some() && sinks[1].1.oldest_age.is_none());
}

pub(super) async fn what_waits_for_a_sink_that_is_gone_stands_among_dead_letters_where_asked(s: Subject) {
    let (store, letters) = (&s.store, &s.store.dead_letters);
    for id in ["1", "2", "3"] {
        accept(store, event("a", id, "body"), &["old", "x"]).await;
    }
    let claimed = claim(store, "old").await;
    settle(store, &claimed[0], retry(60)).await;
    settle(store, &claimed[1], dead("400")).await;
    // The third is under way: somebody knows the sink.
    assert_eq!(letters.list(&[], &DeadLetterFilter::default(), false).await.unwrap().len(), 1);
    let listed = letters.list(&[], &gone("old"), false).await.unwrap();
    let mut states: Vec<_> = listed.iter().map(|letter| (letter.state, letter.sink.as_str())).collect();
    states.sort_by_key(|(state, _)| *state == State::Dead);
    assert_eq!(states, [(State::Pending, "old"), (State::Dead, "old")]);
    assert_eq!(letters.discard(&[], &gone("old")).await.unwrap(), 2);
    assert_eq!(letters.discard(&[], &gone("old")).await.unwrap(), 0);
    assert_eq!((counts(store, "old").await, counts(store, "x").await), (pending(1, 0), pending(3, 0)));
    settle(store, &claimed[2], NEW).await;
    assert_eq!(counts(store, "old").await, pending(0, 0));
}

pub(super) async fn dead_letters_and_what_waits_move_to_another_sink(s: Subject) {
    let (store, letters) = (&s.store, &s.store.dead_letters);
    for id in ["1", "2", "3", "4"] {
        accept(store, event("a", id, "body"), &["old", "x"]).await;
    }
    let claimed = claim(store, "old").await;
    settle(store, &claimed[0], dead("400")).await;
    settle(store, &claimed[1], NEW).await;
    settle(store, &claimed[2], retry(60)).await;
    let to = Name::from("new");
    assert_eq!(letters.replay(&[], &gone("old"), Some(&to)).await.unwrap(), 2);
    assert_eq!(letters.replay(&[], &gone("old"), Some(&to)).await.unwrap(), 0, "the fourth is under way");
    assert_eq!((counts(store, "old").await, counts(store, "new").await), (pending(1, 0), pending(2, 0)));
    assert!(status(store, "1", "old").await.is_none());
    let moved = claim(store, "new").await;
    assert!(moved.iter().all(|claimed| (claimed.replay, claimed.attempts) == (1, 0)), "{moved:?}");
    assert_eq!(moved.len(), 2);

    // To a sink that has one already: delivered there again, once; or it waits there, and need not twice.
    settle(store, &claimed[3], dead("400")).await;
    let x = claim(store, "x").await;
    settle(store, &x[3], NEW).await;
    assert_eq!(letters.replay(&[], &gone("old"), Some(&"x".into())).await.unwrap(), 1);
    assert_eq!((counts(store, "old").await, counts(store, "x").await), (pending(0, 0), pending(4, 0)));
    let again = claim_one(store, "x").await;
    assert_eq!(again.replay, 1);
    settle(store, &again, dead("400")).await;
    let own = DeadLetterFilter { sink: Some("x".into()), ..DeadLetterFilter::default() };
    assert_eq!(letters.replay(&[], &own, Some(&"x".into())).await.unwrap(), 1, "to where it was: a replay");
    assert_eq!((claim_one(store, "x").await.replay, counts(store, "x").await), (2, pending(4, 0)));
}

pub(super) async fn an_event_replayed_to_a_sink_leaves_those_that_are_gone(s: Subject) {
    let (store, archive) = (&s.store, &s.store.archive);
    for id in ["1", "2"] {
        accept(store, event("a", id, "body"), &["old", "older", "x"]).await;
    }
    let older = claim(store, "older").await;
    settle(store, &older[0], dead("400")).await;
    settle(store, &older[1], retry(60)).await;
    let gone = ["old".into(), "older".into(), "unheard-of".into()];
    assert_eq!(archive.replay(&[named("1")], None, &gone).await.unwrap(), 0, "nothing for those that are gone");
    assert_eq!((counts(store, "old").await, counts(store, "older").await), (pending(2, 0), pending(1, 1)));
    assert_eq!(archive.replay(&[named("1")], Some(&["new".into()]), &gone).await.unwrap(), 1);
    assert_eq!((counts(store, "old").await, counts(store, "older").await), (pending(1, 0), pending(1, 0)));
    assert_eq!((counts(store, "new").await, counts(store, "x").await), (pending(1, 0), pending(2, 0)));
    assert_eq!(archive.replay(&[named("2")], Some(&["older".into()]), &gone).await.unwrap(), 1, "asked for by name");
    assert_eq!((counts(store, "old").await, counts(store, "older").await), (pending(0, 0), pending(1, 0)));
}

/// Settles what it claims of `sink` until nothing is left in either queue; returns the ids of what it delivered. Of what it
/// claims of `old`, every other one dies first.
async fn deliver(store: Store, sink: &str) -> Vec<String> {
    let mut delivered = Vec::new();
    loop {
        let claimed = store.outbox.claim(&sink.into(), 3, Duration::from_hours(1)).await.unwrap();
        for (n, claimed) in claimed.iter().enumerate() {
            if sink == "old" && n % 2 == 0 {
                settle(&store, claimed, dead("400")).await;
            } else {
                delivered.push(claimed.event.as_ref().unwrap().id.as_str().to_owned());
                settle(&store, claimed, NEW).await;
            }
        }
        // In this order: what leaves the one is in the other by then.
        if counts(&store, "old").await == (0, 0) && counts(&store, "new").await == (0, 0) {
            return delivered;
        }
    }
}

/// `dead replay --sink old --to-sink new`, a few at a time, while the old sink and the new one are delivered to.
pub(super) async fn what_is_moved_while_it_is_claimed_is_delivered_once(s: Subject) {
    const EVENTS: usize = 60;
    let store = &s.store;
    for n in 0..EVENTS {
        accept(store, event("a", &n.to_string(), "body"), &["old"]).await;
    }
    let moving = async {
        let (few, mut moved) = (DeadLetterFilter { limit: Some(4), ..gone("old") }, 0);
        while counts(store, "old").await != (0, 0) {
            moved += store.dead_letters.replay(&[], &few, Some(&"new".into())).await.unwrap();
        }
        moved
    };
    let (moved, one, two, new) = tokio::join!(
        moving,
        deliver(store.clone(), "old"),
        deliver(store.clone(), "old"),
        deliver(store.clone(), "new"),
    );
    assert_eq!(new.len() as u64, moved, "what was moved, and that alone");
    let all: Vec<String> = [one, two, new].concat();
    let ids: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), ids.len()), (EVENTS, EVENTS), "each once: {all:?}");
}
