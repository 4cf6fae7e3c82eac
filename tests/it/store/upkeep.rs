//! What every store does about retention, probes and closing.

use std::time::Duration;

use gatepost::store::{Filter, Insertion, Settled, Settlement, Store, StoreError};

use super::{Subject, accept, at, event, event_at, sinks};

const HOUR: i64 = 3600;

/// Prunes every six hours of `hours`, as the daemon does, if more often; returns how many events went.
pub async fn age(store: &Store, hours: std::ops::RangeInclusive<i64>) -> u64 {
    let mut gone = 0;
    for hour in hours.step_by(6) {
        gone += store.upkeep.prune(at(hour * HOUR)).await.unwrap();
    }
    gone
}

/// Nothing is forgotten before the retention (96 h) is over, everything after a quarter more and a prune.
pub async fn pruning_forgets_what_is_old_and_done(s: Subject) {
    accept(&s.store, event_at("a", "old", 0), &[]).await;
    assert_eq!(age(&s.store, 0..=60).await, 0);
    accept(&s.store, event_at("a", "young", 60 * HOUR), &[]).await;
    assert_eq!(age(&s.store, 60..=96).await, 0, "not before its time");
    for (id, seconds) in [("old", 0), ("young", 60 * HOUR)] {
        let repeated = s.store.inbox.insert(event_at("a", id, seconds), sinks(&[])).await.unwrap();
        assert_eq!(repeated, Insertion::Duplicate);
    }
    assert_eq!(age(&s.store, 102..=150).await, 1);
    assert_eq!(s.store.archive.list(&Filter::default()).await.unwrap().len(), 1);
    let repeated = s.store.inbox.insert(event_at("a", "young", 60 * HOUR), sinks(&[])).await.unwrap();
    assert_eq!(repeated, Insertion::Duplicate);
    accept(&s.store, event_at("a", "old", 150 * HOUR), &[]).await;
    assert_eq!(age(&s.store, 150..=400).await, 2);
    assert!(s.store.archive.list(&Filter::default()).await.unwrap().is_empty());
    accept(&s.store, event_at("a", "old", 400 * HOUR), &[]).await;
    assert_eq!(age(&s.store, 400..=700).await, 1, "numbers are never used twice");
}

pub async fn pruning_keeps_pending_and_dead_until_they_are_over(s: Subject) {
    for id in ["pending", "dead", "done"] {
        accept(&s.store, event_at("a", id, 0), &["x"]).await;
    }
    let claimed = s.store.outbox.claim(&"x".into(), 9, at(0), Duration::from_secs(9)).await.unwrap();
    let settle = async |id: &str, outcome: Settled| {
        let of = claimed.iter().find(|claimed| claimed.event.id.as_str() == id).unwrap();
        s.store.outbox.settle(vec![Settlement { id: of.id, lease: of.lease, outcome }]).await.unwrap();
    };
    settle("dead", Settled::Dead { error: "400".into() }).await;
    settle("done", Settled::Done).await;
    assert_eq!(age(&s.store, 0..=200).await, 1);
    let repeated = s.store.inbox.insert(event_at("a", "pending", 0), sinks(&["x"])).await.unwrap();
    assert_eq!(repeated, Insertion::Duplicate, "an id lives as long as its event");
    let dead = s.store.dead_letters.list(&[], &Filter::default(), true).await.unwrap();
    assert_eq!((dead.len(), &dead[0].event.payload.bytes()[..]), (1, &b"body of dead"[..]));
    assert_eq!(s.store.archive.list(&Filter::default()).await.unwrap().len(), 2);
    settle("pending", Settled::Done).await;
    assert_eq!(age(&s.store, 200..=206).await, 1);
    assert_eq!(s.store.dead_letters.discard(&[], &Filter::default()).await.unwrap(), 1);
    assert_eq!(age(&s.store, 206..=212).await, 1);
    assert!(s.store.archive.list(&Filter::default()).await.unwrap().is_empty());
    accept(&s.store, event_at("a", "dead", 212 * HOUR), &[]).await;
}

pub async fn a_probe_writes_and_a_closed_store_answers_unavailable(s: Subject) {
    s.store.upkeep.probe().await.unwrap();
    s.store.upkeep.probe().await.unwrap();
    s.store.upkeep.close().await.unwrap();
    s.store.upkeep.close().await.unwrap();
    let refused = |outcome: Result<(), StoreError>| assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
    refused(s.store.upkeep.probe().await);
    refused(s.store.inbox.insert(event("a", "1", "body"), sinks(&[])).await.map(drop));
    refused(s.store.archive.list(&Filter::default()).await.map(drop));
}
