//! Sinks and the SIEM across reloads: added, removed, changed, rotated; nothing lost and nothing twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::sink_upstream::{Received, Reply, Upstream};
use crate::support::{Daemon, Setup, Signer, accepted, event, eventually, sign, unique};

fn ok() -> Upstream {
    Upstream::start(|_, _| Reply::status(200))
}

fn sink(name: &str, url: &str, rest: &str) -> String {
    format!("[[sink]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{url}\"\n{rest}\n")
}

/// Sends one event; gives its id.
fn send(daemon: &Daemon) -> String {
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    id
}

fn ids(upstream: &Upstream) -> Vec<String> {
    upstream
        .seen()
        .iter()
        .map(|request| request.header("ce-id").unwrap().trim_start_matches("nice:").to_owned())
        .collect()
}

#[track_caller]
fn arrives(upstream: &Upstream, id: &str) {
    eventually("the delivery", || ids(upstream).iter().any(|seen| seen == id).then_some(()));
}

/// Whether `request` is signed with `secret` as Standard Webhooks says, by other code than the program's.
fn is_signed(request: &Received, secret: &str) -> bool {
    let header = |name: &str| request.header(name).unwrap();
    let content =
        [header("webhook-id").as_bytes(), b".", header("webhook-timestamp").as_bytes(), b".", &request.body].concat();
    let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    header("webhook-signature") == format!("v1,{}", STANDARD.encode(sign::mac(&key, &content)))
}

#[test]
fn a_sink_that_is_added_gets_what_comes_from_then_on() {
    let (first, second) = (ok(), ok());
    let setup = Setup::new().preset("nice").block(&sink("first", &first.url(), ""));
    let daemon = setup.start();
    let before = send(&daemon);
    arrives(&first, &before);
    let setup = setup.block(&sink("second", &second.url(), ""));
    assert_eq!(daemon.reload(&setup), "sink second added; source nice changed");
    let after = send(&daemon);
    arrives(&first, &after);
    arrives(&second, &after);
    assert_eq!(ids(&second), [after]);
    daemon.scrape().get("gatepost_delivery_backlog", &[("sink", "second")]);
}

#[test]
fn a_secret_that_is_rotated_signs_what_comes_next() {
    let (old, new) = ("whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQ=", "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXc=");
    let upstream = ok();
    let setup = Setup::new().preset("nice");
    let file = setup.write("signing", old);
    let setup = setup.block(&sink("orders", &upstream.url(), &format!("secret = {{ file = {file} }}")));
    let daemon = setup.start();
    let id = send(&daemon);
    arrives(&upstream, &id);
    assert!(is_signed(&upstream.seen()[0], old));
    setup.write("signing", new);
    assert_eq!(daemon.reload(&setup), "secrets of sink orders changed");
    let id = send(&daemon);
    arrives(&upstream, &id);
    let last = upstream.seen().pop().unwrap();
    assert!(is_signed(&last, new) && !is_signed(&last, old));
    for secret in [old, new] {
        assert!(!daemon.out().contains(secret), "a secret was logged");
    }
}

#[test]
fn a_sink_that_is_removed_stops_and_keeps_what_waits() {
    let up = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&up);
    let down = Upstream::start(move |_, _| Reply::status(if open.load(Ordering::SeqCst) { 200 } else { 503 }));
    let other = ok();
    let block = sink("down", &down.url(), "");
    let setup = Setup::new().preset("nice").block(&sink("other", &other.url(), "")).block(&block);
    let daemon = setup.start();
    let waiting = send(&daemon);
    eventually("an attempt", || (down.count() > 0).then_some(()));
    let setup = setup.without_block("name = \"down\"");
    assert_eq!(daemon.reload(&setup), "source nice changed; sink down removed");
    let left = |record: &Value| record["sink"] == "down" && record["pending"] == 1;
    eventually("what is left behind is said", || daemon.logs().into_iter().find(left));
    let attempts = down.count();
    let after = send(&daemon);
    arrives(&other, &after);
    up.store(true, Ordering::SeqCst);
    // Longer than the waits of the first attempts.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(down.count(), attempts, "a sink that is gone was called");
    // Configured again, it gets what waited, and nothing that was accepted while it was gone.
    daemon.reload(&setup.block(&block));
    arrives(&down, &waiting);
    let last = send(&daemon);
    arrives(&down, &last);
    assert!(!ids(&down).contains(&after));
    assert_eq!(ids(&down).iter().filter(|id| **id == last).count(), 1);
}

#[test]
fn the_series_of_a_sink_go_with_it_when_nothing_waits() {
    let upstream = ok();
    let setup = Setup::new().preset("nice").block(&sink("gone", &upstream.url(), ""));
    let daemon = setup.start();
    let id = send(&daemon);
    arrives(&upstream, &id);
    let there = || daemon.scrape().names().any(|name| name.contains("sink=\"gone\""));
    assert!(there());
    eventually("it is settled", || {
        (daemon.scrape().count("gatepost_deliveries_total", &[("sink", "gone"), ("outcome", "delivered")]) == 1)
            .then_some(())
    });
    daemon.reload(&setup.without_block("[[sink]]"));
    eventually("no series", || (!there()).then_some(()));
}

#[test]
fn another_url_gets_what_waits_and_what_comes() {
    let down = Upstream::start(|_, _| Reply::status(503));
    let up = ok();
    let setup = Setup::new().preset("nice").block(&sink("orders", &down.url(), ""));
    let daemon = setup.start();
    let waiting = send(&daemon);
    eventually("an attempt", || (down.count() > 0).then_some(()));
    assert_eq!(daemon.reload(&setup.replace(&down.url(), &up.url())), "sink orders changed");
    let after = send(&daemon);
    arrives(&up, &after);
    arrives(&up, &waiting);
    let attempts = down.count();
    assert_eq!(ids(&up).len(), 2);
    assert_eq!(down.count(), attempts);
}

#[test]
fn a_sink_that_hangs_holds_up_neither_the_reload_nor_its_own_mending() {
    let hangs = Upstream::start(|_, _| Reply::Stall);
    let up = ok();
    let setup = Setup::new().preset("nice").block(&sink("orders", &hangs.url(), "timeout = \"10m\""));
    let mut daemon = setup.start();
    send(&daemon);
    eventually("an attempt", || (hangs.count() > 0).then_some(()));
    let setup = setup.replace(&hangs.url(), &up.url()).set("limits", "body_bytes", "2000");
    daemon.reload(&setup);
    let large = format!("{{\"eventId\":\"{}\",\"x\":\"{}\"}}", unique(), "x".repeat(3000));
    assert_eq!(daemon.send(&Signer::of("nice").sign(large)).status, 413, "the sources are exchanged at once");
    let after = send(&daemon);
    arrives(&up, &after);
    assert_eq!(hangs.count(), 1);
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::TERM);
    daemon.ended();
}

#[test]
fn more_at_once_follows() {
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, seen) = (Arc::clone(&at_once), Arc::clone(&most));
    let upstream = Upstream::start(move |_, _| {
        let others = now.fetch_add(1, Ordering::SeqCst);
        seen.fetch_max(others + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::status(200)
    });
    let setup = Setup::new().preset("nice").block(&sink("orders", &upstream.url(), "concurrency = 1"));
    let daemon = setup.start();
    let deliver = |count: usize| {
        let before = upstream.count();
        (0..count).for_each(|_| drop(send(&daemon)));
        eventually("all deliveries", || (upstream.count() >= before + count).then_some(()));
    };
    deliver(10);
    assert_eq!(most.load(Ordering::SeqCst), 1);
    daemon.reload(&setup.replace("concurrency = 1", "concurrency = 8"));
    deliver(30);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}

#[test]
fn reloads_under_load_lose_nothing_and_double_nothing() {
    let upstream = Upstream::start(|_, _| {
        std::thread::sleep(Duration::from_millis(20));
        Reply::status(200)
    });
    let setup = Setup::new().preset("nice").block(&sink("orders", &upstream.url(), "concurrency = 4"));
    let daemon = setup.start();
    let (done, mut rounds) = (AtomicBool::new(false), 0);
    let mut setup = setup;
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let sent: Vec<String> = (0..400).map(|_| send(&daemon)).collect();
            done.store(true, Ordering::SeqCst);
            sent
        });
        // The sink changes each time: its concurrency, then its URL.
        while !done.load(Ordering::SeqCst) {
            let url = upstream.url();
            setup = match rounds % 4 {
                0 => setup.replace("concurrency = 4", "concurrency = 5"),
                1 => setup.replace(&url, &format!("{url}?again")),
                2 => setup.replace("concurrency = 5", "concurrency = 4"),
                _ => setup.replace(&format!("{url}?again"), &url),
            };
            assert_eq!(daemon.reload(&setup), "sink orders changed");
            rounds += 1;
        }
        sender.join().unwrap()
    });
    assert!(rounds >= 5, "{rounds} reloads");
    eventually("every event", || (upstream.count() >= sent.len()).then_some(()));
    // A second delivery of one of them would come with the end of its lease; one by mistake at once.
    std::thread::sleep(Duration::from_secs(2));
    let mut counts = HashMap::new();
    for id in ids(&upstream) {
        *counts.entry(id).or_insert(0) += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?} of {rounds} reloads");
    assert!(sent.iter().all(|id| counts.contains_key(id)), "something is lost");
}

fn records(upstream: &Upstream) -> usize {
    let batches = upstream.seen().into_iter();
    batches.map(|request| serde_json::from_slice::<Vec<Value>>(&request.body).unwrap().len()).sum()
}

#[test]
fn the_siem_comes_changes_its_token_and_goes() {
    let (first, second) = (ok(), ok());
    let setup = Setup::new().preset("nice");
    let token = setup.write("siem-token", "the-first-siem-token");
    let daemon = setup.start();
    send(&daemon);
    let setup = setup.set("siem", "url", &format!("\"{}\"", first.url()));
    let setup = setup.set("siem", "token", &format!("{{ file = {token} }}"));
    assert_eq!(daemon.reload(&setup), "[siem] added");
    (0..5).for_each(|_| drop(send(&daemon)));
    eventually("five records", || (records(&first) == 5).then_some(()));
    assert!(first.seen().iter().all(|batch| batch.header("authorization") == Some("Bearer the-first-siem-token")));

    setup.write("siem-token", "the-second-siem-token");
    assert_eq!(daemon.reload(&setup), "secrets of [siem] changed");
    let before = first.count();
    send(&daemon);
    eventually("one more", || (records(&first) == 6).then_some(()));
    assert_eq!(first.seen()[before].header("authorization"), Some("Bearer the-second-siem-token"));

    let setup = setup.set("siem", "url", &format!("\"{}\"", second.url()));
    assert_eq!(daemon.reload(&setup), "[siem] changed");
    send(&daemon);
    eventually("at the other one", || (records(&second) == 1).then_some(()));
    let setup = setup.without_section("siem");
    assert_eq!(daemon.reload(&setup), "[siem] removed");
    send(&daemon);
    // Longer than records wait for each other.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((records(&first), records(&second)), (6, 1));
    for token in ["first-siem-token", "second-siem-token"] {
        assert!(!daemon.out().contains(token), "a token was logged");
    }
}
