//! What every store does with an event that is erased; and what it says of what it holds.

use std::sync::Arc;

use gatepost::event::{Event, EventId};
use gatepost::store::{
    DeadLetterFilter, ErasedParts, Erasure, EventFilter, Insertion, Quarantined, Settled, SinkStats, SourceStats,
    State, Store,
};

use super::deliveries::{backlog, claim, dead, named, settle};
use super::{Subject, accept, at, event, sinks};

fn erasure() -> Erasure {
    Erasure { at: at(9), by: "ann of ops".into() }
}

fn refused(source: &str, id: Option<&str>, body: &str) -> Quarantined {
    Quarantined {
        id: 0,
        source: source.into(),
        reason: "id_conflict".into(),
        received_at: at(0),
        request_id: "r".into(),
        client_ip: None,
        target: "POST /".into(),
        headers: "[]".into(),
        event_id: id.and_then(EventId::new),
        body: bytes::Bytes::from(body.to_owned()),
    }
}

async fn insert(store: &Store, event: Event) -> Insertion {
    store.inbox.insert(event, sinks(&["x"])).await.unwrap()
}

async fn erase(store: &Store, id: &str) -> Option<ErasedParts> {
    store.archive.erase(&named(id), &erasure()).await.unwrap()
}

pub(super) async fn an_erased_event_says_nothing_and_its_id_still_counts_once(mut s: Subject) {
    accept(&s.store, event("a", "1", "a body"), &["x"]).await;
    accept(&s.store, event("a", "2", ""), &["x"]).await;
    assert_eq!(erase(&s.store, "none").await, None);
    assert!(erase(&s.store, "1").await.is_some() && erase(&s.store, "2").await.is_some());
    assert_eq!(erase(&s.store, "1").await, None, "it was erased before");
    s.reopen().await;
    let found = s.store.archive.get(&named("1")).await.unwrap().remove(0);
    assert_eq!(found.erased, Some(erasure()));
    let Event {
        source,
        id,
        kind,
        received_at,
        payload,
        content_type,
        key,
        request_id,
        client_ip,
        traceparent,
        headers,
    } = found.event;
    assert_eq!((source.as_str(), id.as_str(), kind.as_str(), received_at), ("a", "1", "order.created", at(0)));
    assert!(payload.bytes().is_empty() && content_type.is_empty() && key.is_empty() && request_id.is_empty());
    assert_eq!((client_ip, traceparent, headers.stored()), (None, None, None));
    let listed = s.store.archive.list(&EventFilter::default()).await.unwrap();
    assert!(listed.iter().all(|listed| listed.erased == Some(erasure()) && listed.bytes == 0), "{listed:?}");

    assert_eq!(insert(&s.store, event("a", "1", "a body")).await, Insertion::Duplicate);
    assert_eq!(insert(&s.store, event("a", "1", "another")).await, Insertion::Conflict);
    assert_eq!(insert(&s.store, event("a", "1", "")).await, Insertion::Conflict, "it is not what is left");
    assert_eq!(insert(&s.store, event("a", "2", "")).await, Insertion::Duplicate);
    let twin = named("1").source.map(|source| gatepost::event::EventKey::of(&source, &named("1").id)).unwrap();
    for (body, outcome) in [("a body", Insertion::Duplicate), ("another", Insertion::Accepted)] {
        let inserted = s.store.inbox.insert_beside(event("b", "9", body), &[twin], sinks(&[])).await.unwrap();
        assert_eq!(inserted, outcome, "beside a twin that was erased: {body}");
    }
}

pub(super) async fn open_deliveries_and_refused_requests_go_with_it(s: Subject) {
    let store = &s.store;
    for id in ["1", "2"] {
        accept(store, event("a", id, &format!("body of {id}")), &["done", "dead", "waits", "claimed"]).await;
    }
    for claimed in claim(store, "done").await {
        settle(store, &claimed, Settled::Done { duplicate: false }).await;
    }
    for claimed in claim(store, "dead").await {
        settle(store, &claimed, dead("400: body of it")).await;
    }
    let under_way = claim(store, "claimed").await;
    let entries =
        [refused("a", Some("1"), "another body"), refused("b", None, "body of 1"), refused("a", Some("2"), "kept")];
    for entry in entries {
        store.quarantine.put(entry).await.unwrap();
    }
    assert_eq!(erase(store, "1").await, Some(ErasedParts { deliveries: 3, quarantined: 2 }));
    assert_eq!(store.quarantine.count().await.unwrap(), 1);
    // The attempt that was under way ends, and nothing comes back by that.
    for claimed in &under_way {
        settle(store, claimed, dead("late")).await;
    }
    let found = store.archive.get(&named("1")).await.unwrap().remove(0);
    let left: Vec<_> = found.deliveries.iter().map(|one| (one.sink.as_str(), one.state)).collect();
    assert_eq!((left, found.state), (vec![("done", State::Delivered)], State::Delivered));
    let letters = store.dead_letters.list(&[], &DeadLetterFilter::default(), false).await.unwrap();
    assert_eq!(letters.len(), 2, "those of the other: {letters:?}");
    for (sink, pending, dead) in [("done", 0, 0), ("dead", 0, 1), ("waits", 1, 0), ("claimed", 0, 1)] {
        let now = backlog(store, sink).await;
        assert_eq!((now.pending, now.dead), (pending, dead), "{sink}");
    }
}

pub(super) async fn an_erased_event_is_delivered_nowhere(s: Subject) {
    let store = &s.store;
    accept(store, event("a", "1", "body"), &["x"]).await;
    accept(store, event("a", "2", "body"), &["x"]).await;
    for claimed in claim(store, "x").await {
        settle(store, &claimed, Settled::Done { duplicate: false }).await;
    }
    erase(store, "1").await.unwrap();
    let events = [named("1"), named("2")];
    assert_eq!(store.archive.replay(&events, None, &[]).await.unwrap(), 1);
    assert_eq!(store.archive.replay(&events, Some(&["y".into()]), &[]).await.unwrap(), 1);
    for sink in ["x", "y"] {
        let claimed = claim(store, sink).await;
        let ids: Vec<_> = claimed.iter().map(|claimed| claimed.event.as_ref().unwrap().id.to_string()).collect();
        assert_eq!(ids, ["2"], "{sink}");
    }
    // Retention forgets it like any other.
    for sink in ["x", "y"] {
        store.dead_letters.discard(&[], &DeadLetterFilter::default()).await.unwrap();
        assert_eq!(backlog(store, sink).await.pending, 1);
    }
    assert_eq!(super::maintenance::age(&s, 300).await, 1);
    assert_eq!(insert(store, event("a", "1", "new")).await, Insertion::Accepted);
}

pub(super) async fn audit_records_are_rewritten_where_asked(s: Subject) {
    let queue = &s.store.audit_queue;
    queue.push(["one", "two", "three"].map(str::to_owned).to_vec(), 10).await.unwrap();
    let rewrite = |record: &str| (record != "two").then(|| format!("{record}!"));
    assert_eq!(queue.rewrite(Arc::new(rewrite)).await.unwrap(), 2);
    let claimed = queue.claim(10, std::time::Duration::from_secs(30)).await.unwrap();
    let records: Vec<_> = claimed.iter().map(|queued| queued.record.as_str()).collect();
    assert_eq!(records, ["one!", "two", "three!"]);
}

pub(super) async fn stats_count_what_is_there(s: Subject) {
    let store = &s.store;
    let empty = store.maintenance.stats().await.unwrap();
    assert_eq!((empty.events, empty.oldest, empty.sources.len(), empty.sinks.len()), (0, None, 0, 0));
    for (source, id, seconds) in [("b", "1", 5), ("a", "1", 7), ("a", "2", 3)] {
        let event = Event { received_at: at(seconds), ..event(source, id, "body") };
        accept(store, event, &["x", "y"]).await;
    }
    settle(store, &claim(store, "x").await[0], Settled::Done { duplicate: false }).await;
    settle(store, &claim(store, "y").await[0], dead("400")).await;
    store.quarantine.put(refused("a", None, "12345")).await.unwrap();
    store.audit_queue.push(vec!["{}".into()], 10).await.unwrap();
    let stats = store.maintenance.stats().await.unwrap();
    assert_eq!((stats.events, stats.ids, stats.oldest, stats.newest), (3, 3, Some(at(3)), Some(at(7))));
    let of = |source: &str, events| SourceStats { source: source.into(), events };
    assert_eq!(stats.sources, [of("a", 2), of("b", 1)]);
    let to = |sink: &str, pending, delivered, dead| SinkStats { sink: sink.into(), pending, delivered, dead };
    assert_eq!(stats.sinks, [to("x", 2, 1, 0), to("y", 2, 0, 1)]);
    assert_eq!((stats.quarantine_entries, stats.quarantine_bytes, stats.audit_records), (1, 7, 1));
    assert!(stats.bytes > 0 && stats.retention_seconds == 96 * 3600, "{stats:?}");
}

pub(super) async fn listings_find_by_source_type_and_time(s: Subject) {
    for n in 0..20 {
        let source = if n % 2 == 0 { "a" } else { "b" };
        let kind = if n % 5 == 0 { "rare" } else { "common" };
        let event = Event { kind: kind.into(), received_at: at(n), ..event(source, &n.to_string(), "body") };
        accept(&s.store, event, if n % 4 == 0 { &["x"] } else { &[] }).await;
    }
    let find = async |filter: EventFilter| {
        let found = s.store.archive.list(&filter).await.unwrap();
        found.iter().map(|found| found.event.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    let all = EventFilter::default;
    let rare = EventFilter { kind: Some("rare".into()), ..all() };
    assert_eq!(find(rare.clone()).await, "15 10 5 0");
    assert_eq!(find(EventFilter { source: Some("b".into()), ..rare.clone() }).await, "15 5");
    assert_eq!(find(EventFilter { limit: Some(3), ..rare.clone() }).await, "15 10 5");
    assert_eq!(find(EventFilter { since: Some(at(17)), ..all() }).await, "19 18 17");
    assert_eq!(find(EventFilter { since: Some(at(3)), until: Some(at(6)), ..all() }).await, "5 4 3");
    assert_eq!(find(EventFilter { state: Some(State::Pending), ..rare.clone() }).await, "0");
    assert_eq!(find(EventFilter { source: Some("none".into()), ..all() }).await, "");
    let header = [("x-type", &b"page:update"[..])].into_iter().collect();
    assert_eq!(find(EventFilter { header: Some(header), sink: Some("x".into()), ..rare }).await, "0");
}
