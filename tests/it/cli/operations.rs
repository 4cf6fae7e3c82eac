//! What operators do on the command line: sinks paused, events erased and sent elsewhere, the store counted and copied.

use std::process::Output;

use serde_json::Value;

use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{MARKER, Setup, Signer, accepted, event, eventually, unique};

const SINK: &str = "[[sink]]\nname = \"orders\"\ntype = \"http\"\n";

fn setup(url: &str) -> Setup {
    Setup::new().preset("nice").block(&format!("{SINK}url = \"{url}\"\nmax_age = \"1h\"\n"))
}

/// stdout of a command that has to succeed.
#[track_caller]
fn done(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    out.into_owned()
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(&done(output)).unwrap()
}

fn status(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_paused_sink_keeps_its_deliveries_across_a_restart_until_it_is_resumed() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&upstream.url());
    // Without a daemon, too.
    done(&setup.run(&["sinks", "pause", "orders", "--reason", "it moves", "--operator", "ann"]));
    let daemon = setup.start();
    let ids: Vec<String> = (0..3).map(|_| unique()).collect();
    for id in &ids {
        accepted(&daemon.send(&Signer::of("nice").sign(event(id))));
    }
    eventually("the gauges", || {
        let scrape = daemon.scrape();
        let now =
            ["gatepost_sink_paused", "gatepost_delivery_backlog"].map(|of| scrape.count(of, &[("sink", "orders")]));
        (now == [1, 3]).then_some(())
    });
    let listed = &json(&setup.run(&["sinks", "list", "--json"]))[0];
    assert_eq!((&listed["sink"], &listed["pending"], &listed["dead"]), (&"orders".into(), &3.into(), &0.into()));
    assert_eq!((&listed["paused"]["by"], &listed["paused"]["reason"]), (&"ann".into(), &"it moves".into()));
    assert!(done(&setup.run(&["sinks", "list"])).contains("ago by ann: it moves"));
    let (code, told) = (setup.run(&["sinks", "pause", "orders", "--operator", "bob"]), "is paused already");
    assert!(done(&code).contains(told));

    drop(daemon);
    let daemon = setup.start();
    eventually("the gauge", || {
        (daemon.scrape().count("gatepost_sink_paused", &[("sink", "orders")]) == 1).then_some(())
    });
    assert_eq!(upstream.count(), 0);
    let resumed = done(&setup.run(&["sinks", "resume", "orders", "--operator", "bob"]));
    assert!(resumed.starts_with("resumed orders, paused since ") && resumed.contains("by ann"), "{resumed}");
    eventually("the deliveries", || (upstream.count() == 3).then_some(()));
    eventually("the gauge", || {
        (daemon.scrape().count("gatepost_sink_paused", &[("sink", "orders")]) == 0).then_some(())
    });
    assert!(done(&setup.run(&["sinks", "resume", "orders", "--operator", "bob"])).contains("is not paused"));
}

#[test]
fn only_sinks_that_there_are_are_paused_and_somebody_answers_for_it() {
    let setup = setup("http://127.0.0.1:1/");
    let (code, told) = status(&setup.run(&["sinks", "pause", "ordres", "--operator", "ann"]));
    assert_eq!(code, Some(64));
    assert!(told.contains("did you mean orders?") && told.contains("there are: orders"), "{told}");
    let (code, told) = status(&setup.run(&["sinks", "pause", "orders"]));
    assert!(code == Some(64) && told.contains("--operator"), "{told}");
    for rate in ["fast", "0/s", "10/h"] {
        let (code, told) = status(&setup.run(&["sinks", "rate", "orders", rate, "--operator", "ann"]));
        assert!(code == Some(64) && told.contains("/s or /m"), "{rate}: {told}");
    }
    done(&setup.run_with(&[("USER", "eve")], &["sinks", "rate", "orders", "100/s"]));
    let listed = &json(&setup.run(&["sinks", "list", "--json"]))[0];
    assert_eq!((&listed["rate_override"]["rate"], &listed["rate_override"]["by"]), (&"100/s".into(), &"eve".into()));
    done(&setup.run(&["sinks", "rate", "orders", "configured", "--operator", "ann"]));
    assert_eq!(json(&setup.run(&["sinks", "list", "--json"]))[0]["rate_override"], Value::Null);
}

#[test]
fn an_erased_event_is_gone_beside_the_daemon_and_counts_once() {
    let upstream = Upstream::start(|_, _| Reply::status(503));
    let setup = setup(&upstream.url());
    let daemon = setup.start();
    let signer = Signer::of("nice");
    let [one, two] = [unique(), unique()];
    for id in [&one, &two] {
        assert_eq!(accepted(&daemon.send(&signer.sign(event(id))))["duplicate"], false);
    }
    eventually("an attempt", || (upstream.count() > 1).then_some(()));
    let (code, told) = status(&setup.run(&["events", "erase", "--operator", "ann"]));
    assert!(code == Some(64) && told.contains("erase what?"), "{told}");
    let (code, told) = status(&setup.run(&["events", "erase", "--source", "nice", "--operator", "ann"]));
    assert!(code == Some(64) && told.contains("2 events match") && told.contains("--yes"), "{told}");
    assert_eq!(json(&setup.run(&["events", "list", "--json"])).as_array().unwrap().len(), 2);

    let erased = &json(&setup.run(&["events", "erase", &one, "--operator", "ann", "--json"]))[0];
    assert_eq!((&erased["erased"], &erased["deliveries"]), (&1.into(), &1.into()), "{erased}");
    let shown = json(&setup.run(&["events", "show", &one, "--json"]));
    assert_eq!((&shown["erased"]["by"], &shown["bytes"], &shown["body"]), (&"ann".into(), &0.into(), &Value::Null));
    let shown = done(&setup.run(&["events", "show", &one]));
    assert!(shown.contains("erased by") && !shown.contains(MARKER), "{shown}");
    let (code, told) = status(&setup.run(&["events", "show", &one, "--curl"]));
    assert!(code == Some(64) && told.contains("was erased"), "{told}");
    assert_eq!(accepted(&daemon.send(&signer.sign(event(&one))))["duplicate"], true);
    let other = String::from_utf8(event(&one)).unwrap().replace("book", "cancel");
    assert_eq!(accepted(&daemon.send(&signer.sign(other)))["status"], "quarantined");

    let erased = &json(&setup.run(&["events", "erase", "--source", "nice", "--yes", "--operator", "ann", "--json"]))[0];
    assert_eq!(erased["erased"], 1, "the other; what was erased before does not count");
    assert_eq!(json(&setup.run(&["dead", "list", "--json"])), Value::Array(Vec::new()));
    drop(daemon);
    let left = std::fs::read(setup.path("gatepost.db")).unwrap();
    let marker = format!("{{\"eventId\":\"{two}\"");
    assert!(!left.windows(marker.len()).any(|part| part == marker.as_bytes()));
}

#[test]
fn an_event_becomes_the_curl_command_that_posts_it_again() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = Setup::new().preset("cxone-expert").preset("nice");
    let daemon = setup.start();
    let id = unique();
    let text = format!("{{\"eventId\":\"{id}\",\"it's\":\"$HOME `id` \\\\ {MARKER}\"}}");
    accepted(&daemon.send(&Signer::of("nice").sign(&text)));
    let raw: &[u8] = b"<a>\xff\xfe \x00\x1b[0m 'q' %s \\ @</a>";
    let request = Signer::of("cxone-expert").sign(raw).set("Content-Type", "text/xml");
    let request = request.header("X-Nexus-Event-Type", "page:it's").header("X-Nexus-Delivery-Id", "d 1");
    let raw_id = accepted(&daemon.send(&request))["id"].as_str().unwrap().to_owned();
    for (id, body, kind, delivery) in
        [(&id, text.as_bytes(), "application/json", None), (&raw_id, raw, "text/xml", Some("d 1"))]
    {
        let command = done(&setup.run(&["events", "show", id, "--curl", "--url", &format!("{}/hook", upstream.url())]));
        let output = std::process::Command::new("sh").arg("-c").arg(&command).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let received = upstream.seen().pop().unwrap();
        assert_eq!(received.body, body, "{command}");
        assert_eq!((received.header("content-type"), received.header("x-nexus-delivery-id")), (Some(kind), delivery));
    }
    assert_eq!(upstream.seen()[1].header("x-nexus-event-type"), Some("page:it's"));
}

#[test]
fn events_are_delivered_once_to_an_address_of_the_operators() {
    let sink = Upstream::start(|_, _| Reply::status(200));
    let local = Upstream::start(|n, _| Reply::status(if n == 0 { 200 } else { 500 }));
    let setup = setup(&sink.url());
    let daemon = setup.start();
    let [one, two] = [unique(), unique()];
    for id in [&one, &two] {
        accepted(&daemon.send(&Signer::of("nice").sign(event(id))));
    }
    eventually("the sink", || (sink.count() == 2).then_some(()));
    let url = format!("{}/hooks", local.url());
    let output = setup.run(&["events", "replay", &one, "--to", &url]);
    assert_eq!(done(&output), format!("nice:{one} delivered\n"));
    let received = &local.seen()[0];
    assert_eq!((received.header("ce-id"), &received.body), (Some(format!("nice:{one}").as_str()), &event(&one)));
    assert_eq!((received.header("webhook-signature"), received.line.as_str()), (None, "POST /events/hooks HTTP/1.1"));
    let output = setup.run(&["events", "replay", "--source", "nice", "--to", &url, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["status"]), (2, &"failed".into()), "{rows}");
    assert!(rows[0]["error"].as_str().unwrap().contains("500"), "{rows}");
    let (code, told) = status(&setup.run(&["events", "replay", &one, "--to", "ftp://x/"]));
    assert!(code == Some(64) && told.contains("--to"), "{told}");
    // The sinks know nothing of it.
    let shown = json(&setup.run(&["events", "show", &one, "--json"]));
    assert_eq!((sink.count(), &shown["deliveries"][0]["replays"]), (2, &0.into()));
}

#[test]
fn the_store_is_counted_and_copied_beside_the_daemon() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let setup = setup(&upstream.url());
    let daemon = setup.start();
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    eventually("the delivery", || {
        let stats = json(&setup.run(&["store", "stats", "--json"]));
        (stats["sinks"][0]["delivered"] == 1).then_some(())
    });
    let stats = json(&setup.run(&["store", "stats", "--json"]));
    assert_eq!(
        (&stats["events"], &stats["ids"], &stats["sources"][0]["source"]),
        (&1.into(), &1.into(), &"nice".into())
    );
    assert!(stats["bytes"].as_u64() > Some(0) && stats["free_bytes"].as_u64() > Some(0), "{stats}");
    assert!(done(&setup.run(&["store", "stats"])).contains("events"));
    let copy = setup.path("copy.db").display().to_string();
    done(&setup.run(&["store", "backup", &copy]));
    let (code, told) = status(&setup.run(&["store", "backup", &copy]));
    assert!(code == Some(1) && told.contains("is there already"), "{told}");
    let listed = setup.run_with(&[("GATEPOST_STORE", &format!("sqlite:{copy}"))], &["events", "list", "--json"]);
    assert_eq!(json(&listed)[0]["id"], id);
}
