//! Many at once: events replayed and erased, refused requests released and discarded, dead letters chosen, by what they
//! have in common; by the API, and by the page without JavaScript.

use serde_json::{Value, json};

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::support::sink_upstream::{Reply, Upstream};
use crate::support::{Daemon, MARKER, Setup, Signer, accepted, event, eventually, unique};

fn setup(sink: &Upstream) -> Setup {
    let block = format!("[[sink]]\nname = \"orders\"\ntype = \"http\"\nurl = \"{}\"\n", sink.url());
    guarded(Setup::new().preset("nice").preset("cxone-expert")).block(&block)
}

fn sent(daemon: &Daemon, source: &str) -> String {
    let id = unique();
    accepted(&daemon.send(&Signer::of(source).sign(event(&id))));
    id
}

/// Sends what is refused for its time; returns the numbers of all that are kept of `source` then.
fn refused(daemon: &Daemon, client: &mut Client, source: &str, count: usize) -> Vec<i64> {
    for _ in 0..count {
        assert_eq!(daemon.send(&Signer::of(source).shifted(-4000).sign(event(&unique()))).status, 401);
    }
    eventually("the kept requests", || {
        let kept = client.json(&format!("/api/v1/quarantine?source={source}"));
        let ids: Vec<i64> = kept["refused"].as_array()?.iter().filter_map(|one| one["id"].as_i64()).collect();
        (ids.len() == count).then_some(ids)
    })
}

#[test]
fn what_a_search_finds_is_erased_a_step_at_a_time_and_nothing_else() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let ids: Vec<String> = (0..3).map(|_| sent(&daemon, "nice")).collect();
    sent(&daemon, "cxone-expert");
    let mut client = Client::bearing(&daemon, TOKEN);
    let asked = json!({ "matching": { "source": "nice", "limit": 2 } });
    let first = client.send("/api/v1/events/erase", &asked).json();
    assert_eq!(first["events"], 2, "{first}");
    let asked = json!({ "matching": { "source": "nice", "limit": 2, "cursor": first["next"] } });
    let rest = client.send("/api/v1/events/erase", &asked).json();
    assert!(rest["events"] == 1 && rest["next"].is_null(), "{rest}");
    for id in &ids {
        let shown = client.json(&format!("/api/v1/events/nice/{id}"));
        assert_eq!(shown["erased"]["by"], "admin", "{shown}");
    }
    let other = client.json("/api/v1/events?source=cxone-expert")["events"][0].clone();
    assert_eq!(other["erased"], Value::Null, "{other}");
    // Named ones, of which one is erased already.
    let named =
        json!({ "events": [{ "source": "nice", "id": ids[0] }, { "source": "cxone-expert", "id": other["id"] }] });
    assert_eq!(client.send("/api/v1/events/erase", &named).json()["events"], 1);
    let records = || daemon.audit().iter().filter(|record| record["action"] == "event_erase").count();
    // Lines reach stdout a moment after the answer.
    eventually("a record for each event", || (records() >= 4).then_some(()));
    assert_eq!(records(), 4, "one for each event");
}

#[test]
fn nothing_is_chosen_by_accident_and_by_no_viewer() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let id = sent(&daemon, "nice");
    let (mut client, mut viewer) = (Client::bearing(&daemon, TOKEN), Client::bearing(&daemon, VIEWER));
    let named = json!([{ "source": "nice", "id": id }]);
    for path in ["/api/v1/events/erase", "/api/v1/events/replay"] {
        for body in [
            json!({}),
            json!({ "events": [] }),
            json!({ "matching": {} }),
            json!({ "matching": { "limit": 5 } }),
            json!({ "matching": { "source": "nice", "colour": "red" } }),
            json!({ "matching": { "source": "nice", "limit": 501 } }),
            json!({ "matching": { "source": "nice" }, "events": named }),
        ] {
            let answer = client.send(path, &body);
            assert!([400, 422].contains(&answer.status), "{path} {body}: {answer:?}");
        }
        assert_eq!(viewer.send(path, &json!({ "matching": { "source": "nice" } })).status, 403, "{path}");
    }
    for path in
        ["/api/v1/quarantine/discard", "/api/v1/quarantine/release", "/api/v1/dead/discard", "/api/v1/dead/replay"]
    {
        let answer = client.send(path, &json!({}));
        assert!([400, 422].contains(&answer.status), "{path}: {answer:?}");
        assert_eq!(viewer.send(path, &json!({ "ids": [1] })).status, 403, "{path}");
    }
    let mut page = Client::signed_in(&daemon, VIEWER);
    assert_eq!(page.get("/events/matching?source=nice").status, 403);
    for path in ["/events/erase", "/events/replay", "/refused/discard"] {
        assert_eq!(page.post(path, &[("source", "nice")]).status, 403, "{path}");
    }
    let mut operator = Client::signed_in(&daemon, TOKEN);
    for path in ["/events/erase", "/events/replay", "/refused/discard"] {
        assert_eq!(operator.post(path, &[]).status, 400, "{path}");
        let foreign = "Origin: http://evil.example\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        assert_eq!(operator.ask("POST", path, foreign, "source=nice").status, 403, "{path}");
    }
    assert_eq!(client.json(&format!("/api/v1/events/nice/{id}"))["erased"], Value::Null);
}

#[test]
fn what_a_search_finds_is_replayed_and_erased_by_forms_alone() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    for _ in 0..2 {
        sent(&daemon, "nice");
    }
    sent(&daemon, "cxone-expert");
    eventually("the deliveries", || (upstream.count() == 3).then_some(()));
    let mut page = Client::signed_in(&daemon, TOKEN);
    assert!(!page.get("/events").text().contains("all that match"), "everything is not what matches");
    let found = page.get("/events?source=nice");
    let several = page.click(&found, "/events/matching");
    assert!(several.text().contains("Replay these 2") && several.text().contains("<strong>2</strong> match"));
    let done = page.submit(&several, "/events/replay");
    let text = done.text();
    assert!(done.status == 200 && text.contains("2 deliveries of 2 events queued again. That was all."), "{text}");
    eventually("delivered again", || (upstream.count() == 5).then_some(()));
    let done = page.submit(&several, "/events/erase").text();
    assert!(done.contains("2 events erased. That was all.") && !done.contains(MARKER), "{done}");
    let again = page.submit(&several, "/events/erase").text();
    assert!(again.contains("0 events erased; 2 had been erased before."), "{again}");
    assert_eq!(page.get("/events/matching").status, 400, "all there are is nothing that matches");
}

#[test]
fn refused_requests_are_released_and_discarded_many_at_once() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let daemon = setup(&upstream).start();
    let mut client = Client::bearing(&daemon, TOKEN);
    let ids = refused(&daemon, &mut client, "nice", 3);
    let with_missing = json!({ "ids": [ids[0], 1_000_000] });
    assert_eq!(client.send("/api/v1/quarantine/release", &with_missing).status, 404);
    assert_eq!(client.json("/api/v1/events")["events"], json!([]), "none, unless all of them can be");
    let released = client.send("/api/v1/quarantine/release", &json!({ "ids": &ids[..2] })).json();
    assert_eq!(released["released"].as_array().unwrap().len(), 2, "{released}");
    eventually("delivered", || (upstream.count() == 2).then_some(()));
    let none = client.send("/api/v1/quarantine/discard", &json!({ "reason": "signature_mismatch" })).json();
    assert_eq!(none["discarded"], 0);
    let gone = client.send("/api/v1/quarantine/discard", &json!({ "reason": "timestamp_expired", "source": "nice" }));
    assert_eq!(gone.json(), json!({ "discarded": 1 }));
    let ids = refused(&daemon, &mut client, "cxone-expert", 2);
    assert_eq!(client.send("/api/v1/quarantine/discard", &json!({ "ids": [ids[0], 7_000] })).json()["discarded"], 1);
    let mut page = Client::signed_in(&daemon, TOKEN);
    assert!(!page.get("/refused").text().contains("/refused/discard"), "only what was searched for");
    let found = page.get("/refused?source=cxone-expert");
    let answer = page.submit(&found, "/refused/discard");
    assert!(page.follow(&answer).text().contains("Discarded for good"));
    assert_eq!(client.json("/api/v1/quarantine")["refused"], json!([]));
}

#[test]
fn dead_letters_are_chosen_by_what_they_have_in_common() {
    let upstream = Upstream::start(|_, _| Reply::status(400));
    let daemon = setup(&upstream).start();
    sent(&daemon, "nice");
    sent(&daemon, "cxone-expert");
    let mut client = Client::bearing(&daemon, TOKEN);
    let dead = |client: &mut Client| client.json("/api/v1/dead")["dead"].as_array().unwrap().len();
    eventually("both dead", || (dead(&mut client) == 2).then_some(()));
    let none = client.send("/api/v1/dead/discard", &json!({ "source": "nice", "until": "2020-01-01" })).json();
    assert_eq!(none["discarded"], 0);
    let one = client.send("/api/v1/dead/discard", &json!({ "source": "nice", "since": "1h" })).json();
    assert_eq!((one["discarded"].clone(), dead(&mut client)), (json!(1), 1));
    assert_eq!(client.send("/api/v1/dead/replay", &json!({ "error": "400" })).json()["deliveries"], 1);
}

#[test]
fn a_rate_and_an_address_are_given_by_forms() {
    let upstream = Upstream::start(|_, _| Reply::status(200));
    let local = Upstream::start(|n, _| Reply::status(if n < 1 { 200 } else { 500 }));
    let daemon = setup(&upstream).start();
    let id = sent(&daemon, "nice");
    let mut page = Client::signed_in(&daemon, TOKEN);
    let given = page.post("/deliveries/rate", &[("sink", "orders"), ("rate", "600/m")]);
    let shown = page.follow(&given);
    assert!(shown.text().contains("Slowed down:") && shown.text().contains(">600/m<"), "{}", shown.text());
    let back = page.post("/deliveries/rate", &[("sink", "orders"), ("rate", "")]);
    assert!(!page.follow(&back).text().contains(">600/m<"));
    assert_eq!(page.post("/deliveries/rate", &[("sink", "orders"), ("rate", "fast")]).status, 409);
    let to = [("source", "nice"), ("id", id.as_str()), ("url", &local.url())];
    let sent = page.post("/event/send", &to);
    assert!(page.follow(&sent).text().contains("Sent there, and taken."));
    assert_eq!(local.seen()[0].header("ce-id"), Some(format!("nice:{id}").as_str()));
    let failed = page.post("/event/send", &to);
    assert!(failed.status == 502 && failed.text().contains("500"), "{failed:?}");
    let mut viewer = Client::signed_in(&daemon, VIEWER);
    assert_eq!(viewer.post("/event/send", &to).status, 403);
    assert_eq!(viewer.post("/deliveries/rate", &[("sink", "orders"), ("rate", "1/s")]).status, 403);
}
