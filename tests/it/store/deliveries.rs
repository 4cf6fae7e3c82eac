//! What every store does with deliveries.

use std::time::Duration;

use gatepost::event::EventId;
use gatepost::store::{
    Backlog, Claimed, DeadLetterFilter, DeliveryId, EventFilter, EventRef, Settled, Settlement, State, Store,
};

use super::{Subject, accept, assert_seconds, event};

const LEASE: Duration = Duration::from_secs(40);

pub(super) async fn claim(store: &Store, sink: &str) -> Vec<Claimed> {
    store.outbox.claim(&sink.into(), 100, LEASE).await.unwrap()
}

async fn next_due(store: &Store, sink: &str) -> Option<Duration> {
    store.outbox.next_due(&sink.into()).await.unwrap()
}

pub(super) fn retry(seconds: u64) -> Settled {
    Settled::Retry { after: Duration::from_secs(seconds), error: "503".into() }
}

fn id_of(claimed: &Claimed) -> &str {
    claimed.event.as_ref().unwrap().id.as_str()
}

fn body_of(claimed: &Claimed) -> &[u8] {
    claimed.event.as_ref().unwrap().payload.bytes()
}

pub(super) async fn settle(store: &Store, claimed: &Claimed, outcome: Settled) {
    store.outbox.settle(vec![Settlement { id: claimed.id, lease: claimed.lease, outcome }]).await.unwrap();
}

pub(super) async fn backlog(store: &Store, sink: &str) -> Backlog {
    store.outbox.backlog(&sink.into()).await.unwrap()
}

pub(super) fn dead(error: &str) -> Settled {
    Settled::Dead { error: error.into() }
}

pub(super) fn named(id: &str) -> EventRef {
    EventRef { source: Some("a".into()), id: EventId::new(id).unwrap() }
}

pub(super) async fn a_claim_is_exclusive_until_its_lease_ends(s: Subject) {
    assert_eq!(next_due(&s.store, "x").await, None);
    for id in ["1", "2", "3"] {
        accept(&s.store, event("a", id, &format!("body of {id}")), &["x"]).await;
        s.pass(60).await;
    }
    assert_eq!(next_due(&s.store, "x").await, Some(Duration::ZERO));
    let first = s.store.outbox.claim(&"x".into(), 2, LEASE).await.unwrap();
    assert_eq!(first.iter().map(id_of).collect::<Vec<_>>(), ["1", "2"], "oldest first");
    assert_eq!((body_of(&first[0]), first[0].attempts), (&b"body of 1"[..], 0));
    assert_seconds(first[0].age, 180);
    assert_eq!(claim(&s.store, "x").await.len(), 1);
    assert!(claim(&s.store, "x").await.is_empty());
    assert_seconds(next_due(&s.store, "x").await.unwrap(), 40);
    s.pass(40).await;
    assert_eq!(next_due(&s.store, "x").await, Some(Duration::ZERO));
    assert_eq!(claim(&s.store, "x").await.len(), 3);
}

pub(super) async fn what_is_due_comes_in_its_order_whether_it_was_claimed_before_or_not(s: Subject) {
    accept(&s.store, event("a", "held", "body"), &["x"]).await;
    assert_eq!(claim(&s.store, "x").await.len(), 1);
    s.pass(LEASE.as_secs() - 1).await;
    accept(&s.store, event("a", "before its lease ends", "body"), &["x"]).await;
    s.pass(2).await;
    accept(&s.store, event("a", "after that", "body"), &["x"]).await;
    for expected in ["before its lease ends", "held", "after that"] {
        let claimed = s.store.outbox.claim(&"x".into(), 1, LEASE).await.unwrap();
        assert_eq!(claimed.iter().map(id_of).collect::<Vec<_>>(), [expected]);
    }
}

pub(super) async fn a_settlement_after_the_lease_passed_on_does_nothing(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let late = claim(&s.store, "x").await.remove(0);
    s.pass(100).await;
    let holder = claim(&s.store, "x").await.remove(0);
    assert_eq!(late.id, holder.id);
    for outcome in [Settled::Done { duplicate: false }, dead("late"), Settled::Released { after: Duration::ZERO }] {
        settle(&s.store, &late, outcome).await;
    }
    assert!(claim(&s.store, "x").await.is_empty());
    settle(&s.store, &holder, Settled::Done { duplicate: false }).await;
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
    settle(&s.store, &holder, dead("again")).await;
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
}

pub(super) async fn a_settlement_counts_after_its_lease_when_nobody_else_took_it(s: Subject) {
    for id in ["1", "2"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    let late = claim(&s.store, "x").await;
    s.pass(3600).await;
    settle(&s.store, &late[0], Settled::Done { duplicate: false }).await;
    settle(&s.store, &late[1], retry(30)).await;
    assert!(claim(&s.store, "x").await.is_empty());
    assert_seconds(next_due(&s.store, "x").await.unwrap(), 30);
    assert_eq!(backlog(&s.store, "x").await.pending, 1);
}

pub(super) async fn each_sink_has_its_own_queue(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x", "y"]).await;
    let x = claim(&s.store, "x").await.remove(0);
    settle(&s.store, &x, Settled::Done { duplicate: false }).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 0);
    assert_eq!(backlog(&s.store, "y").await.pending, 1);
    assert!(claim(&s.store, "unknown").await.is_empty());
    assert_eq!(next_due(&s.store, "unknown").await, None);
    let shown = s.store.archive.get(&named("1")).await.unwrap().remove(0);
    assert_eq!(shown.state, State::Pending);
    assert_eq!(shown.deliveries[0].state, State::Delivered);
    settle(&s.store, &claim(&s.store, "y").await[0], Settled::Done { duplicate: false }).await;
    assert_eq!(s.store.archive.get(&named("1")).await.unwrap()[0].state, State::Delivered);
}

pub(super) async fn a_retry_waits_and_counts_an_attempt(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let claimed = claim(&s.store, "x").await.remove(0);
    settle(&s.store, &claimed, retry(60)).await;
    assert!(claim(&s.store, "x").await.is_empty());
    assert_seconds(next_due(&s.store, "x").await.unwrap(), 60);
    let shown = s.store.archive.get(&named("1")).await.unwrap().remove(0).deliveries.remove(0);
    assert_seconds(shown.next_attempt_at.unwrap().duration_since(s.clocks.wall.now()).unsigned_abs(), 60);
    assert_eq!((shown.attempts, shown.last_error.as_deref()), (1, Some("503")));
    s.pass(60).await;
    let again = claim(&s.store, "x").await.remove(0);
    assert_eq!(again.attempts, 1);
    assert_seconds(again.age, 60);
}

pub(super) async fn a_release_counts_nothing(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let claimed = claim(&s.store, "x").await.remove(0);
    settle(&s.store, &claimed, Settled::Released { after: Duration::from_mins(1) }).await;
    assert!(claim(&s.store, "x").await.is_empty());
    s.pass(60).await;
    assert_eq!(claim(&s.store, "x").await[0].attempts, 0);
}

pub(super) async fn a_dead_letter_is_listed_replayed_once_and_discarded(s: Subject) {
    for id in ["1", "2"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    for claimed in claim(&s.store, "x").await {
        settle(&s.store, &claimed, dead(&format!("gone: 400 for {}", id_of(&claimed)))).await;
    }
    s.pass(600).await;
    let none = DeadLetterFilter::default();
    let listed = s.store.dead_letters.list(&[], &none, true).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].attempts, listed[0].sink.as_str()), (1, "x"));
    assert_seconds(listed[0].died_at.duration_since(s.clocks.wall.now()).unsigned_abs(), 600);
    assert_eq!(&listed[0].event.payload.bytes()[..], b"body");
    assert_eq!(backlog(&s.store, "x").await, Backlog { dead: 2, ..Backlog::default() });
    assert_eq!(s.store.archive.get(&named("1")).await.unwrap()[0].state, State::Dead);
    let state = EventFilter { state: Some(State::Dead), ..EventFilter::default() };
    assert_eq!(s.store.archive.list(&state).await.unwrap().len(), 2);

    let second = DeadLetterFilter { error: Some("400 for 2".into()), ..DeadLetterFilter::default() };
    let found = s.store.dead_letters.list(&[], &second, false).await.unwrap();
    assert_eq!((found.len(), found[0].event.id.as_str(), found[0].event.payload.bytes().len()), (1, "2", 0));
    assert_eq!(s.store.dead_letters.replay(&[found[0].id], &none, None).await.unwrap(), 1);
    assert_eq!(s.store.dead_letters.replay(&[found[0].id], &none, None).await.unwrap(), 0, "repeated");
    assert_eq!(s.store.dead_letters.replay(&[DeliveryId(i64::MAX)], &none, None).await.unwrap(), 0, "unknown");
    let again = claim(&s.store, "x").await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
    assert_seconds(again[0].age, 0);
    settle(&s.store, &again[0], Settled::Done { duplicate: false }).await;

    assert_eq!(s.store.dead_letters.discard(&[], &second).await.unwrap(), 0);
    assert_eq!(s.store.dead_letters.discard(&[], &none).await.unwrap(), 1);
    assert_eq!(s.store.dead_letters.discard(&[], &none).await.unwrap(), 0);
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
}

pub(super) async fn an_event_replays_to_its_sinks_or_to_others(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    settle(&s.store, &claim(&s.store, "x").await[0], Settled::Done { duplicate: false }).await;
    s.pass(600).await;
    let archive = &s.store.archive;
    assert_eq!(archive.replay(&[named("1"), named("unknown")], None, &[]).await.unwrap(), 1);
    assert_eq!(archive.replay(&[named("1")], None, &[]).await.unwrap(), 0, "it waits already");
    let again = claim(&s.store, "x").await;
    assert_eq!((again.len(), again[0].attempts), (1, 0));
    assert_seconds(again[0].age, 0);
    settle(&s.store, &again[0], Settled::Done { duplicate: false }).await;
    assert_eq!(archive.replay(&[named("1")], Some(&["y".into(), "z".into()]), &[]).await.unwrap(), 2);
    let counts = [backlog(&s.store, "x").await, backlog(&s.store, "y").await, backlog(&s.store, "z").await];
    assert_eq!(counts.map(|backlog| backlog.pending), [0, 1, 1]);
}

pub(super) async fn a_replay_leaves_alone_what_is_under_way(s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    let under_way = claim(&s.store, "x").await.remove(0);
    assert_eq!(s.store.archive.replay(&[named("1")], None, &[]).await.unwrap(), 0);
    assert!(claim(&s.store, "x").await.is_empty(), "else it would be delivered twice");
    settle(&s.store, &under_way, retry(500)).await;
    assert_eq!(s.store.archive.replay(&[named("1")], None, &[]).await.unwrap(), 1, "now it need not wait");
    assert_eq!(claim(&s.store, "x").await[0].attempts, 0);
    settle(&s.store, &under_way, Settled::Done { duplicate: false }).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 1, "the old claim settles nothing");
}

pub(super) async fn backlog_counts_and_dates_what_waits(s: Subject) {
    assert_eq!(backlog(&s.store, "x").await, Backlog::default());
    for id in ["1", "2", "3"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
        s.pass(100).await;
    }
    let held = backlog(&s.store, "x").await;
    assert_eq!((held.pending, held.dead), (3, 0));
    assert_seconds(held.oldest_age.unwrap(), 300);
    let claimed = claim(&s.store, "x").await;
    settle(&s.store, &claimed[0], Settled::Done { duplicate: false }).await;
    settle(&s.store, &claimed[1], dead("400")).await;
    let held = backlog(&s.store, "x").await;
    assert_eq!((held.pending, held.dead), (1, 1));
    assert_seconds(held.oldest_age.unwrap(), 100);
}

pub(super) async fn queued_is_notified_after_the_commit(s: Subject) {
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
    assert_eq!(claim(&s.store, "x").await.len(), 1);
}
