//! What every store does with rows that make no sense: each is one row's trouble, and is told.

use std::time::Duration;

use gatepost::store::{DeadLetterFilter, EventFilter, Settled, Settlement};

use super::{Subject, accept, event};

const LEASE: Duration = Duration::from_secs(40);
const FAR: &str = "864000000000";

pub(super) async fn what_is_due_later_than_anything_is_put_off_counts_as_due(s: Subject) {
    for id in ["1", "2", "3"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    let claimed = s.store.outbox.claim(&"x".into(), 1, LEASE).await.unwrap().remove(0);
    let outcome = Settled::Retry { after: Duration::from_hours(10), error: "503".into() };
    s.store.outbox.settle(vec![Settlement { id: claimed.id, lease: claimed.lease, outcome }]).await.unwrap();
    assert_eq!(s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap().len(), 2, "a wait, not a clock gone wrong");
    assert!(!s.store.outbox.next_due(&"x".into()).await.unwrap().unwrap().is_zero());
    s.sql(&format!("UPDATE deliveries SET due_at = due_at + {FAR}")).await;
    assert_eq!(s.store.outbox.next_due(&"x".into()).await.unwrap(), Some(Duration::ZERO));
    assert_eq!(s.store.outbox.claim(&"x".into(), 2, LEASE).await.unwrap().len(), 2);
    assert_eq!(s.store.outbox.claim(&"x".into(), 2, LEASE).await.unwrap().len(), 1);
    assert!(s.store.outbox.claim(&"x".into(), 2, LEASE).await.unwrap().is_empty());

    s.store.audit_queue.push(vec!["1".into()], 9).await.unwrap();
    s.sql(&format!("UPDATE audit SET due_at = {FAR} * 10000")).await;
    assert_eq!(s.store.audit_queue.claim(9, LEASE).await.unwrap().len(), 1);
    assert!(s.store.audit_queue.claim(9, LEASE).await.unwrap().is_empty());
}

pub(super) async fn an_unreadable_event_is_claimed_beside_the_others_and_listed_when_dead(s: Subject) {
    for id in ["1", "2", "3", "4"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    s.sql("UPDATE events SET id = '' WHERE id = '2'").await;
    s.sql("UPDATE events SET received_at = 9223372036854775807 WHERE id = '3'").await;
    s.sql("DELETE FROM events WHERE id = '4'").await;
    s.sql("UPDATE deliveries SET queued_at = -9223372036854775807, due_at = -9223372036854775807").await;
    assert_eq!(s.store.outbox.next_due(&"x".into()).await.unwrap(), Some(Duration::ZERO));
    assert!(s.store.outbox.backlog(&"x".into()).await.unwrap().oldest_age.is_some());
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 3);
    let claimed = s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap();
    s.sql("UPDATE deliveries SET queued_at = 0").await;
    let readable: Vec<bool> = claimed.iter().map(|claimed| claimed.event.is_ok()).collect();
    assert_eq!((readable.len(), readable.iter().filter(|readable| **readable).count()), (4, 1));
    let settle = claimed.iter().map(|claimed| {
        let outcome = match &claimed.event {
            Ok(_) => Settled::Done { duplicate: false },
            Err(error) => Settled::Dead { error: error.clone() },
        };
        Settlement { id: claimed.id, lease: claimed.lease, outcome }
    });
    s.store.outbox.settle(settle.collect()).await.unwrap();
    let none = DeadLetterFilter::default();
    for bodies in [false, true] {
        let dead = s.store.dead_letters.list(&[], &none, bodies).await.unwrap();
        assert_eq!(dead.len(), 3);
        assert!(dead.iter().all(|letter| !letter.error.is_empty() && letter.sink.as_str() == "x"), "{dead:?}");
        assert!(dead.iter().any(|letter| letter.event.id.as_str() == "unreadable"));
    }
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 3);
    assert_eq!(s.store.dead_letters.replay(&[], &none, None).await.unwrap(), 3);
    let again = s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap();
    assert!(again.len() == 3 && again.iter().all(|claimed| claimed.event.is_err()));
    let dead = |id, lease| Settlement { id, lease, outcome: Settled::Dead { error: "again".into() } };
    s.store.outbox.settle(again.iter().map(|claimed| dead(claimed.id, claimed.lease)).collect()).await.unwrap();
    assert_eq!(s.store.dead_letters.discard(&[], &none).await.unwrap(), 3);
    // Retention is not held up either.
    super::maintenance::age(&s, 200).await;
    assert!(s.store.archive.list(&EventFilter::default()).await.unwrap().is_empty());
}
