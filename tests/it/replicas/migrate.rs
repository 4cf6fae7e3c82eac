//! `store migrate-from`: an installation outgrows its one process and keeps every id, delivery and refused request.

use serde_json::{Value, json};

use crate::replicas::rig::{arrivals, database, listed, sink};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Setup, Signer, event, eventually, unique};

const EVENTS: usize = 300;

fn words(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn an_installation_moves_to_postgres_without_losing_ids() {
    let (_server, url) = database();
    // Nothing is delivered before the move: what was still to be done must come along.
    let down = Upstream::start(|_, _| Reply::status(503));
    let old = Setup::new().preset("nice").block(&sink(&down));
    let path = old.path("gatepost.db").display().to_string();
    let from = format!("sqlite:{path}");
    let requests: Vec<_> = (0..EVENTS)
        .map(|_| {
            let id = unique();
            let request = Signer::of("nice").sign(event(&id));
            (id, request)
        })
        .collect();
    {
        let daemon = old.start();
        let mut conn = daemon.connect();
        for (id, request) in &requests {
            assert_eq!(conn.ask(request).json()["duplicate"], false, "{id}");
        }
        let body = format!("{{\"eventId\":\"{}\",\"other\":1}}", requests[0].0);
        assert_eq!(conn.ask(&Signer::of("nice").sign(body)).json()["status"], "quarantined");
        let early = Setup::new().preset("nice").set("store", "url", &format!("\"{url}\""));
        let refused = early.run(&["store", "migrate-from", &from]);
        assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
        assert!(words(&refused).contains("a daemon runs on"), "{}", words(&refused));
        daemon.signal(rustix::process::Signal::TERM);
        let mut daemon = daemon;
        assert_eq!(daemon.ended().code(), Some(0));
    }

    let refused = old.run(&["store", "migrate-from", &from]);
    assert_eq!(refused.status.code(), Some(64), "{}", words(&refused));
    assert!(words(&refused).contains("store.url"), "{}", words(&refused));

    let up = Upstream::start(|_, _| Reply::status(200));
    let new = Setup::new().preset("nice").block(&sink(&up)).set("store", "url", &format!("\"{url}\""));
    let missing = new.run(&["store", "migrate-from", "sqlite:nowhere/gatepost.db"]);
    assert_eq!(missing.status.code(), Some(64), "{}", words(&missing));
    assert!(words(&missing).contains("nowhere/gatepost.db"), "{}", words(&missing));

    let report = |arguments: &[&str]| -> Value {
        let output = new.run(arguments);
        assert!(output.status.success(), "{}", words(&output));
        serde_json::from_slice(&output.stdout).expect("JSON on stdout and nothing else")
    };
    let first = report(&["store", "migrate-from", &from, "--json"]);
    assert_eq!(first, json!([{ "events": EVENTS, "known": 0, "quarantined": 1, "audit": 0 }]));
    let again = report(&["store", "migrate-from", &from, "--json"]);
    assert_eq!(again, json!([{ "events": 0, "known": EVENTS, "quarantined": 0, "audit": 0 }]));
    let shown = new.run(&["store", "migrate-from", &from]);
    assert!(shown.status.success() && words(&shown).contains("events there already"), "{}", words(&shown));

    let listed = listed(&new);
    assert!(requests.iter().all(|(id, _)| listed.contains(id)) && listed.len() == EVENTS);
    assert_eq!(report(&["quarantine", "list", "--json"]).as_array().unwrap().len(), 1);
    let daemon = new.start();
    let mut conn = daemon.connect();
    for (id, request) in &requests {
        assert_eq!(conn.ask(request).json()["duplicate"], true, "{id} is no longer known");
    }
    let other = [("sink", "orders")];
    eventually("what was still to be delivered", || (arrivals(&up).len() == EVENTS).then_some(()));
    eventually("an empty backlog", || (daemon.scrape().count("gatepost_delivery_backlog", &other) == 0).then_some(()));
    assert!(arrivals(&up).values().all(|times| *times == 1), "delivered twice");
}

#[test]
fn what_operators_decided_moves_along() {
    let (_server, url) = database();
    let (down, up) = (Upstream::start(|_, _| Reply::status(503)), Upstream::start(|_, _| Reply::status(200)));
    let old = Setup::new().preset("nice").block(&sink(&down));
    let [erased, kept] = [unique(), unique()];
    let request = |id: &str| Signer::of("nice").sign(event(id));
    {
        let mut daemon = old.start();
        for id in [&erased, &kept] {
            assert_eq!(daemon.send(&request(id)).json()["duplicate"], false);
        }
        daemon.signal(rustix::process::Signal::TERM);
        assert_eq!(daemon.ended().code(), Some(0));
    }
    let by = ["--operator", "ann"];
    for command in
        [&["events", "erase", &erased][..], &["sinks", "pause", "orders"], &["sinks", "rate", "orders", "9/s"]]
    {
        let output = old.run(&[command, &by].concat());
        assert!(output.status.success(), "{}", words(&output));
    }
    let from = format!("sqlite:{}", old.path("gatepost.db").display());
    let new = Setup::new().preset("nice").block(&sink(&up)).set("store", "url", &format!("\"{url}\""));
    let report = |arguments: &[&str]| -> Value {
        let output = new.run(arguments);
        assert!(output.status.success(), "{}", words(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for _ in 0..2 {
        report(&["store", "migrate-from", &from, "--json"]);
    }
    let listed = report(&["sinks", "list", "--json"]);
    assert_eq!((&listed[0]["paused"]["by"], &listed[0]["rate_override"]["rate"]), (&json!("ann"), &json!("9/s")));
    assert_eq!(report(&["events", "show", &erased, "--json"])["erased"]["by"], "ann");
    let daemon = new.start();
    assert_eq!(daemon.send(&request(&erased)).json()["duplicate"], true);
    assert_eq!(up.count(), 0);
    let output = new.run(&[&["sinks", "resume", "orders"][..], &by].concat());
    assert!(output.status.success(), "{}", words(&output));
    eventually("what was still to be delivered", || arrivals(&up).contains_key(&kept).then_some(()));
    assert_eq!(arrivals(&up).len(), 1, "what was erased is not");
}
