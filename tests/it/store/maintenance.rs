//! What every store does about retention, probes and closing.

use std::time::Duration;

use gatepost::store::{DeadLetterFilter, EventFilter, Insertion, Settled, Settlement, StoreError};

use super::{Subject, accept, event, open_by, sinks, standing};

/// Lets so many hours pass and prunes every six of them, as the daemon does, if more often; returns how many events went.
pub(super) async fn age(s: &Subject, hours: u64) -> u64 {
    let mut gone = 0;
    for _ in (0..hours).step_by(6) {
        s.pass(6 * 3600).await;
        gone += s.store.maintenance.prune().await.unwrap();
    }
    gone
}

async fn repeat(s: &Subject, id: &str) -> Insertion {
    s.store.inbox.insert(event("a", id, "body"), sinks(&["x"])).await.unwrap()
}

/// Nothing is forgotten before the retention (96 h) is over, everything after a quarter more and two prunes.
pub(super) async fn pruning_forgets_what_is_old_and_done(s: Subject) {
    assert_eq!(s.store.maintenance.prune().await.unwrap(), 0);
    accept(&s.store, event("a", "old", "body"), &[]).await;
    assert_eq!(age(&s, 60).await, 0);
    accept(&s.store, event("a", "young", "body"), &[]).await;
    assert_eq!(age(&s, 36).await, 0, "not before its time");
    for id in ["old", "young"] {
        assert_eq!(repeat(&s, id).await, Insertion::Duplicate);
    }
    assert_eq!(age(&s, 54).await, 1);
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 1);
    assert_eq!(repeat(&s, "young").await, Insertion::Duplicate);
    accept(&s.store, event("a", "old", "body"), &[]).await;
    assert_eq!(age(&s, 252).await, 2);
    assert!(s.store.archive.list(&EventFilter::default()).await.unwrap().is_empty());
    accept(&s.store, event("a", "old", "body"), &[]).await;
    assert_eq!(age(&s, 300).await, 1, "numbers are never used twice");
}

pub(super) async fn pruning_keeps_pending_and_dead_until_they_are_over(s: Subject) {
    for id in ["pending", "dead", "done"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    let claimed = s.store.outbox.claim(&"x".into(), 9, Duration::from_secs(9)).await.unwrap();
    let settle = async |id: &str, outcome: Settled| {
        let of = claimed.iter().find(|claimed| claimed.event.as_ref().unwrap().id.as_str() == id).unwrap();
        s.store.outbox.settle(vec![Settlement { id: of.id, lease: of.lease, outcome }]).await.unwrap();
    };
    settle("dead", Settled::Dead { error: "400".into() }).await;
    settle("done", Settled::Done { duplicate: false }).await;
    assert_eq!(age(&s, 200).await, 1);
    assert_eq!(repeat(&s, "pending").await, Insertion::Duplicate, "an id lives as long as its event");
    let dead = s.store.dead_letters.list(&[], &DeadLetterFilter::default(), true).await.unwrap();
    assert_eq!((dead.len(), &dead[0].event.payload.bytes()[..]), (1, &b"body"[..]));
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 2);
    settle("pending", Settled::Done { duplicate: false }).await;
    assert_eq!(age(&s, 12).await, 1);
    assert_eq!(s.store.dead_letters.discard(&[], &DeadLetterFilter::default()).await.unwrap(), 1);
    assert_eq!(age(&s, 6).await, 1);
    assert!(s.store.archive.list(&EventFilter::default()).await.unwrap().is_empty());
    accept(&s.store, event("a", "dead", "body"), &[]).await;
}

pub(super) async fn a_duplicate_is_known_without_the_store_until_retention_has_run(s: Subject) {
    // Time stands still: what is known lasts.
    let store = open_by(&s.settings, &standing()).await.unwrap();
    let send = async |id: &str| store.inbox.insert(event("a", id, "body"), sinks(&[])).await;
    for id in ["before", "after"] {
        assert_eq!(send(id).await.unwrap(), Insertion::Accepted);
    }
    assert_eq!(send("before").await.unwrap(), Insertion::Duplicate);
    store.maintenance.prune().await.unwrap();
    assert_eq!(send("after").await.unwrap(), Insertion::Duplicate);
    store.maintenance.close().await.unwrap();
    assert_eq!(send("after").await.unwrap(), Insertion::Duplicate, "nobody is there to ask");
    assert!(matches!(send("before").await, Err(StoreError::Unavailable(_))));
}

pub(super) async fn a_probe_writes_and_a_closed_store_answers_unavailable(s: Subject) {
    s.store.maintenance.probe().await.unwrap();
    s.store.maintenance.probe().await.unwrap();
    s.store.maintenance.close().await.unwrap();
    s.store.maintenance.close().await.unwrap();
    let refused = |outcome: Result<(), StoreError>| assert!(matches!(outcome, Err(StoreError::Unavailable(_))));
    refused(s.store.maintenance.probe().await);
    refused(s.store.inbox.insert(event("a", "1", "body"), sinks(&[])).await.map(drop));
    refused(s.store.archive.list(&EventFilter::default()).await.map(drop));
}
