//! What operators do by the page and its API, beyond replaying: sinks paused, events erased, shown as curl and sent
//! elsewhere; each as the command line does it, with the record that the command line writes.

use serde_json::{Value, json};

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, MARKER, Setup, Signer, accepted, event, eventually, unique};

fn setup(sink: &Upstream) -> Setup {
    let block = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", sink.url());
    guarded(Setup::new().preset("nice")).block(&block)
}

fn sent(daemon: &Daemon) -> String {
    let id = unique();
    accepted(&daemon.send(&Signer::of("nice").sign(event(&id))));
    id
}

/// Every record of an operator's action that `siem` was sent.
fn records(siem: &Upstream) -> Vec<Value> {
    let batches = siem.seen().into_iter().flat_map(|batch| serde_json::from_slice::<Vec<Value>>(&batch.body).unwrap());
    batches.filter(|record| record["event"] == "operator_action").collect()
}

#[test]
fn what_is_done_by_the_api_reaches_the_siem_with_who_did_it() {
    let (sink, siem) = (Upstream::start(|_, _| Reply::status(200)), Upstream::start(|_, _| Reply::status(200)));
    let daemon = setup(&sink).block(&format!("[siem]\nurl = \"{}\"\n", siem.url())).start();
    let id = sent(&daemon);
    let mut client = Client::bearing(&daemon, TOKEN);
    let refused = Signer::of("nice").shifted(-4000).sign(event(&unique()));
    assert_eq!(daemon.send(&refused).status, 401);
    let number = eventually("a kept request", || client.json("/api/v1/quarantine")["refused"][0]["id"].as_i64());
    let one = format!("/api/v1/events/nice/{id}");
    for (path, body) in [
        (format!("{one}/open"), json!({})),
        (format!("{one}/replay"), json!({})),
        (format!("/api/v1/quarantine/{number}/open"), json!({})),
        (format!("/api/v1/quarantine/{number}/release"), json!({})),
        ("/api/v1/dead/replay".to_owned(), json!({ "ids": [1_000_000] })),
        ("/api/v1/sinks/orders/pause".to_owned(), json!({ "reason": "they asked" })),
        ("/api/v1/sinks/orders/rate".to_owned(), json!({ "rate": "5/s" })),
        ("/api/v1/sinks/orders/resume".to_owned(), json!({})),
        (format!("{one}/erase"), json!({})),
    ] {
        let answer = client.send(&path, &body);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let told = eventually("the records", || Some(records(&siem)).filter(|all| all.len() >= 9));
    let action = |record: &Value| record["action"].as_str().unwrap().to_owned();
    assert_eq!(
        told.iter().map(action).collect::<Vec<_>>(),
        [
            "event_open",
            "event_replay",
            "quarantine_open",
            "quarantine_release",
            "dead_replay",
            "sink_pause",
            "sink_rate",
            "sink_resume",
            "event_erase"
        ]
    );
    for record in &told {
        assert!(record["operator"] == "admin" && record["client_ip"] == "127.0.0.1", "{record}");
        assert!(record["timestamp"].is_string() && record["subject"].is_string(), "{record}");
    }
    assert_eq!((&told[0]["subject"], &told[0]["source"]), (&json!(format!("nice:{id}")), &json!("nice")));
    assert_eq!((&told[5]["subject"], &told[5]["reason"]), (&json!("orders"), &json!("they asked")));
}

#[test]
fn a_sink_is_paused_by_the_api_and_resumed_by_a_form() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let mut client = Client::bearing(&daemon, TOKEN);
    // Nothing need be said.
    let answer = client.ask("POST", "/api/v1/sinks/orders/pause", "", "");
    assert_eq!((answer.status, answer.json()), (200, json!({ "sink": "orders", "changed": true })));
    let again = client.send("/api/v1/sinks/orders/pause", &json!({ "reason": "too late" })).json();
    assert_eq!(again["changed"], false);
    let sink = client.json("/api/v1/sinks")["sinks"][0].clone();
    assert_eq!(
        (&sink["paused"], &sink["pause"]["by"], &sink["configured"]),
        (&json!(true), &json!("admin"), &json!(true))
    );
    assert!(sink["pause"]["since"].is_string() && sink["pause"]["reason"].is_null(), "{sink}");
    sent(&daemon);
    let mut page = Client::signed_in(&daemon, TOKEN);
    let now = eventually("Now says so", || {
        let now = client.json("/api/v1/now");
        (now["sinks"][0]["paused"] == true && now["sinks"][0]["backlog"] == 1.0).then_some(now)
    });
    assert!(now["problems"].to_string().contains("orders is paused: 1 deliveries wait"), "{now}");
    assert!(page.get("/").text().contains(">paused<"));
    assert_eq!(upstream.count(), 0);
    let shown = page.get("/deliveries");
    assert!(shown.text().contains(">paused<") && shown.text().contains("by admin"), "{}", shown.text());
    assert!(!Client::signed_in(&daemon, VIEWER).get("/deliveries").text().contains("/deliveries/resume"));
    let answer = page.submit(&shown, "/deliveries/resume");
    let shown = page.follow(&answer);
    assert!(shown.text().contains("Resumed:") && !shown.text().contains(">paused<"), "{}", shown.text());
    eventually("it is delivered", || (upstream.count() == 1).then_some(()));
    let answer = page.post("/deliveries/pause", &[("sink", "orders"), ("reason", "night <work>")]);
    let shown = page.follow(&answer).text();
    assert!(shown.contains("Paused:") && shown.contains("by admin: night &#60;work&#62;"), "{shown}");
    assert_eq!(client.send("/api/v1/sinks/orders/resume", &json!({})).json()["changed"], true);
    assert_eq!(client.send("/api/v1/sinks/orders/resume", &json!({})).json()["changed"], false);
    for (path, body) in [
        ("nobody/pause", json!({})),
        ("nobody/resume", json!({})),
        ("orders/rate", json!({ "rate": "fast" })),
        ("orders/pause", json!({ "reason": "a\nb" })),
    ] {
        let answer = client.send(&format!("/api/v1/sinks/{path}"), &body);
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!(409)), "{path}: {answer:?}");
    }
}

#[test]
fn a_rate_takes_the_place_of_the_configured_one_until_it_is_taken_back() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let mut client = Client::bearing(&daemon, TOKEN);
    for (rate, told) in [(json!("600/m"), json!("600/m")), (Value::Null, Value::Null)] {
        assert_eq!(client.send("/api/v1/sinks/orders/rate", &json!({ "rate": rate })).status, 200);
        let sink = client.json("/api/v1/sinks")["sinks"][0].clone();
        assert_eq!((&sink["rate"], &sink["rate_override"]), (&Value::Null, &told), "{sink}");
    }
}

#[test]
fn an_erased_event_says_so_in_place_of_its_body() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let [one, two] = [sent(&daemon), sent(&daemon)];
    let mut client = Client::bearing(&daemon, TOKEN);
    let path = format!("/api/v1/events/nice/{one}");
    assert_eq!(client.json(&path)["erased"], Value::Null);
    let erased = client.send(&format!("{path}/erase"), &json!({})).json();
    assert_eq!(erased["events"], 1, "{erased}");
    let again = client.send(&format!("{path}/erase"), &json!({})).json();
    assert_eq!(again["events"], 0, "{again}");
    let shown = client.json(&path);
    assert!(shown["erased"]["by"] == "admin" && shown["erased"]["at"].is_string() && shown["bytes"] == 0, "{shown}");
    for act in ["open", "body"] {
        let answer = client.send(&format!("{path}/{act}"), &json!({}));
        assert!(answer.status == 409 && answer.text().contains("was erased"), "{act}: {answer:?}");
    }
    assert_eq!(client.ask("GET", &format!("{path}/curl"), "", "").status, 409);
    assert_eq!(client.send("/api/v1/events/nice/none/erase", &json!({})).status, 404);

    let mut page = Client::signed_in(&daemon, TOKEN);
    let form = page.get(&format!("/event?source=nice&id={two}"));
    assert!(form.text().contains("Erase it for good"), "{}", form.text());
    let answer = page.submit(&form, "/event/erase");
    let shown = page.follow(&answer).text();
    assert!(shown.contains("by admin: nothing is left") && !shown.contains(MARKER), "{shown}");
    assert!(!shown.contains("/event/open") && !shown.contains("/event/erase") && !shown.contains("/event/replay"));
}

#[test]
fn an_event_is_shown_as_curl_and_sent_to_an_address() {
    let (upstream, local) = (
        Upstream::start(|_, _| Reply::status(200)),
        Upstream::start(|n, _| Reply::status(if n < 2 { 200 } else { 500 })),
    );
    let daemon = setup(&upstream).start();
    let id = sent(&daemon);
    eventually("the sink", || (upstream.count() == 1).then_some(()));
    let mut client = Client::bearing(&daemon, TOKEN);
    let path = format!("/api/v1/events/nice/{id}");
    let command = client.ask("GET", &format!("{path}/curl?url={}", local.url()), "", "");
    assert_eq!(command.status, 200, "{command:?}");
    let output = std::process::Command::new("sh").arg("-c").arg(command.text()).output().unwrap();
    assert!(output.status.success(), "{}: {}", command.text(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(local.seen()[0].body, event(&id));
    for url in ["-o/tmp/x", "ftp://x/", "http://x/%0a"] {
        assert_eq!(client.ask("GET", &format!("{path}/curl?url={url}"), "", "").status, 409, "{url}");
    }
    let opened = || daemon.audit().iter().filter(|record| record["action"] == "event_open").count();
    eventually("a record", || (opened() >= 1).then_some(()));
    assert_eq!(opened(), 1, "the one that was shown");

    let to = json!({ "to": local.url() });
    assert_eq!(client.send(&format!("{path}/replay"), &to).json(), json!({ "deliveries": 1 }));
    assert_eq!(local.seen()[1].header("ce-id"), Some(format!("nice:{id}").as_str()));
    let failed = client.send(&format!("{path}/replay"), &to);
    assert!(failed.status == 502 && failed.text().contains("500"), "{failed:?}");
    let both = json!({ "to": local.url(), "sinks": ["orders"] });
    assert_eq!(client.send(&format!("{path}/replay"), &both).status, 400);
    assert_eq!(client.send(&format!("{path}/replay"), &json!({ "to": "ftp://x/" })).status, 409);
    assert_eq!(upstream.count(), 1, "the sink knows nothing of it");

    let mut page = Client::signed_in(&daemon, TOKEN);
    let shown = page.get(&format!("/event?source=nice&id={id}"));
    let opened = page.submit(&shown, "/event/open");
    let shown = page.submit(&opened, "/event/curl").text();
    assert!(shown.contains("curl -sS -X POST") && shown.contains("http://localhost:8080/"), "{shown}");
}

#[test]
fn a_viewer_changes_nothing_and_is_shown_no_command() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let id = sent(&daemon);
    let (mut page, mut program) = (Client::signed_in(&daemon, VIEWER), Client::bearing(&daemon, VIEWER));
    let event = format!("/api/v1/events/nice/{id}");
    for path in [format!("{event}/erase"), "/api/v1/sinks/orders/pause".into(), "/api/v1/sinks/orders/resume".into()] {
        assert_eq!(program.send(&path, &json!({})).status, 403, "{path}");
    }
    assert_eq!(program.send(&format!("{event}/replay"), &json!({ "to": upstream.url() })).status, 403);
    assert_eq!(program.send("/api/v1/sinks/orders/rate", &json!({ "rate": "1/s" })).status, 403);
    assert_eq!(program.ask("GET", &format!("{event}/curl"), "", "").status, 403);
    for path in ["/event/erase", "/event/curl"] {
        assert_eq!(page.post(path, &[("source", "nice"), ("id", &id)]).status, 403, "{path}");
    }
    for path in ["/deliveries/pause", "/deliveries/resume"] {
        assert_eq!(page.post(path, &[("sink", "orders")]).status, 403, "{path}");
    }
    let mut operator = Client::signed_in(&daemon, TOKEN);
    let foreign = "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    for path in
        ["/event/erase", "/event/curl", "/deliveries/pause", "/api/v1/sinks/orders/pause", &format!("{event}/erase")]
    {
        assert_eq!(
            operator.ask("POST", path, foreign, &format!("source=nice&id={id}&sink=orders")).status,
            403,
            "{path}"
        );
    }
    let sink = program.json("/api/v1/sinks")["sinks"][0].clone();
    assert_eq!((&sink["paused"], &program.json(&event)["erased"]), (&json!(false), &Value::Null));
}
