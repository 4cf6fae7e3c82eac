//! What every store does about retention, probes and closing.

use std::time::Duration;

use gatepost::store::{Filter, Insertion, Settled, Settlement, StoreError};

use super::{Subject, accept, at, event, event_at, sinks};

const HOUR: i64 = 3600;

pub async fn pruning_forgets_what_is_old_and_done(s: Subject) {
    accept(&s.store, event_at("a", "old", 0), &[]).await;
    accept(&s.store, event_at("a", "young", HOUR), &[]).await;
    assert_eq!(s.store.upkeep.prune(at(96 * HOUR)).await.unwrap(), 0, "not before its time");
    let repeated = s.store.inbox.insert(event_at("a", "old", 0), sinks(&[])).await.unwrap();
    assert_eq!(repeated, Insertion::Duplicate);
    assert_eq!(s.store.upkeep.prune(at(97 * HOUR)).await.unwrap(), 1);
    assert_eq!(s.store.upkeep.prune(at(97 * HOUR)).await.unwrap(), 0);
    assert_eq!(s.store.archive.list(&Filter::default()).await.unwrap().len(), 1);
    let repeated = s.store.inbox.insert(event_at("a", "young", HOUR), sinks(&[])).await.unwrap();
    assert_eq!(repeated, Insertion::Duplicate);
    accept(&s.store, event_at("a", "old", 97 * HOUR), &[]).await;
    assert_eq!(s.store.upkeep.prune(at(1000 * HOUR)).await.unwrap(), 2);
    accept(&s.store, event_at("a", "old", 1000 * HOUR), &[]).await;
    assert_eq!(s.store.upkeep.prune(at(2000 * HOUR)).await.unwrap(), 1, "numbers are never used twice");
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
    assert_eq!(s.store.upkeep.prune(at(200 * HOUR)).await.unwrap(), 1);
    let repeated = s.store.inbox.insert(event_at("a", "pending", 0), sinks(&["x"])).await.unwrap();
    assert_eq!(repeated, Insertion::Duplicate, "an id lives as long as its event");
    assert_eq!(s.store.dead_letters.list(&[], &Filter::default(), true).await.unwrap().len(), 1);
    settle("pending", Settled::Done).await;
    assert_eq!(s.store.upkeep.prune(at(200 * HOUR)).await.unwrap(), 1);
    assert_eq!(s.store.dead_letters.discard(&[], &Filter::default()).await.unwrap(), 1);
    assert_eq!(s.store.upkeep.prune(at(200 * HOUR)).await.unwrap(), 1);
    assert!(s.store.archive.list(&Filter::default()).await.unwrap().is_empty());
}

pub async fn pruning_goes_in_steps_over_many(s: Subject) {
    let tasks: tokio::task::JoinSet<()> = (0..700)
        .map(|n: i64| {
            let store = s.store.clone();
            // Out of order, as clocks and threads have it; every seventh is young.
            let seconds = if n % 7 == 0 { 90 * HOUR } else { (n * 37) % HOUR };
            async move { accept(&store, event_at("a", &n.to_string(), seconds), &[]).await }
        })
        .collect();
    tasks.join_all().await;
    assert_eq!(s.store.upkeep.prune(at(98 * HOUR)).await.unwrap(), 600);
    assert_eq!(s.store.archive.list(&Filter::default()).await.unwrap().len(), 100);
    assert_eq!(s.store.upkeep.prune(at(300 * HOUR)).await.unwrap(), 100);
    assert!(s.store.archive.list(&Filter::default()).await.unwrap().is_empty());
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
