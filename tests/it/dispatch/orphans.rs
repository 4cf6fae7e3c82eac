//! Sinks that are gone from the configuration and still have deliveries: named, counted, and moved by an operator.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::sink_upstream::{Reply, Upstream, nowhere};
use crate::support::{self, Setup, Signer, unique};

/// Sends events that the sink `forward` never gets, then takes that sink out of the configuration and puts in `new`,
/// which leads to the upstream.
fn renamed(events: usize) -> (Setup, Upstream, Vec<String>) {
    let setup = Setup::new().preset("nice").env("GATEPOST_FORWARD_URL", &format!("http://{}/", nowhere()));
    let mut daemon = setup.start();
    let ids: Vec<String> = (0..events).map(|_| unique()).collect();
    for id in &ids {
        assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(id))).status, 200);
    }
    support::eventually("a failed attempt at each", || {
        let failed = daemon.logs().iter().filter(|record| record["message"] == "delivery failed, again later").count();
        (failed >= events).then_some(())
    });
    // Ended as it should be: nothing stays claimed.
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let sink = format!("[[sink]]\nname = \"new\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    (setup.without_env("GATEPOST_FORWARD_URL").block(&sink), upstream, ids)
}

/// What a command prints to stdout, and to stderr; it must succeed.
#[track_caller]
fn said(setup: &Setup, arguments: &[&str]) -> (String, String) {
    let output = setup.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{err}");
    (out, err)
}

/// The same of one that could not do all it was asked for.
#[track_caller]
fn left(setup: &Setup, arguments: &[&str]) -> (String, String) {
    let output = setup.run(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {out}{err}");
    (out, err)
}

#[test]
fn what_a_renamed_sink_left_is_told_and_moves_to_another() {
    let (setup, upstream, ids) = renamed(3);
    let told = "sink forward is not in the configuration and still has 3 pending deliveries and 0 dead letters";
    let (_, err) = said(&setup, &["check"]);
    assert!(err.contains(told) && err.contains("--to-sink"), "{err}");
    let daemon = setup.start();
    let warning = support::eventually("a warning at the start", || {
        daemon.logs().into_iter().find(|record| record["sink"] == "forward" && record["level"] == "WARN")
    });
    assert!(warning["message"].as_str().unwrap().contains(told), "{warning}");
    assert_eq!((&warning["pending"], &warning["dead"]), (&3.into(), &0.into()));
    let backlog = |count: i64| {
        support::eventually("its series", || {
            let (scrape, of) = (daemon.scrape(), [("sink", "forward")]);
            if count == 0 {
                return (!scrape.names().any(|series| series.contains("forward"))).then_some(());
            }
            let found = ["gatepost_delivery_backlog", "gatepost_dead_letters"].map(|name| scrape.count(name, &of));
            let has_age = scrape.get("gatepost_delivery_oldest_age_seconds", &of) > 0.0;
            (found == [count, 0] && has_age).then_some(())
        });
    };
    backlog(3);

    let (out, err) = said(&setup, &["dead", "list", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), Value::Array(Vec::new()));
    assert!(err.contains("--sink forward"), "{err}");
    let (out, _) = said(&setup, &["dead", "list", "--sink", "forward", "--json"]);
    let listed: Vec<Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(listed.len(), 3, "{out}");
    assert!(listed.iter().all(|letter| letter["state"] == "pending" && letter["died_at"].is_null()), "{out}");

    let (_, err) = said(&setup, &["events", "replay", &ids[0]]);
    assert!(err.contains("forward"), "nothing is queued for nobody: {err}");
    let (out, _) = said(&setup, &["events", "replay", &ids[0], "--sink", "new"]);
    assert!(out.contains('1'), "{out}");
    backlog(2);
    let (out, _) = said(&setup, &["dead", "replay", "--sink", "forward", "--to-sink", "new"]);
    assert!(out.contains("replayed 2"), "{out}");
    backlog(0);
    support::eventually("all three", || (upstream.count() == 3).then_some(()));
    let mut arrived: Vec<_> = upstream.seen().iter().map(|seen| seen.header("ce-id").unwrap().to_owned()).collect();
    arrived.sort_unstable();
    let mut sent: Vec<_> = ids.iter().map(|id| format!("nice:{id}")).collect();
    sent.sort_unstable();
    assert_eq!(arrived, sent);
    drop(daemon);
    assert!(!said(&setup, &["check"]).1.contains("forward"));
}

#[test]
fn what_a_removed_sink_left_can_be_given_up_or_wait_for_its_return() {
    let (setup, upstream, ids) = renamed(2);
    let first = format!("nice:{}", ids[0]);
    let (out, _) = said(&setup, &["dead", "discard", "--sink", "forward", &first]);
    assert!(out.contains("discarded 1"), "{out}");
    let unknown = setup.run(&["dead", "replay", "--sink", "forward", "--to-sink", "nobody"]);
    assert_eq!(unknown.status.code(), Some(64));
    let (out, err) = left(&setup, &["dead", "replay", "--sink", "forward"]);
    assert!(out.contains("replayed 0") && err.contains("nobody delivers there"), "{out}{err}");
    let _daemon = setup.env("GATEPOST_FORWARD_URL", &upstream.url()).start();
    support::eventually("the other one, once its sink is back", || (upstream.count() == 1).then_some(()));
    assert_eq!(upstream.seen()[0].header("ce-id").unwrap(), format!("nice:{}", ids[1]));
}

/// Dead letters of a sink that is there and of one that is not.
#[test]
fn nothing_is_replayed_to_nobody() {
    let refusing = Upstream::start(|_, _| Reply::status(400));
    let sink = |name: &str| format!("[[sink]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{}\"\n", refusing.url());
    let setup = Setup::new().preset("nice").block(&sink("stays")).block(&sink("leaves"));
    let mut daemon = setup.start();
    let id = unique();
    assert_eq!(daemon.send(&Signer::of("nice").sign(support::event(&id))).status, 200);
    let dead =
        |setup: &Setup| -> Vec<Value> { serde_json::from_str(&said(setup, &["dead", "list", "--json"]).0).unwrap() };
    support::eventually("both deliveries are dead", || (dead(&setup).len() == 2).then_some(()));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());

    let setup = setup.without_block("leaves");
    let number = dead(&setup).iter().find(|letter| letter["sink"] == "leaves").unwrap()["id"].to_string();
    for arguments in [&["--sink", "leaves"][..], &["--sink", "leaves", "--all"], &[&number]] {
        let (out, err) = left(&setup, &[&["dead", "replay"], arguments].concat());
        assert!(
            out.contains("replayed 0") && err.contains("--sink leaves --to-sink NAME"),
            "{arguments:?}: {out}{err}"
        );
        assert_eq!(dead(&setup).len(), 2, "{arguments:?}");
    }
    // What somebody delivers is not held up by what nobody does.
    let (out, err) = left(&setup, &["dead", "replay", "--all"]);
    assert!(out.contains("replayed 1") && err.contains("--sink leaves --to-sink NAME"), "{out}{err}");
    let rest = dead(&setup);
    assert_eq!((rest.len(), &rest[0]["sink"]), (1, &Value::from("leaves")));
    // Of both, by the event; the other one is queued already.
    let (out, _) = left(&setup, &["dead", "replay", &id]);
    assert!(out.contains("replayed 0"), "{out}");
    let (out, _) = said(&setup, &["dead", "replay", &id, "--to-sink", "stays"]);
    assert!(out.contains("replayed 1"), "{out}");
    assert!(dead(&setup).is_empty());
    let (out, _) = said(&setup, &["dead", "replay", "--all"]);
    assert!(out.contains("replayed 0"), "nothing is left: {out}");
}
