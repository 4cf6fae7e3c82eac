//! What every store does with deliveries.

use std::time::Duration;

use gatepost::event::EventId;
use gatepost::store::{Backlog, Claimed, DeliveryId, EventRef, Filter, Settled, Settlement, State, Store};

use super::{Subject, accept, at, event, event_at};

const LEASE: Duration = Duration::from_secs(40);

async fn claim(store: &Store, sink: &str, seconds: i64) -> Vec<Claimed> {
    store.outbox.claim(&sink.into(), 100, at(seconds), LEASE).await.unwrap()
}

async fn settle(store: &Store, claimed: &Claimed, outcome: Settled) {
    store.outbox.settle(vec![Settlement { id: claimed.id, lease: claimed.lease, outcome }]).await.unwrap();
}

async fn backlog(store: &Store, sink: &str) -> Backlog {
    store.outbox.backlog(&sink.into()).await.unwrap()
}

fn dead(error: &str) -> Settled {
    Settled::Dead { error: error.into() }
}

fn named(id: &str) -> EventRef {
    EventRef { source: Some("a".into()), id: EventId::new(id).unwrap() }
}

pub async fn a_claim_is_exclusive_until_its_lease_ends(s: Subject) {
    for id in ["1", "2", "3"] {
        accept(&s.store, event_at("a", id, id.parse().unwrap()), &["x"]).await;
    }
    assert!(claim(&s.store, "x", 0).await.is_empty(), "nothing is due before it was received");
    let first = s.store.outbox.claim(&"x".into(), 2, at(10), LEASE).await.unwrap();
    let ids: Vec<&str> = first.iter().map(|claimed| claimed.event.id.as_str()).collect();
    assert_eq!(ids, ["1", "2"], "oldest first");
    assert_eq!(&first[0].event.payload.bytes()[..], b"body of 1");
    assert_eq!((first[0].attempts, first[0].queued_at), (0, at(1)));
    assert_eq!(claim(&s.store, "x", 10).await.len(), 1);
    assert!(claim(&s.store, "x", 49).await.is_empty());
    assert_eq!(s.store.outbox.next_due(&"x".into()).await.unwrap(), Some(at(50)));
    assert_eq!(claim(&s.store, "x", 50).await.len(), 3);
}

pub async fn a_settlement_after_the_lease_passed_on_does_nothing(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let late = claim(&s.store, "x", 0).await.remove(0);
    let holder = claim(&s.store, "x", 100).await.remove(0);
    assert_eq!(late.id, holder.id);
    for outcome in [Settled::Done, dead("late"), Settled::Released { at: at(0) }] {
        settle(&s.store, &late, outcome).await;
    }
    assert!(claim(&s.store, "x", 100).await.is_empty());
    settle(&s.store, &holder, Settled::Done).await;
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
    settle(&s.store, &holder, dead("again")).await;
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
}

pub async fn each_sink_has_its_own_queue(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x", "y"]).await;
    let x = claim(&s.store, "x", 0).await.remove(0);
    settle(&s.store, &x, Settled::Done).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 0);
    assert_eq!(backlog(&s.store, "y").await.pending, 1);
    assert!(claim(&s.store, "unknown", 0).await.is_empty());
    assert_eq!(s.store.outbox.next_due(&"unknown".into()).await.unwrap(), None);
    let shown = s.store.archive.get(&named("1")).await.unwrap().remove(0);
    assert_eq!(shown.state, State::Pending);
    assert_eq!(shown.deliveries[0].state, State::Delivered);
    settle(&s.store, &claim(&s.store, "y", 0).await[0], Settled::Done).await;
    assert_eq!(s.store.archive.get(&named("1")).await.unwrap()[0].state, State::Delivered);
}

pub async fn a_retry_waits_and_counts_an_attempt(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let claimed = claim(&s.store, "x", 0).await.remove(0);
    settle(&s.store, &claimed, Settled::Retry { at: at(5), error: "503".into() }).await;
    assert!(claim(&s.store, "x", 4).await.is_empty());
    assert_eq!(s.store.outbox.next_due(&"x".into()).await.unwrap(), Some(at(5)));
    let shown = s.store.archive.get(&named("1")).await.unwrap().remove(0).deliveries.remove(0);
    assert_eq!((shown.attempts, shown.next_attempt_at), (1, Some(at(5))));
    assert_eq!(shown.last_error.as_deref(), Some("503"));
    let again = claim(&s.store, "x", 5).await.remove(0);
    assert_eq!((again.attempts, again.queued_at), (1, at(0)));
}

pub async fn a_release_counts_nothing(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let claimed = claim(&s.store, "x", 0).await.remove(0);
    settle(&s.store, &claimed, Settled::Released { at: at(1) }).await;
    assert_eq!(claim(&s.store, "x", 1).await[0].attempts, 0);
}

pub async fn a_dead_letter_is_listed_replayed_once_and_discarded(s: Subject) {
    for id in ["1", "2"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    for claimed in claim(&s.store, "x", 7).await {
        settle(&s.store, &claimed, dead(&format!("gone: 400 for {}", claimed.event.id))).await;
    }
    let none = Filter::default();
    let listed = s.store.dead_letters.list(&[], &none, true).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].attempts, listed[0].died_at, listed[0].sink.as_str()), (1, at(7), "x"));
    assert_eq!(&listed[0].event.payload.bytes()[..], b"body");
    assert_eq!(backlog(&s.store, "x").await, Backlog { pending: 0, oldest: None, dead: 2 });
    assert_eq!(s.store.archive.get(&named("1")).await.unwrap()[0].state, State::Dead);
    let state = Filter { state: Some(State::Dead), ..Filter::default() };
    assert_eq!(s.store.archive.list(&state).await.unwrap().len(), 2);

    let second = Filter { error: Some("400 for 2".into()), ..Filter::default() };
    let found = s.store.dead_letters.list(&[], &second, false).await.unwrap();
    assert_eq!((found.len(), found[0].event.id.as_str(), found[0].event.payload.bytes().len()), (1, "2", 0));
    assert_eq!(s.store.dead_letters.replay(&[found[0].id], &none, at(20)).await.unwrap(), 1);
    assert_eq!(s.store.dead_letters.replay(&[found[0].id], &none, at(20)).await.unwrap(), 0, "repeated");
    assert_eq!(s.store.dead_letters.replay(&[DeliveryId(i64::MAX)], &none, at(20)).await.unwrap(), 0, "unknown");
    let again = claim(&s.store, "x", 20).await;
    assert_eq!((again.len(), again[0].attempts, again[0].queued_at), (1, 0, at(20)));
    settle(&s.store, &again[0], Settled::Done).await;

    assert_eq!(s.store.dead_letters.discard(&[], &second).await.unwrap(), 0);
    assert_eq!(s.store.dead_letters.discard(&[], &none).await.unwrap(), 1);
    assert_eq!(s.store.dead_letters.discard(&[], &none).await.unwrap(), 0);
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
}

pub async fn an_event_replays_to_its_sinks_or_to_others(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    settle(&s.store, &claim(&s.store, "x", 0).await[0], Settled::Done).await;
    let archive = &s.store.archive;
    assert_eq!(archive.replay(&[named("1"), named("unknown")], None, at(5)).await.unwrap(), 1);
    assert_eq!(archive.replay(&[named("1")], None, at(5)).await.unwrap(), 0, "it waits already");
    let again = claim(&s.store, "x", 5).await;
    assert_eq!((again.len(), again[0].attempts, again[0].queued_at), (1, 0, at(5)));
    settle(&s.store, &again[0], Settled::Done).await;
    assert_eq!(archive.replay(&[named("1")], Some(&["y".into(), "z".into()]), at(6)).await.unwrap(), 2);
    let counts = [backlog(&s.store, "x").await, backlog(&s.store, "y").await, backlog(&s.store, "z").await];
    assert_eq!(counts.map(|backlog| backlog.pending), [0, 1, 1]);
}

pub async fn a_replay_leaves_alone_what_is_under_way(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let under_way = claim(&s.store, "x", 0).await.remove(0);
    assert_eq!(s.store.archive.replay(&[named("1")], None, at(1)).await.unwrap(), 0);
    assert!(claim(&s.store, "x", 1).await.is_empty(), "else it would be delivered twice");
    settle(&s.store, &under_way, Settled::Retry { at: at(500), error: "503".into() }).await;
    assert_eq!(s.store.archive.replay(&[named("1")], None, at(2)).await.unwrap(), 1, "now it need not wait");
    assert_eq!(claim(&s.store, "x", 2).await[0].attempts, 0);
    settle(&s.store, &under_way, Settled::Done).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 1, "the old claim settles nothing");
}

pub async fn backlog_counts_and_dates_what_waits(s: Subject) {
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
    for id in ["1", "2", "3"] {
        accept(&s.store, event_at("a", id, id.parse().unwrap()), &["x"]).await;
    }
    assert_eq!(backlog(&s.store, "x").await, Backlog { pending: 3, oldest: Some(at(1)), dead: 0 });
    let claimed = claim(&s.store, "x", 10).await;
    settle(&s.store, &claimed[0], Settled::Done).await;
    settle(&s.store, &claimed[1], dead("400")).await;
    assert_eq!(backlog(&s.store, "x").await, Backlog { pending: 1, oldest: Some(at(3)), dead: 1 });
}

pub async fn queued_is_notified_after_the_commit(s: Subject) {
    let queued = s.store.outbox.queued();
    // Every sink's dispatcher waits, armed before it looked: all of them are woken.
    let mut waiting = [Box::pin(queued.notified()), Box::pin(queued.notified())];
    for waiting in &mut waiting {
        assert!(!waiting.as_mut().enable());
    }
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    for woken in waiting {
        woken.await;
    }
    assert_eq!(claim(&s.store, "x", 0).await.len(), 1);
}
