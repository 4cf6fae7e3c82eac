//! What every store does with quarantine and audit queue: both are bounded.

use std::time::Duration;

use gatepost::event::EventId;
use gatepost::store::{QuarantineFilter, Quarantined};

use super::{Subject, at};

pub(super) fn refused(source: &str, seconds: i64, bytes: usize) -> Quarantined {
    Quarantined {
        id: 0,
        source: source.into(),
        reason: "signature_mismatch".into(),
        received_at: at(seconds),
        request_id: format!("req-{seconds}"),
        client_ip: Some("203.0.113.7".parse().unwrap()),
        target: "POST /webhooks/nice?x".into(),
        headers: "[[\"a\",\"b\"]]".into(),
        event_id: EventId::new("1"),
        body: vec![b'x'; bytes].into(),
    }
}

pub(super) async fn quarantine_keeps_within_its_entries(mut s: Subject) {
    let mut ids = Vec::new();
    for n in 1..=5 {
        ids.push(s.store.quarantine.put(refused("a", n, 10)).await.unwrap());
    }
    s.reopen().await;
    let left = s.store.quarantine.list(&QuarantineFilter::default()).await.unwrap();
    let newest_first: Vec<i64> = left.iter().map(|entry| entry.id).collect();
    assert_eq!(newest_first, [ids[4], ids[3], ids[2]]);
    assert_eq!(s.store.quarantine.count().await.unwrap(), 3);
    let entry = s.store.quarantine.get(ids[4]).await.unwrap().unwrap();
    assert_eq!((entry.body.len(), left[0].body.len()), (10, 0));
    assert_eq!((entry.received_at, entry.client_ip), (at(5), Some("203.0.113.7".parse().unwrap())));
    assert_eq!((entry.target.as_str(), entry.headers.as_str()), ("POST /webhooks/nice?x", "[[\"a\",\"b\"]]"));
    assert_eq!((entry.reason.as_str(), entry.event_id), ("signature_mismatch", EventId::new("1")));
    assert!(s.store.quarantine.get(ids[0]).await.unwrap().is_none());
}

pub(super) async fn quarantine_keeps_within_its_bytes(s: Subject) {
    let first = s.store.quarantine.put(refused("a", 1, 400)).await.unwrap();
    let second = s.store.quarantine.put(refused("a", 2, 400)).await.unwrap();
    assert!(s.store.quarantine.get(first).await.unwrap().is_some());
    let third = s.store.quarantine.put(refused("a", 3, 400)).await.unwrap();
    assert!(s.store.quarantine.get(first).await.unwrap().is_none());
    // Larger than all of it: not kept, and nothing makes room for it.
    assert_eq!(s.store.quarantine.put(refused("a", 4, 1001)).await.unwrap(), 0);
    assert_eq!(s.store.quarantine.count().await.unwrap(), 2);
    assert_eq!(s.store.quarantine.remove(&[second, third, 9999]).await.unwrap(), 2);
    let full = s.store.quarantine.put(refused("a", 5, 900)).await.unwrap();
    assert!(s.store.quarantine.get(full).await.unwrap().is_some(), "removing gave the bytes back");
}

/// One kind, however much of it comes, does not push out all others: who holds most gives way.
pub(super) async fn quarantine_takes_from_who_holds_most(s: Subject) {
    let of = |source: &str, reason: &str, n: i64, bytes: usize| {
        let mut entry = refused(source, n, bytes);
        entry.reason = reason.into();
        entry
    };
    let put = async |entry: Quarantined| s.store.quarantine.put(entry).await.unwrap();
    let held = async || {
        let left = s.store.quarantine.list(&QuarantineFilter::default()).await.unwrap();
        left.iter().rev().map(|entry| entry.id).collect::<Vec<_>>()
    };
    // Three entries and 1,000 bytes at most; headers have 11.
    let evidence = put(of("a", "timestamp_expired", 1, 10)).await;
    let mut flood = Vec::new();
    for n in 2..=9 {
        flood.push(put(of("a", "id_conflict", n, 10)).await);
    }
    assert_eq!(held().await, [evidence, flood[6], flood[7]], "by number");
    let large = put(of("b", "id_conflict", 10, 900)).await;
    assert_eq!(held().await, [evidence, flood[7], large], "of another source");
    let larger = put(of("b", "id_conflict", 11, 910)).await;
    assert_eq!(held().await, [evidence, flood[7], larger], "by bytes");
    let whole = put(of("b", "invalid_json", 12, 980)).await;
    assert_eq!(held().await, [whole], "what is just put stays");
}

pub(super) async fn quarantine_knows_what_it_has(s: Subject) {
    let entry = refused("a", 1, 10);
    let same = async |entry: &Quarantined| s.store.quarantine.same(entry).await.unwrap();
    assert_eq!(same(&entry).await, None);
    let id = s.store.quarantine.put(entry.clone()).await.unwrap();
    let later = Quarantined { request_id: "another".into(), headers: "[]".into(), ..refused("a", 9, 10) };
    assert_eq!(same(&later).await, Some(id), "whatever else differs");
    assert_eq!(same(&refused("b", 1, 10)).await, None);
    assert_eq!(same(&refused("a", 1, 11)).await, None);
    assert_eq!(same(&Quarantined { reason: "id_conflict".into(), ..entry.clone() }).await, None);
    assert_eq!(same(&Quarantined { event_id: EventId::new("2"), ..entry }).await, None);
}

pub(super) async fn quarantine_filters_and_removes(s: Subject) {
    let mut other = refused("b", 2, 1);
    other.reason = "id_conflict".into();
    let first = s.store.quarantine.put(refused("a", 1, 1)).await.unwrap();
    let second = s.store.quarantine.put(other).await.unwrap();
    let list = async |filter: QuarantineFilter| {
        let found = s.store.quarantine.list(&filter).await.unwrap();
        found.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(list(QuarantineFilter { source: Some("a".into()), ..QuarantineFilter::default() }).await, [first]);
    assert_eq!(
        list(QuarantineFilter { reason: Some("id_conflict".into()), ..QuarantineFilter::default() }).await,
        [second]
    );
    assert_eq!(list(QuarantineFilter { since: Some(at(2)), ..QuarantineFilter::default() }).await, [second]);
    assert_eq!(list(QuarantineFilter { until: Some(at(2)), ..QuarantineFilter::default() }).await, [first]);
    assert_eq!(list(QuarantineFilter { limit: Some(1), ..QuarantineFilter::default() }).await, [second]);
    assert_eq!(s.store.quarantine.remove(&[first, first]).await.unwrap(), 1);
    assert_eq!(s.store.quarantine.count().await.unwrap(), 1);
}

pub(super) async fn the_audit_queue_has_a_capacity(mut s: Subject) {
    let records = |range: std::ops::Range<u32>| range.map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>();
    assert_eq!(s.store.audit_queue.push(records(0..3), 5).await.unwrap(), 0);
    assert_eq!(s.store.audit_queue.push(records(3..7), 5).await.unwrap(), 2);
    s.reopen().await;
    assert_eq!(s.store.audit_queue.count().await.unwrap(), 5);
    let all = s.store.audit_queue.claim(10, Duration::from_secs(1)).await.unwrap();
    let held: Vec<String> = all.iter().map(|audit| audit.record.clone()).collect();
    assert_eq!(held, records(0..5));
    s.store.audit_queue.remove(&[all[0].id, all[1].id, all[0].id]).await.unwrap();
    assert_eq!(s.store.audit_queue.count().await.unwrap(), 3);
    assert_eq!(s.store.audit_queue.push(records(7..10), 5).await.unwrap(), 1);
    assert_eq!(s.store.audit_queue.push(records(7..10), 2).await.unwrap(), 3, "a capacity made smaller");
}

pub(super) async fn audit_records_are_leased_and_released(s: Subject) {
    let queue = &s.store.audit_queue;
    queue.push(vec!["1".into(), "2".into(), "3".into()], 10).await.unwrap();
    let lease = Duration::from_secs(30);
    let first = queue.claim(2, lease).await.unwrap();
    assert_eq!(first.iter().map(|audit| audit.record.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(queue.claim(2, lease).await.unwrap().len(), 1);
    s.pass(5).await;
    assert!(queue.claim(2, lease).await.unwrap().is_empty());
    queue.release(&[first[0].id], Duration::from_mins(5), true).await.unwrap();
    queue.release(&[first[1].id], Duration::ZERO, false).await.unwrap();
    let again = queue.claim(9, lease).await.unwrap();
    assert_eq!(again.iter().map(|audit| audit.id).collect::<Vec<_>>(), [first[1].id]);
    queue.release(&[first[1].id], Duration::from_mins(5), false).await.unwrap();
    s.pass(300).await;
    queue.remove(&[queue.claim(9, lease).await.unwrap()[2].id]).await.unwrap();
    s.pass(31).await;
    let again = queue.claim(9, lease).await.unwrap();
    assert_eq!(again.iter().map(|audit| audit.attempts).collect::<Vec<_>>(), [1, 0]);
    s.pass(31).await;
    assert_eq!(queue.claim(9, lease).await.unwrap().len(), 2, "leases end");
}
