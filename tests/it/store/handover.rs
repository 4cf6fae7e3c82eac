//! What a store that hands over does with new deliveries.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use gatepost::store::{Handed, Handover, Pause, Settled, Settlement, Store};

use super::deliveries::{backlog, claim, named, settle};
use super::{Subject, accept, at, event};

const LEASE: Duration = Duration::from_secs(40);
const DONE: Settled = Settled::Done { duplicate: false };

/// A dispatcher of sink `x` with so much room.
fn dispatcher(store: &Store, room: usize) -> Arc<Handover> {
    let handover = Handover::new(LEASE);
    store.outbox.hand_over(&"x".into(), &handover);
    handover.offer(room);
    handover
}

/// What was handed over, which may come after the sender's answer.
async fn taken(handover: &Handover) -> Vec<Handed> {
    let mut taken = Vec::new();
    while handover.outstanding() > 0 {
        handover.arrived().await;
        taken.extend(handover.take());
    }
    taken
}

fn ids(handed: &[Handed]) -> Vec<&str> {
    handed.iter().map(|handed| handed.claimed.event.as_ref().unwrap().id.as_str()).collect()
}

pub(super) async fn what_has_room_is_handed_over_claimed_and_the_rest_waits(s: Subject) {
    let handover = dispatcher(&s.store, 1);
    let queued = s.store.outbox.queued();
    let notified = queued.notified();
    tokio::pin!(notified);
    notified.as_mut().enable();
    accept(&s.store, event("a", "1", "body of 1"), &["x"]).await;
    // PostgreSQL tells that it listens, some time after the start.
    if s.settings.url.starts_with("sqlite:") {
        assert!(notified.as_mut().now_or_never().is_none(), "nothing is to be claimed");
    }
    accept(&s.store, event("a", "2", "body of 2"), &["x"]).await;
    tokio::time::timeout(Duration::from_secs(10), notified).await.expect("the second has to be claimed");
    let handed = taken(&handover).await;
    assert_eq!(ids(&handed), ["1"]);
    let claimed = &handed[0].claimed;
    assert_eq!((claimed.attempts, claimed.replay, claimed.age), (0, 0, Duration::ZERO));
    let (there, whole) = (claimed.event.as_ref().unwrap(), event("a", "1", "body of 1"));
    assert_eq!(format!("{:?}", there.payload.bytes()), format!("{:?}", whole.payload.bytes()));
    assert_eq!((&there.headers, &there.request_id), (&whole.headers, &whole.request_id));
    assert_eq!(backlog(&s.store, "x").await.pending, 2);
    let other = claim(&s.store, "x").await;
    assert_eq!(other.len(), 1, "the first is claimed");
    settle(&s.store, &other[0], DONE).await;
    settle(&s.store, claimed, DONE).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 0);
    let shown = s.store.archive.get(&named("1")).await.unwrap().remove(0).deliveries.remove(0);
    assert_eq!(shown.attempts, 1);
}

pub(super) async fn what_was_handed_over_passes_on_with_its_lease(s: Subject) {
    let handover = dispatcher(&s.store, 9);
    for id in ["1", "2"] {
        accept(&s.store, event("a", id, "body"), &["x"]).await;
    }
    let handed = taken(&handover).await;
    assert_eq!(ids(&handed), ["1", "2"]);
    s.pass(20).await;
    assert!(claim(&s.store, "x").await.is_empty());
    s.pass(30).await;
    let again = claim(&s.store, "x").await;
    assert_eq!(again.len(), 2);
    settle(&s.store, &handed[0].claimed, DONE).await;
    assert_eq!(backlog(&s.store, "x").await.pending, 2, "it was claimed again");
    let release = |lease: &gatepost::store::Claimed| Settlement {
        id: lease.id,
        lease: lease.lease,
        outcome: Settled::Released { after: Duration::ZERO },
    };
    s.store.outbox.settle(again.iter().map(release).collect()).await.unwrap();
    assert_eq!(claim(&s.store, "x").await.len(), 2);
}

pub(super) async fn a_paused_sink_a_gone_dispatcher_and_a_large_body_get_nothing(s: Subject) {
    let handover = dispatcher(&s.store, 9);
    let pause = Pause { at: at(0), by: "operator".into(), reason: None };
    assert!(s.store.sink_controls.pause(&"x".into(), &pause).await.unwrap());
    accept(&s.store, event("a", "paused", "body"), &["x"]).await;
    assert_eq!(handover.outstanding(), 0);
    s.store.sink_controls.resume(&"x".into()).await.unwrap();
    accept(&s.store, event("a", "large", &"x".repeat(20_000)), &["x"]).await;
    accept(&s.store, event("a", "small", &"x".repeat(16_384)), &["x"]).await;
    assert_eq!(ids(&taken(&handover).await), ["small"]);
    drop(handover);
    accept(&s.store, event("a", "late", "body"), &["x"]).await;
    let mut waiting: Vec<String> =
        claim(&s.store, "x").await.into_iter().map(|claimed| claimed.event.unwrap().id.to_string()).collect();
    waiting.sort_unstable();
    assert_eq!(waiting, ["large", "late", "paused"]);
}

pub(super) async fn duplicates_and_other_sinks_take_no_place(s: Subject) {
    let handover = dispatcher(&s.store, 2);
    accept(&s.store, event("a", "1", "body"), &["y", "x", "x"]).await;
    for _ in 0..2 {
        let again = s.store.inbox.insert(event("a", "1", "body"), super::sinks(&["x"])).await.unwrap();
        assert_eq!(again, gatepost::store::Insertion::Duplicate);
    }
    accept(&s.store, event("a", "2", "body"), &["y"]).await;
    assert_eq!(ids(&taken(&handover).await), ["1"]);
    assert_eq!(claim(&s.store, "y").await.len(), 2);
    handover.offer(1);
    accept(&s.store, event("a", "3", "body"), &["x", "y"]).await;
    assert_eq!(ids(&taken(&handover).await), ["3"]);
    assert!(claim(&s.store, "x").await.is_empty());
}
