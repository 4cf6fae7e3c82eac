//! Events found by the request that brought them and by what their body says: by the command line, the API and the page.

use serde_json::{Value, json};

use super::client::{Client, TOKEN, VIEWER, guarded};
use crate::support::{Setup, Signer, accepted, unique};

fn body(id: &str, session: &str) -> String {
    format!(r#"{{"eventId":"{id}","eventType":"call","sessionId":"{session}","turn":7}}"#)
}

fn listed(setup: &Setup, arguments: &[&str]) -> (Vec<String>, String) {
    let output = setup.run(&[&["events", "list", "--json"], arguments].concat());
    let events: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let ids = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    (ids, String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_answer_names_the_request_and_the_request_its_event() {
    let setup = guarded(Setup::new().preset("nice"));
    let daemon = setup.start();
    let ids: Vec<String> = (0..3).map(|_| unique()).collect();
    let requests: Vec<String> = ids
        .iter()
        .map(|id| {
            let answer = daemon.send(&Signer::of("nice").sign(body(id, "s")));
            accepted(&answer);
            answer.header("x-request-id").unwrap().to_owned()
        })
        .collect();
    daemon.access_where("the same name", |record| record["request_id"] == requests[1].as_str());
    let refused = daemon.send(&Signer::of("nice").shifted(-4000).sign(body(&unique(), "s")));
    assert!(refused.header("x-request-id").is_some(), "{refused:?}");
    let unknown = daemon.send(&Signer::of("nice").sign(body(&unique(), "s")).at("/nowhere"));
    assert!(unknown.header("x-request-id").is_some(), "{unknown:?}");

    let (found, told) = listed(&setup, &["--request", &requests[1]]);
    assert_eq!(found, [ids[1].clone()]);
    assert!(told.contains("looked at"), "{told}");
    assert_eq!(listed(&setup, &["--request", "0123"]).0, Vec::<String>::new());
    let mut client = Client::bearing(&daemon, VIEWER);
    let one = client.json(&format!("/api/v1/events?request={}", requests[2]));
    assert_eq!(one["events"].as_array().unwrap().len(), 1, "{one}");
    assert_eq!((&one["events"][0]["id"], &one["events"][0]["request_id"]), (&json!(ids[2]), &json!(requests[2])));
    let mut page = Client::signed_in(&daemon, VIEWER);
    let shown = page.get(&format!("/events?request={}", requests[0])).text();
    assert!(shown.contains(&ids[0]) && !shown.contains(&ids[1]) && shown.contains("Looked at"), "{shown}");
}

#[test]
fn a_field_of_the_body_is_looked_for_as_far_as_is_said() {
    let setup = guarded(Setup::new().preset("nice"));
    let daemon = setup.start();
    let ids: Vec<String> = (0..4).map(|_| unique()).collect();
    for (at, id) in ids.iter().enumerate() {
        accepted(&daemon.send(&Signer::of("nice").sign(body(id, if at % 2 == 0 { "even" } else { "odd" }))));
    }
    let (found, told) = listed(&setup, &["--field", "/sessionId=even"]);
    assert_eq!(found, [ids[2].clone(), ids[0].clone()]);
    assert!(told.contains("looked at 4 events") && told.contains("which are all"), "{told}");
    let (found, told) = listed(&setup, &["--field", "/sessionId=even", "--scan", "2"]);
    assert_eq!(found, [ids[2].clone()]);
    assert!(told.contains("looked at 2 events") && told.contains("--scan N looks further"), "{told}");
    assert_eq!(listed(&setup, &["--field", "/turn=7", "--limit", "500"]).0.len(), 4);
    assert_eq!(setup.run(&["events", "list", "--field", "sessionId=even"]).status.code(), Some(64));

    let mut client = Client::bearing(&daemon, TOKEN);
    let odd = client.json("/api/v1/events?field=/sessionId%3Dodd");
    assert_eq!((odd["events"].as_array().unwrap().len(), &odd["looked"]["events"]), (2, &json!(4)), "{odd}");
    assert_eq!(Client::bearing(&daemon, VIEWER).ask("GET", "/api/v1/events?field=/a%3Db", "", "").status, 403);
    assert_eq!(Client::signed_in(&daemon, VIEWER).get("/events?field=/a%3Db").status, 403);
    assert_eq!(client.ask("GET", "/api/v1/events?field=a", "", "").status, 400);
    assert_eq!(client.ask("GET", "/api/v1/events?field=/a%3Db&id=x", "", "").status, 400);
    // A person's right to be forgotten, by what their events say.
    let erased = client.send("/api/v1/events/erase", &json!({ "matching": { "field": "/sessionId=odd" } })).json();
    assert_eq!(erased["events"], 2, "{erased}");
    let mut page = Client::signed_in(&daemon, TOKEN);
    let found = page.get("/events?field=/sessionId%3Deven");
    let several = page.click(&found, "/events/matching").text();
    assert!(several.contains("Replay these 2"), "{several}");
}

#[test]
fn a_path_that_is_nearly_a_sources_is_shown_with_that_and_a_scanners_is_not() {
    let daemon = guarded(Setup::new().preset("nice").preset("cognigy")).start();
    let request = Signer::of("nice").sign(body(&unique(), "s"));
    for path in ["/webhook/nice", "/webhook/nice", "/webhooks/nice/", "/wp-login.php", "/"] {
        assert_eq!(daemon.send(&request.clone().at(path)).status, 404, "{path}");
    }
    let mut client = Client::bearing(&daemon, VIEWER);
    let told = client.json("/api/v1/near-misses");
    let of = |at: usize| (told["near_misses"][at]["path"].clone(), told["near_misses"][at]["count"].clone());
    assert_eq!(
        (told["near_misses"].as_array().unwrap().len(), of(1)),
        (2, (json!("/webhook/nice"), json!(2))),
        "{told}"
    );
    assert_eq!(
        (&told["near_misses"][1]["source"], &told["near_misses"][1]["expected"]),
        (&json!("nice"), &json!("/webhooks/nice"))
    );
    let metrics = client.get("/metrics").text();
    for series in ["{source=\"nice\"} 3", "{source=\"cognigy\"} 0"] {
        assert!(metrics.contains(&format!("gatepost_near_misses_total{series}\n")), "{metrics}");
    }
    let shown = Client::signed_in(&daemon, VIEWER).get("/refused").text();
    assert!(shown.contains("/webhook/nice") && shown.contains("Paths that no source takes"), "{shown}");
    assert!(!shown.contains("wp-login"), "{shown}");
}
