//! What every store does with incoming events.

use gatepost::event::{Event, EventId};
use gatepost::store::{Archived, EventFilter, EventRef, Insertion, State, StoreError};

use super::{Subject, accept, at, event, event_at, sinks};

fn named(source: Option<&str>, id: &str) -> EventRef {
    EventRef { source: source.map(Into::into), id: EventId::new(id).unwrap() }
}

fn ids(found: &[Archived]) -> Vec<&str> {
    found.iter().map(|archived| archived.event.id.as_str()).collect()
}

pub(super) async fn an_event_is_accepted_once_and_read_back_whole(s: Subject) {
    let body = "{\"eventId\":\"1\"}\u{0}\u{7f}";
    let sent = event("a", "1", body);
    accept(&s.store, sent.clone(), &["x", "y"]).await;
    assert_eq!(s.store.inbox.insert(sent.clone(), sinks(&["x"])).await.unwrap(), Insertion::Duplicate);
    let found = s.store.archive.get(&named(Some("a"), "1")).await.unwrap();
    assert_eq!(found.len(), 1);
    let kept = &found[0].event;
    assert_eq!(kept.payload.bytes(), body.as_bytes());
    assert_eq!((kept.source.as_str(), kept.id.as_str(), kept.kind.as_str()), ("a", "1", "order.created"));
    assert_eq!((kept.received_at, kept.client_ip), (sent.received_at, sent.client_ip));
    assert_eq!((&kept.content_type, &kept.key, &kept.request_id), (&sent.content_type, &sent.key, &sent.request_id));
    assert_eq!((&kept.traceparent, &kept.headers), (&sent.traceparent, &sent.headers));
    assert_eq!((found[0].bytes, found[0].state), (body.len() as u64, State::Pending));
    let to: Vec<&str> = found[0].deliveries.iter().map(|delivery| delivery.sink.as_str()).collect();
    assert_eq!(to, ["x", "y"]);
}

pub(super) async fn the_same_id_with_another_body_is_a_conflict(s: Subject) {
    accept(&s.store, event("a", "1", "first"), &[]).await;
    assert_eq!(s.store.inbox.insert(event("a", "1", "second"), sinks(&["x"])).await.unwrap(), Insertion::Conflict);
    assert_eq!(s.store.inbox.insert(event("a", "1", ""), sinks(&[])).await.unwrap(), Insertion::Conflict);
    let found = s.store.archive.get(&named(Some("a"), "1")).await.unwrap();
    assert_eq!(&found[0].event.payload.bytes()[..], b"first");
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 0);
    assert_eq!(s.store.inbox.insert(event("a", "1", "first"), sinks(&[])).await.unwrap(), Insertion::Duplicate);
}

pub(super) async fn two_sources_never_share_an_id(s: Subject) {
    accept(&s.store, event("a", "1", "same"), &[]).await;
    accept(&s.store, event("b", "1", "same"), &[]).await;
    // Source and id are two things, not one string.
    accept(&s.store, event("a1", "1", "same"), &[]).await;
    accept(&s.store, event("a", "11", "same"), &[]).await;
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 4);
}

pub(super) async fn one_body_counts_once_among_twins(s: Subject) {
    let key = |event: &Event| [event.unique_key()];
    let (a, b) = (event("a", "1", "same"), event("b", "other-id", "same"));
    let beside =
        async |event: &Event, twin: &Event| s.store.inbox.insert_beside(event.clone(), &key(twin), sinks(&["x"])).await;
    assert_eq!(beside(&a, &b).await.unwrap(), Insertion::Accepted);
    assert_eq!(beside(&b, &a).await.unwrap(), Insertion::Duplicate);
    assert_eq!(beside(&a, &b).await.unwrap(), Insertion::Duplicate);
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 1, "nothing new is delivered");
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 1);
    // The same id at the twin, but of another body, is no twin of this one.
    let other = event("b", "other-id", "different");
    assert_eq!(beside(&other, &a).await.unwrap(), Insertion::Accepted);
    assert_eq!(
        beside(&event("b", "other-id", "same"), &a).await.unwrap(),
        Insertion::Conflict,
        "its own id comes first"
    );
    assert_eq!(s.store.inbox.insert(event("c", "1", "same"), sinks(&[])).await.unwrap(), Insertion::Accepted);
}

pub(super) async fn of_twins_at_once_exactly_one_is_accepted(s: Subject) {
    for round in 0..5 {
        let body = format!("body of round {round}");
        let event_of = |name: &str| event(name, &format!("{name}-{round}"), &body);
        let names = ["a", "b", "c", "d"];
        let tasks: tokio::task::JoinSet<Result<Insertion, StoreError>> = (0..40)
            .map(|n| {
                let inbox = s.store.inbox.clone();
                let own = event_of(names[n % 4]);
                let twins: Vec<_> = names
                    .iter()
                    .filter(|name| **name != names[n % 4])
                    .map(|name| event_of(name).unique_key())
                    .collect();
                async move { inbox.insert_beside(own, &twins, sinks(&["x"])).await }
            })
            .collect();
        let outcomes: Vec<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
        let accepted = outcomes.iter().filter(|outcome| **outcome == Insertion::Accepted).count();
        assert_eq!(accepted, 1, "{outcomes:?}");
        assert!(outcomes.iter().all(|outcome| *outcome != Insertion::Conflict), "{outcomes:?}");
    }
}

pub(super) async fn of_two_hundred_at_once_exactly_one_is_accepted(s: Subject) {
    let tasks: tokio::task::JoinSet<Insertion> = (0..200)
        .map(|n| {
            let inbox = s.store.inbox.clone();
            let body = if n % 2 == 0 { "even" } else { "odd" };
            async move { inbox.insert(event("a", "1", body), sinks(&["x"])).await.unwrap() }
        })
        .collect();
    let outcomes = tasks.join_all().await;
    let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count();
    let counts = (count(Insertion::Accepted), count(Insertion::Duplicate), count(Insertion::Conflict));
    assert_eq!(counts, (1, 99, 100));
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 1);
}

pub(super) async fn many_events_at_once_are_all_kept(s: Subject) {
    let tasks: tokio::task::JoinSet<Insertion> = (0..1500)
        .map(|n: u32| {
            let inbox = s.store.inbox.clone();
            async move { inbox.insert(event("a", &n.to_string(), "body"), sinks(&["x"])).await.unwrap() }
        })
        .collect();
    assert!(tasks.join_all().await.iter().all(|outcome| *outcome == Insertion::Accepted));
    assert_eq!(s.store.archive.list(&EventFilter::default()).await.unwrap().len(), 1500);
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 1500);
}

pub(super) async fn everything_is_there_after_reopening(mut s: Subject) {
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    s.reopen().await;
    assert_eq!(s.store.inbox.insert(event("a", "1", "body"), sinks(&["x"])).await.unwrap(), Insertion::Duplicate);
    accept(&s.store, event("a", "2", "body"), &["x"]).await;
    assert_eq!(s.store.outbox.backlog(&"x".into()).await.unwrap().pending, 2);
}

pub(super) async fn listings_filter_and_go_newest_first(s: Subject) {
    accept(&s.store, event_at("a", "1", 1), &["x"]).await;
    accept(&s.store, event_at("b", "2", 2), &[]).await;
    let mut other = event_at("a", "3", 3);
    other.kind = "order.cancelled".into();
    accept(&s.store, other, &["y"]).await;
    let archive = &s.store.archive;
    let list = async |filter: EventFilter| {
        let found = archive.list(&filter).await.unwrap();
        assert!(found.iter().all(|archived| archived.event.payload.bytes().is_empty() && archived.bytes == 9));
        ids(&found).join(" ")
    };
    let none = EventFilter::default;
    assert_eq!(list(none()).await, "3 2 1");
    assert_eq!(list(EventFilter { limit: Some(2), ..none() }).await, "3 2");
    assert_eq!(list(EventFilter { source: Some("a".into()), ..none() }).await, "3 1");
    assert_eq!(list(EventFilter { source: Some("unknown".into()), ..none() }).await, "");
    assert_eq!(list(EventFilter { kind: Some("order.created".into()), ..none() }).await, "2 1");
    assert_eq!(list(EventFilter { since: Some(at(2)), ..none() }).await, "3 2");
    assert_eq!(list(EventFilter { until: Some(at(2)), ..none() }).await, "1");
    assert_eq!(list(EventFilter { sink: Some("y".into()), ..none() }).await, "3");
    assert_eq!(list(EventFilter { sink: Some("unknown".into()), ..none() }).await, "");
    assert_eq!(list(EventFilter { state: Some(State::Pending), ..none() }).await, "3 1");
    assert_eq!(list(EventFilter { state: Some(State::Stored), ..none() }).await, "2");
    assert_eq!(list(EventFilter { state: Some(State::Delivered), ..none() }).await, "");
    assert_eq!(list(EventFilter { id_prefix: Some("3".into()), ..none() }).await, "3");
    assert_eq!(list(EventFilter { id_prefix: Some("33".into()), ..none() }).await, "");
    assert_eq!(list(EventFilter { id_prefix: Some("%".into()), ..none() }).await, "");
    assert_eq!(list(EventFilter { state: Some(State::Dead), ..none() }).await, "");
    assert_eq!(list(EventFilter { state: Some(State::Pending), source: Some("b".into()), ..none() }).await, "");
}

pub(super) async fn an_id_alone_finds_every_source(s: Subject) {
    accept(&s.store, event("a", "1", "of a"), &[]).await;
    accept(&s.store, event("b", "1", "of b"), &[]).await;
    assert_eq!(s.store.archive.get(&named(None, "1")).await.unwrap().len(), 2);
    assert_eq!(s.store.archive.get(&named(Some("b"), "1")).await.unwrap().len(), 1);
    assert_eq!(s.store.archive.get(&named(None, "2")).await.unwrap().len(), 0);
    assert_eq!(s.store.archive.get(&named(Some("c"), "1")).await.unwrap().len(), 0);
}
