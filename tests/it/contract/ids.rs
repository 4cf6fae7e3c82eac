//! Contract 3 and 7: where an event id comes from, what may be one, and that an odd one is never guessed at.

use serde_json::json;

use crate::support::{Daemon, Setup, Signer, accepted, assert_refusal, digest_id, event, nameless, unique};

fn daemon() -> Daemon {
    Setup::every_preset().preset_at("deep", "nice", "/webhooks/deep", "event_id = \"/meta/a~1b/id\"").start()
}

#[track_caller]
fn id_of(daemon: &Daemon, body: &str) -> String {
    let response = daemon.send(&Signer::of("nice").sign(body));
    assert_eq!(response.status, 200, "{body}: {response:?}");
    accepted(&response)["id"].as_str().expect("an id is text").to_owned()
}

#[test]
fn an_absent_id_is_the_digest_of_the_body() {
    let daemon = daemon();
    for body in [
        nameless(),
        json!({ "eventid": unique() }).to_string().into_bytes(),
        json!({ "data": { "eventId": unique() } }).to_string().into_bytes(),
        json!({ "/eventId": unique() }).to_string().into_bytes(),
        b"{}".to_vec(),
    ] {
        let answer = accepted(&daemon.send(&Signer::of("nice").sign(&body)));
        assert_eq!(answer["id"], digest_id(&body));
    }
}

#[test]
fn strings_and_integers_are_ids_and_keep_their_text() {
    let daemon = daemon();
    let unique = unique();
    let longest = format!("{unique}{}", "x".repeat(256 - unique.len()));
    let wide = format!("{unique}-{}", "\u{e9}".repeat((255 - unique.len()) / 2));
    for id in [&unique, &longest, &wide, " blank ", "a/b~c\"d\\e", "\u{1f600}", "0", "\u{a0}"] {
        assert_eq!(id_of(&daemon, &json!({ "eventId": id }).to_string()), *id);
    }
    for number in ["0", "42", "-7", "12345678901234567890123456789", "-98765432109876543210", "9007199254740993"] {
        assert_eq!(id_of(&daemon, &format!("{{\"n\":1,\"eventId\":{number}}}")), number);
    }
}

#[test]
fn escapes_in_ids_and_keys_are_the_text_they_stand_for() {
    let daemon = daemon();
    let id = unique();
    assert_eq!(id_of(&daemon, &format!("{{\"eventId\":\"{id}-\u{e9}/\u{1f600}\"}}")), format!("{id}-\u{e9}/\u{1f600}"));
    let escaped = format!(r#"{{"event\u0049d":"{id}-\u00e9\/\ud83d\ude00"}}"#);
    let answer = accepted(&daemon.send(&Signer::of("nice").sign(escaped)));
    assert_eq!(answer["id"], format!("{id}-\u{e9}/\u{1f600}"));
    assert_eq!(answer["status"], "quarantined", "the same id in other bytes is another body");
}

#[test]
fn what_is_present_but_no_id_is_refused() {
    let daemon = daemon();
    let long = "x".repeat(257);
    let wide = "\u{e9}".repeat(129);
    let values = [
        "\"\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[\"a\"]",
        "{\"a\":1}",
        "1.5",
        "-0.1",
        "1.0",
        "\"a\\u0000b\"",
        "\"a\\nb\"",
        "\"\\u007f\"",
        "\"\\u0085\"",
        "\"\\t\"",
        &format!("\"{long}\""),
        &format!("\"{wide}\""),
        &"1".repeat(257),
    ];
    for preset in ["nice", "cxone"] {
        for value in values {
            let body = format!("{{\"eventId\":{value}}}");
            let response = daemon.send(&Signer::of(preset).sign(&body));
            assert!(response.reason() == "invalid_event_id", "{preset} {body}: {response:?}");
            assert_refusal(&response, 400, "invalid_event_id");
        }
    }
}

#[test]
fn an_id_that_stands_twice_is_refused_however_it_is_spelt() {
    let daemon = daemon();
    for body in [
        r#"{"eventId":"a","eventId":"b"}"#,
        r#"{"eventId":"a","eventId":"a"}"#,
        r#"{"eventId":"a","x":1,"event\u0049d":"b"}"#,
        r#"{"\u0065ventId":"a","eventId":"b"}"#,
        r#"{"eventId":"a","eventId":null}"#,
        r#"{"eventId":null,"eventId":"a"}"#,
        r#"{"eventId":"a","x":{"eventId":"b"},"eventId":"c"}"#,
    ] {
        let response = daemon.send(&Signer::of("nice").sign(body));
        assert!(response.reason() == "invalid_event_id", "{body}: {response:?}");
        assert_refusal(&response, 400, "invalid_event_id");
    }
    for body in [
        r#"{"meta":{"a/b":{"id":"a","id":"b"}}}"#,
        r#"{"meta":{"a/b":{"id":"a"},"a/b":{"id":"b"}}}"#,
        r#"{"meta":{"a/b":{"id":"a"}},"meta":{"a/b":{"id":"b"}}}"#,
    ] {
        let response = daemon.send(&Signer::of("nice").target("/webhooks/deep").sign(body));
        assert!(response.reason() == "invalid_event_id", "{body}: {response:?}");
    }
}

#[test]
fn duplicates_elsewhere_do_not_matter() {
    let daemon = daemon();
    let id = unique();
    let body = format!(r#"{{"x":1,"x":2,"eventId":"{id}","data":{{"eventId":1,"eventId":2,"y":[],"y":[]}}}}"#);
    assert_eq!(id_of(&daemon, &body), id);
}

#[test]
fn a_pointer_goes_where_rfc_6901_says() {
    let daemon = daemon();
    let deep = |body: &serde_json::Value| {
        accepted(&daemon.send(&Signer::of("nice").target("/webhooks/deep").sign(body.to_string())))["id"].clone()
    };
    let id = unique();
    assert_eq!(deep(&json!({ "meta": { "a/b": { "id": id } } })), id);
    let absent = json!({ "meta": { "a~1b": { "id": unique() } } });
    assert_eq!(deep(&absent), digest_id(absent.to_string().as_bytes()));
    let scalar = json!({ "meta": unique() });
    assert_eq!(deep(&scalar), digest_id(scalar.to_string().as_bytes()));
}

#[test]
fn a_webhook_id_is_bounded_like_any_other() {
    let daemon = daemon();
    let standard = |id: &str| daemon.send(&Signer::of("standard-webhooks").id(id).sign(nameless()));
    let fits = "x".repeat(256);
    assert_eq!(accepted(&standard(&fits))["id"], fits);
    assert_refusal(&standard(&"x".repeat(257)), 400, "invalid_event_id");
    for id in [fits.as_str(), "a.b.c"] {
        assert_eq!(standard(id).status, 200);
    }
    let none = Signer::of("standard-webhooks").sign(nameless()).without("webhook-id");
    assert_eq!(daemon.send(&none).status, 401, "an id that is not there cannot be signed");
}

#[test]
fn the_id_of_one_source_does_not_depend_on_headers_of_another_scheme() {
    let daemon = daemon();
    let id = unique();
    let first = Signer::of("nice").sign(event(&id)).header("webhook-id", "other").header("X-Event-Id", "other");
    assert_eq!(accepted(&daemon.send(&first))["id"], id);
}
