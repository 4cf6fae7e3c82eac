//! Three processes on one PostgreSQL are one receiver: the same events sent to all of them at once count once, are
//! delivered once, and survive the loss of one process in the middle of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::replicas::rig::{Told, arrivals, database, events, listed, sender, setup, sink};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::wire::client_config;
use crate::support::{Daemon, Setup, eventually};

const REPLICAS: usize = 3;
/// Connections to each of them.
const SENDERS: usize = 2;
const EVENTS: usize = 5000;
/// A dead process's claims pass on within the sink's timeout (5 s) plus 30 s; and time to see it.
const HANDOVER: Duration = Duration::from_secs(50);

#[test]
fn three_replicas_accept_once_deliver_once_and_outlive_one_of_them() {
    let (_server, url) = database();
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&url).block(&sink(&upstream));
    let mut daemons: Vec<Daemon> = (0..REPLICAS).map(|_| setup.start()).collect();
    let undisturbed = every_event_counts_once(&daemons, &setup);
    each_is_delivered_once(&daemons, &upstream, &undisturbed);
    let all = one_dies_and_the_others_serve_on(&mut daemons, &setup, undisturbed);
    what_it_had_claimed_is_delivered(&upstream, &all);
}

fn every_event_counts_once(daemons: &[Daemon], setup: &Setup) -> BTreeSet<String> {
    let (events, told) = (events(EVENTS), Arc::new(Told::default()));
    let senders: Vec<_> = daemons
        .iter()
        .flat_map(|daemon| (0..SENDERS).map(move |n| (daemon, n)))
        .map(|(daemon, n)| {
            sender(daemon.webhook, client_config(&daemon.ca, &["http/1.1"]), &events, (n, SENDERS), &told)
        })
        .collect();
    let sent: usize = senders.into_iter().map(|sender| sender.join().unwrap()).sum();
    assert_eq!(sent, EVENTS * REPLICAS);
    told.assert_none_twice();
    assert_eq!(told.count_of(1, REPLICAS - 1), EVENTS, "each is new to one replica and known to the others");
    let accepted = |daemon: &Daemon| {
        daemon.scrape().count("gatepost_requests_total", &[("source", "nice"), ("outcome", "accepted")])
    };
    let shares: Vec<i64> = daemons.iter().map(accepted).collect();
    assert_eq!(shares.iter().sum::<i64>(), i64::try_from(EVENTS).unwrap(), "{shares:?}");
    let listed = listed(setup);
    assert_eq!(listed, events.iter().map(|(id, _)| id.clone()).collect());
    listed
}

fn each_is_delivered_once(daemons: &[Daemon], upstream: &Upstream, ids: &BTreeSet<String>) {
    eventually("every delivery", || (arrivals(upstream).len() == ids.len()).then_some(()));
    eventually("an empty backlog", || {
        let backlog = daemons[0].scrape().count("gatepost_delivery_backlog", &[("sink", "orders")]);
        (backlog == 0).then_some(())
    });
    let arrivals = arrivals(upstream);
    assert!(arrivals.keys().all(|id| ids.contains(id)), "something else was delivered");
    let repeated: Vec<_> = arrivals.iter().filter(|(_, times)| **times != 1).collect();
    assert!(repeated.is_empty(), "delivered more than once without a fault: {repeated:?}");
    let ours = |daemon: &Daemon| {
        let outcome = [("sink", "orders"), ("outcome", "delivered")];
        daemon.scrape().count("gatepost_deliveries_total", &outcome)
    };
    let shares: Vec<i64> = daemons.iter().map(ours).collect();
    assert_eq!(usize::try_from(shares.iter().sum::<i64>()).unwrap(), ids.len(), "{shares:?}");
}

fn one_dies_and_the_others_serve_on(
    daemons: &mut Vec<Daemon>,
    setup: &Setup,
    before: BTreeSet<String>,
) -> BTreeSet<String> {
    let (events, told) = (events(EVENTS), Arc::new(Told::default()));
    let mut victim = daemons.pop().unwrap();
    let start = |daemon: &Daemon, n| {
        sender(daemon.webhook, client_config(&daemon.ca, &["http/1.1"]), &events, (n, SENDERS), &told)
    };
    let doomed: Vec<_> = (0..SENDERS).map(|n| start(&victim, n)).collect();
    let others: Vec<_> = daemons.iter().flat_map(|daemon| (0..SENDERS).map(|n| start(daemon, n))).collect();
    eventually("load", || (told.count.load(Ordering::SeqCst) >= EVENTS / 4).then_some(()));
    victim.kill();
    let cut: usize = doomed.into_iter().map(|sender| sender.join().unwrap()).sum();
    assert!(cut < EVENTS, "killed too late");
    let served: usize = others.into_iter().map(|sender| sender.join().unwrap()).sum();
    assert_eq!(served, EVENTS * (REPLICAS - 1), "the others answer every one of theirs");
    told.assert_none_twice();
    let listed = listed(setup);
    for id in told.acknowledged.lock().unwrap().keys() {
        assert!(listed.contains(id), "{id} was acknowledged and is gone");
    }
    let expected: BTreeSet<String> = before.into_iter().chain(events.iter().map(|(id, _)| id.clone())).collect();
    assert_eq!(listed, expected);
    listed
}

fn what_it_had_claimed_is_delivered(upstream: &Upstream, ids: &BTreeSet<String>) {
    let begun = Instant::now();
    while arrivals(upstream).len() < ids.len() {
        let missing = ids.len() - arrivals(upstream).len();
        assert!(begun.elapsed() < HANDOVER, "{missing} deliveries are still with the dead one");
        std::thread::sleep(Duration::from_millis(50));
    }
}
