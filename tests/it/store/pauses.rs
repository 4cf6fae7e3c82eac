//! What every store does with a sink that operators have paused, or given another rate.

use std::time::Duration;

use gatepost::store::{Pause, RateOverride, SinkControl, Store};

use super::deliveries::{backlog, claim, dead, retry, settle};
use super::{Subject, accept, assert_seconds, at, event};

fn pause(by: &str) -> Pause {
    Pause { at: at(5), by: by.into(), reason: Some("the other side moves".into()) }
}

async fn next_due(store: &Store, sink: &str) -> Option<Duration> {
    store.outbox.next_due(&sink.into()).await.unwrap()
}

pub(super) async fn a_paused_sink_keeps_what_it_has_and_hands_nothing_out(s: Subject) {
    let (store, controls) = (&s.store, &s.store.sink_controls);
    for id in ["1", "2"] {
        accept(store, event("a", id, "body"), &["x", "y"]).await;
    }
    let under_way = store.outbox.claim(&"x".into(), 1, Duration::from_secs(40)).await.unwrap();
    assert!(controls.pause(&"x".into(), &pause("ann")).await.unwrap());
    assert!(!controls.pause(&"x".into(), &pause("bob")).await.unwrap(), "it is paused already");
    assert_eq!(store.outbox.control(&"x".into()).await.unwrap().paused, Some(pause("ann")));
    assert_eq!(store.outbox.control(&"y".into()).await.unwrap(), SinkControl::default());
    assert_eq!((claim(store, "x").await.len(), next_due(store, "x").await), (0, None));
    assert_eq!((claim(store, "y").await.len(), backlog(store, "x").await.pending), (2, 2));

    // What is under way is settled, and what comes meanwhile waits too.
    settle(store, &under_way[0], retry(0)).await;
    accept(store, event("a", "3", "body"), &["x"]).await;
    s.pass(7300).await;
    assert_eq!((claim(store, "x").await.len(), backlog(store, "x").await.pending), (0, 3));
    assert_eq!(controls.resume(&"y".into()).await.unwrap(), None);
    let queued = store.outbox.queued();
    let told = queued.notified();
    assert_eq!(controls.resume(&"x".into()).await.unwrap(), Some(pause("ann")));
    told.await;
    assert_eq!(controls.resume(&"x".into()).await.unwrap(), None);
    assert_eq!(next_due(store, "x").await, Some(Duration::ZERO));
    assert_eq!(claim(store, "x").await.len(), 3);
}

pub(super) async fn the_time_of_a_pause_counts_towards_no_age(s: Subject) {
    let (store, controls) = (&s.store, &s.store.sink_controls);
    accept(store, event("a", "before", "body"), &["x"]).await;
    s.pass(1000).await;
    controls.pause(&"x".into(), &pause("ann")).await.unwrap();
    s.pass(5000).await;
    accept(store, event("a", "during", "body"), &["x"]).await;
    s.pass(3000).await;
    let waiting = backlog(store, "x").await;
    assert_seconds(waiting.oldest_age.unwrap(), 9000);
    assert_seconds(waiting.oldest_counted_age.unwrap(), 1000);
    controls.resume(&"x".into()).await.unwrap();
    s.pass(200).await;
    // A second pause, over at once, takes nothing of the first away.
    controls.pause(&"x".into(), &pause("ann")).await.unwrap();
    controls.resume(&"x".into()).await.unwrap();
    let claimed = claim(store, "x").await;
    assert_seconds(claimed[0].age, 1200);
    assert_seconds(claimed[1].age, 200);
    settle(store, &claimed[0], dead("400")).await;
    settle(store, &claimed[1], retry(0)).await;
    assert_seconds(backlog(store, "x").await.oldest_counted_age.unwrap(), 200);
    assert_seconds(claim(store, "x").await[0].age, 200);
}

pub(super) async fn what_was_decided_about_a_sink_outlives_a_restart(mut s: Subject) {
    let rate = |rate: &str| RateOverride { rate: rate.into(), at: at(7), by: "bob".into() };
    s.store.sink_controls.pause(&"x".into(), &pause("ann")).await.unwrap();
    for text in ["100/s", "5/m"] {
        s.store.sink_controls.set_rate(&"y".into(), Some(&rate(text))).await.unwrap();
    }
    s.reopen().await;
    accept(&s.store, event("a", "1", "body"), &["x"]).await;
    assert_eq!(claim(&s.store, "x").await.len(), 0);
    let all = s.store.sink_controls.all().await.unwrap();
    let paused = SinkControl { paused: Some(pause("ann")), rate: None };
    let slowed = SinkControl { paused: None, rate: Some(rate("5/m")) };
    assert_eq!(all, [("x".into(), paused), ("y".into(), slowed.clone())]);
    assert_eq!(s.store.outbox.control(&"y".into()).await.unwrap(), slowed);
    s.store.sink_controls.set_rate(&"y".into(), None).await.unwrap();
    s.store.sink_controls.set_rate(&"z".into(), None).await.unwrap();
    assert_eq!(s.store.sink_controls.all().await.unwrap().len(), 1);
}
