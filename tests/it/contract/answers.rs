//! Contract 3 and 4: what each preset answers to a valid request, to it again, and to its id with another body.

use serde_json::{Value, json};

use crate::support::{
    self, Conn, Daemon, Request, Setup, Signer, accepted, callback, digest_id, event, nameless, unique, wire,
};

fn daemon() -> Daemon {
    Setup::every_preset()
        .preset_at("nice-two", "nice", "/webhooks/nice/two", "")
        .preset_at("bot-a", "cognigy", "/webhook/cognigy/bot-a", "")
        .start()
}

#[track_caller]
fn assert_plain(answer: &Value, word: &str, id: &str, duplicate: bool) {
    assert_eq!(*answer, json!({ "status": word, "id": id, "duplicate": duplicate }));
}

#[test]
fn every_preset_accepts_its_senders_once_and_knows_them_again() {
    let daemon = daemon();
    for (preset, word) in [("cxone", "accepted"), ("nice", "accepted")] {
        let id = unique();
        let request = Signer::of(preset).sign(event(&id));
        assert_plain(&accepted(&daemon.send(&request)), word, &id, false);
        assert_plain(&accepted(&daemon.send(&request)), word, &id, true);
        let again_later = Signer::of(preset).shifted(-30).sign(event(&id));
        assert_plain(&accepted(&daemon.send(&again_later)), word, &id, true);
    }
    for (preset, word) in [("cognigy", "validated"), ("cxone-expert", "accepted")] {
        let body = nameless();
        assert_plain(&accepted(&daemon.send(&Signer::of(preset).sign(&body))), word, &digest_id(&body), false);
        let again_later = Signer::of(preset).shifted(-30).sign(&body);
        assert_plain(&accepted(&daemon.send(&again_later)), word, &digest_id(&body), true);
    }
    let standard = Signer::of("standard-webhooks");
    let request = standard.sign(nameless());
    assert_plain(&accepted(&daemon.send(&request)), "accepted", &standard.id, false);
    assert_plain(&accepted(&daemon.send(&request)), "accepted", &standard.id, true);
}

#[test]
fn a_callback_is_processed_and_says_for_which_session_and_when() {
    let daemon = daemon();
    let body = callback();
    let session = serde_json::from_slice::<Value>(&body).unwrap()["sessionId"].clone();
    for duplicate in [false, true] {
        let answer = accepted(&daemon.send(&Signer::of("cognigy-callback").sign(&body)));
        assert_eq!(answer["status"], "processed");
        assert_eq!(answer["sessionId"], session);
        assert_eq!(answer["id"], digest_id(&body));
        assert_eq!(answer["duplicate"], duplicate);
        let time = answer["timestamp"].as_str().expect("a time in RFC 3339");
        let _: jiff::Timestamp = time.parse().unwrap();
        assert_eq!(answer.as_object().unwrap().len(), 5, "{answer}");
    }
}

#[test]
fn an_id_taken_by_another_body_quarantines_the_second_and_keeps_the_first() {
    let daemon = daemon();
    let standard = Signer::of("standard-webhooks").id(&unique());
    let id = unique();
    let other = |id: &str| json!({ "eventId": id, "other": true }).to_string();
    let rows = [
        (Signer::of("nice").sign(event(&id)), Signer::of("nice").sign(other(&id))),
        (Signer::of("cxone").sign(event(&id)), Signer::of("cxone").sign(other(&id))),
        (standard.sign(nameless()), standard.sign(nameless())),
    ];
    for (first, second) in rows {
        assert_eq!(accepted(&daemon.send(&first))["duplicate"], false);
        for _ in 0..2 {
            assert_eq!(accepted(&daemon.send(&second))["status"], "quarantined");
        }
        let again = accepted(&daemon.send(&first));
        assert_eq!((&again["status"], &again["duplicate"]), (&json!("accepted"), &json!(true)));
    }
    support::eventually("quarantine gauge", || {
        (daemon.scrape().get("gatepost_quarantine_entries", &[]) >= 3.0).then_some(())
    });
}

#[test]
fn two_sources_never_share_ids() {
    let daemon = daemon();
    let (id, body) = (unique(), nameless());
    let requests = [
        Signer::of("nice").sign(event(&id)),
        Signer::of("nice").target("/webhooks/nice/two").sign(json!({ "eventId": id }).to_string()),
        Signer::of("cxone").sign(event(&id)),
        Signer::of("standard-webhooks").id(&id).sign(&body),
        Signer::of("cognigy").sign(&body),
        Signer::of("cxone-expert").sign(&body),
    ];
    for request in requests {
        let answer = accepted(&daemon.send(&request));
        assert_eq!(answer["duplicate"], false, "{} {answer}", request.target);
        assert_ne!(answer["status"], "quarantined", "{}", request.target);
    }
    // Contract 7: the same secret, and only the body is signed. The other pair of one secret brought two bodies.
    let twin = accepted(&daemon.send(&Signer::of("cognigy").target("/webhook/cognigy/bot-a").sign(&body)));
    assert_eq!(twin["duplicate"], true, "{twin}");
}

#[test]
fn the_route_alone_decides_the_scheme() {
    let daemon = daemon();
    let nice = Signer::of("nice").sign(event(&unique()));
    for path in ["/webhook/cognigy", "/webhook/cognigy/callback", "/webhooks/cxone", "/webhooks/standard"] {
        assert_ne!(daemon.send(&nice.clone().at(path)).status, 200, "{path}");
    }
    assert_eq!(daemon.send(&nice).status, 200);
}

#[test]
fn an_expert_may_send_xml_and_its_bytes_are_the_id() {
    let daemon = daemon();
    for media in ["text/xml", "application/xml", "application/xml; charset=utf-8", "Text/XML;charset=UTF-8"] {
        let body = format!("<event id=\"{}\">\u{e9}</event>", unique());
        let request = Signer::of("cxone-expert").sign(&body).set("Content-Type", media);
        assert_plain(&accepted(&daemon.send(&request)), "accepted", &digest_id(body.as_bytes()), false);
    }
}

#[test]
fn any_of_the_configured_secrets_verifies_and_a_stranger_does_not() {
    let setup = Setup::new().env("NEW", "the-new-secret-0123456789").env("OLD", "the-old-secret-0123456789");
    let daemon = setup.source("nice", "nice", "secrets = [{ env = \"NEW\" }, { env = \"OLD\" }]").start();
    for (secret, status) in [
        ("the-new-secret-0123456789", 200),
        ("the-old-secret-0123456789", 200),
        ("the-new-secret-012345678", 401),
        ("the-new-secret-0123456789,the-old-secret-0123456789", 401),
    ] {
        let request = Signer::of("nice").secret(secret).sign(event(&unique()));
        assert_eq!(daemon.send(&request).status, status, "{secret}");
    }
}

#[test]
fn a_generic_source_does_what_its_lines_say() {
    let keys = r#"
        path = "/webhooks/other"
        signature_header = "X-Signature"
        signature_format = "sha256={base64}"
        timestamp_header = "X-Timestamp"
        timestamp_unit = "ms"
        signed_content = "{timestamp}.{body}"
        event_id = "/meta/id"
        event_type = "/type"
        required_fields = ["/meta/id"]
        content_types = ["application/vnd.other+json"]
        body_format = "json"
        stale_status = 410
        secrets = [{ env = "OTHER_SECRET" }]
    "#;
    let secret = "other-secret-0123456789";
    let daemon = Setup::new().source("other", "hmac", keys).env("OTHER_SECRET", secret).start();
    let request = |body: &[u8], milliseconds: i64| {
        use base64::Engine as _;
        let time = milliseconds.to_string();
        let mac = support::sign::mac(secret.as_bytes(), &[time.as_bytes(), b".", body].concat());
        let signature = base64::engine::general_purpose::STANDARD.encode(mac);
        Request::post("/webhooks/other")
            .header("Content-Type", "application/vnd.other+json")
            .header("x-timestamp", &time)
            .header("x-signature", &format!("sha256={signature}"))
            .body(body)
    };
    let (id, now) = (unique(), support::now() * 1000);
    let body = json!({ "meta": { "id": id }, "type": "t" }).to_string();
    assert_plain(&accepted(&daemon.send(&request(body.as_bytes(), now))), "accepted", &id, false);
    assert_plain(&accepted(&daemon.send(&request(body.as_bytes(), now - 299_000 + 10_000))), "accepted", &id, true);
    support::assert_refusal(&daemon.send(&request(body.as_bytes(), now - 310_000)), 410, "timestamp_expired");
    support::assert_refusal(&daemon.send(&request(body.as_bytes(), now / 1000)), 410, "timestamp_expired");
    support::assert_refusal(&daemon.send(&request(b"{\"type\":\"t\"}", now)), 400, "missing_required_fields");
    let plain_json = request(body.as_bytes(), now).set("Content-Type", "application/json");
    support::assert_refusal(&daemon.send(&plain_json), 415, "unsupported_media_type");
}

#[test]
fn keep_alive_serves_many_sources_on_one_connection() {
    let daemon = daemon();
    let mut conn: Conn = daemon.connect();
    for preset in support::sign::PRESETS {
        let body = if preset == "cognigy-callback" { callback() } else { event(&unique()) };
        assert_eq!(conn.ask(&Signer::of(preset).sign(body)).status, 200, "{preset}");
        let refused = Signer::of(preset).secret(OTHER).sign(event(&unique()));
        assert_eq!(conn.ask(&refused).status, 401, "{preset}");
    }
}

/// A secret that no source has, in a form that suits every scheme.
const OTHER: &str = "bm90LXRoZS1zZWNyZXQtb2YtYW55LXNvdXJjZQ==";

#[test]
fn a_fixed_body_limit_is_inclusive() {
    let daemon = Setup::new().set("limits", "body_bytes", "1000").preset("cxone-expert").start();
    let body = |length: usize| format!("<a>{}</a>", "x".repeat(length - 7));
    let xml = |length| Signer::of("cxone-expert").sign(body(length)).set("Content-Type", "text/xml");
    accepted(&daemon.send(&xml(1000)));
    support::assert_refusal(&daemon.send(&xml(1001)), 413, "payload_too_large");
    let chunked =
        |request: Request| daemon.send_raw(&request.header("Connection", "close").chunked_bytes(300)).remove(0);
    assert_eq!(accepted(&chunked(xml(1000)))["duplicate"], true);
    support::assert_refusal(&chunked(xml(1001)), 413, "payload_too_large");
    let _: Option<Conn> = Conn::open(daemon.webhook, wire::client_config(&daemon.ca, &[])).ok();
}
