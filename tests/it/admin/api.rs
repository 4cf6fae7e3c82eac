//! The API: what its `OpenAPI` document says, it does; what nobody knows, it refuses in JSON of one shape.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::client::{Client, TOKEN, guarded};
use crate::support::daemon::PATIENCE;
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, Setup, Signer, event, eventually, unique};

fn setup() -> Setup {
    guarded(Setup::new().preset("nice"))
}

fn accepted(daemon: &Daemon) -> String {
    let id = unique();
    assert_eq!(daemon.send(&Signer::of("nice").sign(event(&id))).status, 200);
    id
}

#[test]
fn the_document_describes_what_answers_and_nothing_answers_without_the_token() {
    let daemon = setup().start();
    let mut client = Client::bearing(&daemon, TOKEN);
    let document = client.json("/api/v1/openapi.json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15, "{:?}", paths.keys());
    for (path, operations) in paths {
        let target = path.replace("{source}", "nice").replace("{id}", "999");
        for method in operations.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let refused = Client::new(&daemon).ask(&method, &target, "", "");
            assert_eq!(refused.status, 401, "{method} {path}: {refused:?}");
            assert_eq!(refused.json()["code"], refused.status, "{refused:?}");
            if target.ends_with("/live") {
                continue;
            }
            let answer = client.ask(&method, &target, "Content-Type: application/json\r\n", "{}");
            assert!(answer.status != 405 && answer.status < 500, "{method} {path}: {answer:?}");
            let missing = answer.status == 404 && !answer.text().contains("no such");
            assert!(!missing, "{method} {path}: {answer:?}");
        }
    }
}

#[test]
fn what_nobody_knows_is_refused_and_limits_are_bounded() {
    let daemon = setup().start();
    let mut client = Client::bearing(&daemon, TOKEN);
    for (path, words) in [
        ("/events?colour=red", "colour"),
        ("/events?limit=0", "limit"),
        ("/events?limit=501", "limit"),
        ("/events?limit=many", "limit"),
        ("/events?state=lost", "state"),
        ("/events?since=yesterdayish", "since"),
        ("/events?header=no-value", "header"),
        ("/events?cursor=x", "cursor"),
        ("/quarantine?id=1", "id"),
        ("/dead?limit=1000", "limit"),
        ("/quarantine/one", "one"),
    ] {
        let answer = client.ask("GET", &format!("/api/v1{path}"), "", "");
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let told = answer.json();
        assert_eq!((&told["error"], &told["code"]), (&json!("Bad Request"), &json!(400)), "{told}");
        assert!(told["message"].as_str().unwrap().contains(words), "{path}: {told}");
    }
    for (path, body, status) in [
        ("/events/replay", json!({ "events": [] }), 400),
        ("/events/replay", json!({ "events": [], "more": 1 }), 422),
        ("/events/nice/none/replay", json!({}), 404),
        ("/dead/replay", json!({}), 400),
        ("/dead/discard", json!({ "ids": [1], "to": "x" }), 400),
        ("/quarantine/999/release", json!({}), 404),
        ("/nowhere", json!({}), 404),
    ] {
        let answer = client.send(&format!("/api/v1{path}"), &body);
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(status)), "{path} {body}: {answer:?}");
    }
    let large = "x".repeat(70_000);
    assert_eq!(client.send("/api/v1/dead/replay", &json!({ "sink": large })).status, 413);
}

#[test]
fn events_are_found_by_everything_and_page_by_page() {
    let daemon = setup().start();
    let ids: Vec<String> = (0..5).map(|_| accepted(&daemon)).collect();
    let mut client = Client::bearing(&daemon, TOKEN);
    let mut found = |query: &str| {
        let told = client.json(&format!("/api/v1/events?{query}"));
        let ids = |row: &Value| row["id"].as_str().unwrap().to_owned();
        let next = told["next"].as_str().map(str::to_owned);
        (told["events"].as_array().unwrap().iter().map(ids).collect::<Vec<_>>(), next)
    };
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (rows, next) = found(&format!("limit=2{cursor}"));
        assert!(rows.len() <= 2);
        all.extend(rows);
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    all.reverse();
    assert_eq!(all, ids);
    assert_eq!(found(&format!("id={}", ids[2])).0, [ids[2].clone()]);
    assert_eq!(found(&format!("id={}&source=other", ids[2])).0, Vec::<String>::new());
    assert_eq!(found("source=nice&type=case.created&state=stored&since=1h").0.len(), 5);
    for none in ["source=other", "type=other", "state=dead", "state=delivered", "until=1h", "header=x-tenant=a"] {
        assert_eq!(found(none).0, Vec::<String>::new(), "{none}");
    }
}

#[test]
fn a_refusal_is_explained_in_structure_and_released() {
    let daemon = setup().start();
    let stale = Signer::of("nice").shifted(-4000).sign(event(&unique()));
    assert_eq!(daemon.send(&stale).status, 401);
    let mut client = Client::bearing(&daemon, TOKEN);
    let id = eventually("a kept request", || client.json("/api/v1/quarantine")["refused"][0]["id"].as_i64());
    let told = client.json(&format!("/api/v1/quarantine/{id}/explain"));
    assert_eq!(told["refused"]["reason"], "timestamp_expired", "{told}");
    assert_eq!((&told["release"], &told["causes"][0]["name"]), (&json!("only_its_time"), &json!("time")), "{told}");
    assert!(told["checks"].as_array().unwrap().iter().any(|check| check["passed"] == true), "{told}");
    let shown = client.json(&format!("/api/v1/quarantine/{id}"));
    assert!(shown["headers"].as_array().unwrap().iter().any(|header| header["name"] == "content-type"), "{shown}");
    let released = client.send(&format!("/api/v1/quarantine/{id}/release"), &json!({})).json();
    assert_eq!((&released["operator"], &released["duplicate"]), (&json!("admin"), &json!(false)), "{released}");
    let event = client.json(&format!("/api/v1/events/nice/{}", released["event_id"].as_str().unwrap()));
    assert_eq!(event["key"], "released:admin", "{event}");
    assert_eq!(client.send(&format!("/api/v1/quarantine/{id}/release"), &json!({})).status, 404);
}

#[test]
fn dead_letters_are_seen_with_their_error_and_replayed_or_given_up() {
    let upstream = Upstream::start(|n, _| Reply::status(if n < 2 { 400 } else { 200 }));
    let sink = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", upstream.url());
    let daemon = setup().block(&sink).start();
    let mut client = Client::bearing(&daemon, TOKEN);
    let mut dead = || client.json("/api/v1/dead?sink=orders")["dead"].as_array().unwrap().clone();
    for wanted in 1..=2 {
        accepted(&daemon);
        eventually("it dies", || (dead().len() == wanted).then_some(()));
    }
    let letters = dead();
    assert!(letters[0]["error"].as_str().unwrap().contains("400") && letters[0]["state"] == "dead", "{letters:?}");
    let now = eventually("the gauge", || {
        let now = client.json("/api/v1/now");
        (now["sinks"][0]["dead"] == 2.0).then_some(now)
    });
    assert!(now["problems"].to_string().contains("orders: 2 deliveries are dead"), "{now}");
    assert_eq!((&now["ready"], &now["sources"][0]["source"]), (&json!(true), &json!("nice")), "{now}");
    let page = client.get("/").text();
    assert!(page.contains("/deliveries?sink=orders") && page.contains("2 deliveries are dead"), "{page}");
    let page = client.get("/deliveries?sink=orders").text();
    assert!(page.contains("2 to orders") && page.contains("400"), "{page}");
    let answer = client.send("/api/v1/dead/replay", &json!({ "ids": [letters[0]["id"]] })).json();
    assert_eq!(answer, json!({ "deliveries": 1 }));
    eventually("delivered", || (upstream.count() == 3).then_some(()));
    assert_eq!(client.send("/api/v1/dead/replay", &json!({ "ids": [letters[1]["id"]], "to": "nobody" })).status, 409);
    let answer = client.send("/api/v1/dead/discard", &json!({ "sink": "orders", "error": "400" })).json();
    assert_eq!(answer, json!({ "discarded": 1 }));
    let answer = client.send("/api/v1/dead/discard", &json!({ "sink": "orders" })).json();
    assert_eq!(answer, json!({ "discarded": 0 }));
}

/// A stream of server-sent events, its head read.
fn followed(daemon: &Daemon) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(daemon.admin).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    lines
}

/// The number that stands for events in the next tick; `None` at the end of the stream.
fn next_tick(stream: &mut BufReader<TcpStream>) -> Option<u64> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str::<Value>(data).unwrap()["events"].as_u64();
        }
    }
}

#[test]
fn a_stream_tells_when_there_is_something_new_and_ends_with_the_drain() {
    let mut daemon = setup().start();
    let mut stream = followed(&daemon);
    next_tick(&mut stream).unwrap();
    let before = next_tick(&mut stream).unwrap();
    accepted(&daemon);
    eventually("another number", || next_tick(&mut stream).filter(|now| *now != before));
    daemon.signal(Signal::TERM);
    while next_tick(&mut stream).is_some() {}
    assert_eq!(daemon.ended().code(), Some(0), "nothing was cut off");
}

#[test]
fn followers_are_bounded_and_hold_nobody_up() {
    let daemon = setup().start();
    let mut streams: Vec<_> = (0..24).map(|_| followed(&daemon)).collect();
    assert!(streams.iter_mut().all(|stream| next_tick(stream).is_some()));
    let mut client = Client::bearing(&daemon, TOKEN);
    assert_eq!(client.ask("GET", "/api/v1/live", "", "").status, 503);
    accepted(&daemon);
    assert_eq!(client.get("/events").status, 200);
}

#[test]
fn nothing_of_it_is_on_the_webhook_listener() {
    let daemon = setup().start();
    for path in ["/", "/events", "/sign-in", "/api/v1/now", "/assets/live.js", "/metrics"] {
        let request = crate::support::Request::new("GET", path).header("Authorization", &format!("Bearer {TOKEN}"));
        assert_eq!(daemon.send(&request).status, 404, "{path}");
    }
}
