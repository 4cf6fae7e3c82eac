//! Nothing acknowledged is ever lost and nothing counts twice: kill -9 under load, and many senders of one event.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use rustls::ClientConfig;
use serde_json::Value;

use crate::support::wire::client_config;
use crate::support::{Conn, Request, Setup, Signer, event, eventually, unique};

const SENDERS: usize = 4;

/// Sends events one after the other until the connection breaks; gives those that were acknowledged.
fn send_until_cut(to: SocketAddr, config: Arc<ClientConfig>, stop: &AtomicBool) -> Vec<(String, Request)> {
    let mut acknowledged = Vec::new();
    let Ok(mut conn) = Conn::open(to, config) else { return acknowledged };
    while !stop.load(Ordering::Relaxed) {
        let id = unique();
        let request = Signer::of("nice").sign(event(&id));
        let Some(response) = conn.try_ask(&request) else { break };
        assert_eq!(response.status, 200, "{response:?}");
        acknowledged.push((id, request));
    }
    acknowledged
}

fn listed(setup: &Setup) -> Vec<String> {
    let output = setup.run(&["events", "list", "--json", "--limit", "1000000"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("one JSON array");
    rows.iter().map(|row| row["id"].as_str().or(row["event_id"].as_str()).expect("an id").to_owned()).collect()
}

/// Ids may be listed as the event's own or as `source:id`.
fn bare(id: &str) -> &str {
    id.strip_prefix("nice:").unwrap_or(id)
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let setup = Setup::new().preset("nice");
    let mut all: Vec<(String, Request)> = Vec::new();
    for round in 0..3 {
        let mut daemon = setup.start();
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                let (to, config, stop) = (daemon.webhook, client_config(&daemon.ca, &["http/1.1"]), Arc::clone(&stop));
                std::thread::spawn(move || send_until_cut(to, config, &stop))
            })
            .collect();
        eventually("load", || {
            let accepted = [("source", "nice"), ("outcome", "accepted")];
            (daemon.scrape().get("gatepost_requests_total", &accepted) >= 60.0).then_some(())
        });
        daemon.kill();
        stop.store(true, Ordering::Relaxed);
        let acknowledged = senders.into_iter().flat_map(|sender| sender.join().unwrap());
        all.extend(acknowledged);
        assert!(all.len() >= 50 * (round + 1), "only {} acknowledged", all.len());
        let daemon = setup.start();
        let mut conn = daemon.connect();
        for (id, request) in &all {
            let answer = conn.ask(request).json();
            assert_eq!(answer["duplicate"], true, "round {round}: {id} was acknowledged and is gone: {answer}");
        }
        let list = listed(&setup);
        let set: BTreeSet<&str> = list.iter().map(|id| bare(id)).collect();
        assert_eq!(set.len(), list.len(), "an event is listed twice");
        for (id, _) in &all {
            assert!(set.contains(id.as_str()), "round {round}: {id} was acknowledged and is not listed");
        }
    }
}

#[test]
fn many_senders_of_one_event_store_it_once() {
    let setup = Setup::new().preset("nice");
    let daemon = setup.start();
    for round in 0..10 {
        let request = Signer::of("nice").sign(event(&unique()));
        let barrier = Arc::new(Barrier::new(8));
        let senders: Vec<_> = (0..8)
            .map(|_| {
                let (barrier, request, mut conn) = (Arc::clone(&barrier), request.clone(), daemon.connect());
                std::thread::spawn(move || {
                    barrier.wait();
                    let response = conn.ask(&request);
                    assert_eq!(response.status, 200, "{response:?}");
                    response.json()["duplicate"] == false
                })
            })
            .collect();
        let firsts = senders.into_iter().map(|sender| sender.join().unwrap()).filter(|first| *first).count();
        assert_eq!(firsts, 1, "round {round}: exactly one of eight is the first");
    }
    assert_eq!(listed(&setup).len(), 10);
}

#[test]
fn of_many_bodies_for_one_id_one_is_kept() {
    let daemon = Setup::new().preset("nice").start();
    for _ in 0..5 {
        let id = unique();
        let barrier = Arc::new(Barrier::new(6));
        let senders: Vec<_> = (0..6)
            .map(|n| {
                let body = format!("{{\"eventId\":\"{id}\",\"n\":{n}}}");
                let (barrier, request, mut conn) =
                    (Arc::clone(&barrier), Signer::of("nice").sign(body), daemon.connect());
                std::thread::spawn(move || {
                    barrier.wait();
                    let answer = conn.ask(&request).json();
                    (request, answer)
                })
            })
            .collect();
        let answers: Vec<(Request, Value)> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        let (kept, aside): (Vec<_>, Vec<_>) = answers.iter().partition(|(_, answer)| answer["status"] == "accepted");
        assert_eq!((kept.len(), aside.len()), (1, 5), "{answers:?}");
        assert!(aside.iter().all(|(_, answer)| answer["status"] == "quarantined"), "{answers:?}");
        assert_eq!(daemon.send(&kept[0].0).json()["duplicate"], true, "the first body stays the one");
    }
}
