//! What every store does with the headers that are kept of an event, and what a store from before them does.

use std::time::Duration;

use gatepost::event::{Event, KeptHeaders};
use gatepost::store::{EventFilter, EventRef, Settled, Settlement};

use super::{Subject, accept, event};

const LEASE: Duration = Duration::from_secs(30);

fn kept(headers: &[(&str, &[u8])]) -> KeptHeaders {
    headers.iter().copied().collect()
}

fn with(id: &str, headers: &[(&str, &[u8])]) -> Event {
    Event { headers: kept(headers), ..event("a", id, "body") }
}

async fn ids(s: &Subject, header: &[(&str, &[u8])]) -> String {
    let filter = EventFilter { header: Some(kept(header)), ..EventFilter::default() };
    let found = s.store.archive.list(&filter).await.unwrap();
    found.iter().map(|archived| archived.event.id.as_str()).collect::<Vec<_>>().join(" ")
}

pub(super) async fn kept_headers_go_with_an_event_wherever_it_is_read(mut s: Subject) {
    let large = vec![b'v'; 4000];
    let all: &[(&str, &[u8])] = &[("x-a", b"1"), ("x-a", b""), ("x-raw", b"\xff: \xc3\xa9\t\x80"), ("x-large", &large)];
    accept(&s.store, with("1", all), &["x"]).await;
    accept(&s.store, with("2", &[]), &["x"]).await;
    s.reopen().await;
    let listed = s.store.archive.list(&EventFilter::default()).await.unwrap();
    let headers: Vec<_> = listed.iter().map(|archived| archived.event.headers.clone()).collect();
    assert_eq!(headers, [kept(&[]), kept(all)], "newest first");
    let of = EventRef { source: Some("a".into()), id: listed[1].event.id.clone() };
    assert_eq!(s.store.archive.get(&of).await.unwrap()[0].event.headers.iter().collect::<Vec<_>>(), all);
    let mut claimed = s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap();
    claimed.sort_by_key(|claimed| claimed.event.as_ref().unwrap().id.to_string());
    let headers: Vec<_> = claimed.iter().map(|claimed| claimed.event.as_ref().unwrap().headers.clone()).collect();
    assert_eq!(headers, [kept(all), kept(&[])]);
    let dead = Settled::Dead { error: "400".into() };
    let settlement = Settlement { id: claimed[0].id, lease: claimed[0].lease, outcome: dead };
    s.store.outbox.settle(vec![settlement]).await.unwrap();
    assert_eq!(super::maintenance::age(&s, 300).await, 0);
    let letters = s.store.dead_letters.list(&[], &gatepost::store::DeadLetterFilter::default(), true).await.unwrap();
    assert_eq!(letters[0].event.headers, kept(all), "also where it outlives its time");
}

pub(super) async fn a_listing_is_narrowed_down_to_a_kept_header(s: Subject) {
    accept(&s.store, with("1", &[("x-a", b"1"), ("x-b", b"\xff")]), &[]).await;
    accept(&s.store, with("2", &[("x-a", b"12"), ("x-b", b"1")]), &[]).await;
    accept(&s.store, with("3", &[("x-c", b""), ("x-a", b"1")]), &[]).await;
    accept(&s.store, with("4", &[]), &[]).await;
    assert_eq!(ids(&s, &[("x-a", b"1")]).await, "3 1");
    assert_eq!(ids(&s, &[("x-b", b"\xff")]).await, "1");
    assert_eq!(ids(&s, &[("x-c", b"")]).await, "3");
    assert_eq!(ids(&s, &[("x-a", b"")]).await, "");
    assert_eq!(ids(&s, &[("a", b"1")]).await, "");
    let both = EventFilter { header: Some(kept(&[("x-a", b"1")])), limit: Some(1), ..EventFilter::default() };
    assert_eq!(s.store.archive.list(&both).await.unwrap().len(), 1);
}

/// `previous` leaves a store as the program before kept headers did.
pub(super) async fn an_older_store_keeps_them_from_the_migration_on(mut s: Subject, previous: &str) {
    accept(&s.store, with("old", &[]), &["x"]).await;
    s.store.maintenance.close().await.unwrap();
    s.sql(previous).await;
    s.store = super::open_by(&s.settings, &s.clocks).await.unwrap();
    accept(&s.store, with("new", &[("x-a", b"1")]), &["x"]).await;
    let listed = s.store.archive.list(&EventFilter::default()).await.unwrap();
    let headers: Vec<_> = listed.iter().map(|archived| archived.event.headers.clone()).collect();
    assert_eq!(headers, [kept(&[("x-a", b"1")]), kept(&[])]);
    let claimed = s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap();
    let done = |claimed: &gatepost::store::Claimed| Settlement {
        id: claimed.id,
        lease: claimed.lease,
        outcome: Settled::Done { duplicate: false },
    };
    s.store.outbox.settle(claimed.iter().map(done).collect()).await.unwrap();
    let old = EventRef { source: Some("a".into()), id: listed[1].event.id.clone() };
    assert_eq!(s.store.archive.replay(&[old], None, &[]).await.unwrap(), 1);
    let again = s.store.outbox.claim(&"x".into(), 9, LEASE).await.unwrap();
    let event = again[0].event.as_ref().unwrap();
    assert_eq!((again.len(), event.id.as_str(), &event.headers), (1, "old", &kept(&[])));
}
