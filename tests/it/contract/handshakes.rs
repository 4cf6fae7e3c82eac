//! Handshakes: every vendor's question as its documentation has it, what it is told, who is told nothing, and that none of
//! it is stored. Signatures and MACs are made here by other code than the program's.

use rcgen::KeyPair;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::client_certificates::{PATH, ask, dns, pinned, san};
use crate::support::certs::Ca;
use crate::support::http2::Http2;
use crate::support::sign::{fingerprint, mac, secret_of};
use crate::support::{
    Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, event, eventually, nameless, now, unique,
};

const SLACK: &str = "slack-signing-secret-0123456789";
const ZOOM: &str = "zoom-secret-token-0123456789";
const META: &str = "meta-app-secret-0123456789";
const VERIFY: &str = "meta verify+token 0123456789";
const TOKEN: &str = "the-token-of-the-source-0123456789";

/// `v0={hex}` over `v0:{timestamp}:{body}`, as two vendors sign.
fn v0(header: &str, timestamp: &str, handshake: &str) -> String {
    format!(
        "signature_header = \"{header}\"\nsignature_format = \"v0={{hex}}\"\ntimestamp_header = \"{timestamp}\"\n\
         timestamp_unit = \"s\"\nsigned_content = \"v0:{{timestamp}}:{{body}}\"\nevent_id = \"digest\"\n\
         required_fields = [\"/event_id\"]\nhandshake = \"{handshake}\""
    )
}

fn setup() -> Setup {
    let slack = v0("X-Slack-Signature", "X-Slack-Request-Timestamp", "slack");
    let zoom = v0("x-zm-signature", "x-zm-request-timestamp", "zoom");
    let meta = "signature_header = \"X-Hub-Signature-256\"\nsignature_format = \"sha256={hex}\"\n\
                signed_content = \"{body}\"\nevent_id = \"digest\"\nsecrets = [{ env = \"IT_META\" }]\n\
                handshake = \"meta\"\nhandshake_token = { env = \"IT_VERIFY\" }";
    let token = "tokens = [{ env = \"IT_TOKEN\", label = \"tenant-a\" }]";
    let okta = format!("{token}\ntoken_format = \"{{token}}\"\nhandshake = \"okta\"");
    let ringcentral = format!(
        "{token}\ntoken_header = \"Verification-Token\"\ntoken_format = \"{{token}}\"\nhandshake = \"ringcentral\""
    );
    let cloudevents = format!("{token}\nhandshake = \"cloudevents\"");
    let sources = [
        ("slack", "hmac", format!("{slack}\nsecrets = [{{ env = \"IT_SLACK\" }}]")),
        (
            "zoom",
            "hmac",
            format!("{zoom}\nsecrets = [{{ env = \"IT_OTHER\", label = \"next\" }}, {{ env = \"IT_ZOOM\" }}]"),
        ),
        ("meta", "hmac", meta.to_owned()),
        ("okta", "token", okta),
        ("ringcentral", "token", ringcentral),
        ("cloudevents", "token", cloudevents),
    ];
    let setup = sources.iter().fold(Setup::new(), |setup, (name, preset, keys)| {
        let elsewhere = format!("path = \"/elsewhere/{name}\"\nallowed_ips = [\"192.0.2.0/24\"]\n{keys}");
        setup.source(name, preset, &format!("path = \"/{name}\"\n{keys}")).source(
            &format!("{name}-elsewhere"),
            preset,
            &elsewhere,
        )
    });
    [
        ("IT_SLACK", SLACK),
        ("IT_ZOOM", ZOOM),
        ("IT_OTHER", "another-zoom-secret-0123456789"),
        ("IT_META", META),
        ("IT_VERIFY", VERIFY),
        ("IT_TOKEN", TOKEN),
    ]
    .into_iter()
    .fold(setup, |setup, (name, value)| setup.env(name, value))
    .preset_at("signed", "cognigy", "/signed", "handshake = \"okta\"")
    .preset("nice")
}

fn v0_signed(path: &str, headers: [&str; 2], secret: &str, body: &[u8], time: i64) -> Request {
    let time = time.to_string();
    let signature = hex::encode(mac(secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body].concat()));
    let request = Request::post(path).header("Content-Type", "application/json").body(body);
    request.header(headers[0], &format!("v0={signature}")).header(headers[1], &time)
}

fn slack(body: &Value) -> Request {
    let headers = ["X-Slack-Signature", "X-Slack-Request-Timestamp"];
    v0_signed("/slack", headers, SLACK, body.to_string().as_bytes(), now())
}

fn zoom_with(secret: &str, body: &Value, time: i64) -> Request {
    let headers = ["x-zm-signature", "x-zm-request-timestamp"];
    v0_signed("/zoom", headers, secret, body.to_string().as_bytes(), time)
}

fn zoom(body: &Value) -> Request {
    zoom_with(ZOOM, body, now())
}

/// The body of Slack's documentation.
fn url_verification(challenge: &str) -> Value {
    json!({ "token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": challenge, "type": "url_verification" })
}

/// The body of Zoom's documentation.
fn url_validation(token: &str) -> Value {
    json!({ "payload": { "plainToken": token }, "event_ts": 1_654_503_849_680_i64, "event": "endpoint.url_validation" })
}

/// The request of Meta's documentation.
fn subscribe(challenge: &str) -> Request {
    let token = "meta%20verify%2Btoken+0123456789";
    Request::new("GET", &format!("/meta?hub.mode=subscribe&hub.challenge={challenge}&hub.verify_token={token}"))
}

/// The request of Okta's documentation.
fn okta(path: &str) -> Request {
    Request::new("GET", path)
        .header("User-Agent", "Okta-Integrations")
        .header("Accept", "application/json")
        .header("X-Okta-Verification-Challenge", "Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg")
}

fn authorized(request: Request) -> Request {
    request.header("Authorization", TOKEN)
}

fn ringcentral(token: &str) -> Request {
    Request::post("/ringcentral")
        .header("Content-Type", "application/json; charset=UTF-8")
        .header("Content-Length", "0")
        .header("Validation-Token", token)
}

/// The request of the specification, section 4.1.
fn options() -> Request {
    Request::new("OPTIONS", "/cloudevents")
        .header("WebHook-Request-Origin", "eventemitter.example.com")
        .header("WebHook-Request-Rate", "120")
}

/// Each vendor's question, and which source it goes to.
fn questions() -> [(&'static str, Request); 7] {
    [
        ("slack", slack(&url_verification("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"))),
        ("zoom", zoom(&url_validation("qgg8vlvZRS6UYooatFL8Aw"))),
        ("meta", subscribe("1158201444")),
        ("okta", authorized(okta("/okta"))),
        ("signed", okta("/signed")),
        ("ringcentral", ringcentral("a1b2-c3d4")),
        ("cloudevents", options()),
    ]
}

/// What every answer to a handshake has.
#[track_caller]
fn answered(response: &Response, content_type: Option<&str>, body: &str) {
    assert_eq!((response.status, response.text().as_str()), (200, body), "{response:?}");
    assert_eq!(response.header("content-type"), content_type, "{response:?}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{response:?}");
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{response:?}");
}

/// Whether `response` is what the source called `name` has to answer to its question.
#[track_caller]
fn right(name: &str, response: &Response) {
    let (text, object) = (Some("text/plain; charset=utf-8"), Some("application/json"));
    match name {
        "slack" => answered(response, text, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"),
        "zoom" => {
            // Made with openssl.
            let mac = "fa52ecf98b4919aaa696f04cdc156ea40b1eba020707f76b8c9e455168295b87";
            let told = json!({ "plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": mac });
            assert_eq!(response.json(), told);
            answered(response, object, &response.text());
        }
        "meta" => answered(response, text, "1158201444"),
        "okta" | "signed" => {
            answered(response, object, "{\"verification\":\"Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg\"}");
        }
        "ringcentral" => {
            answered(response, None, "");
            assert_eq!(response.header("validation-token"), Some("a1b2-c3d4"));
        }
        _ => {
            answered(response, None, "");
            assert_eq!(response.header("webhook-allowed-origin"), Some("eventemitter.example.com"));
            assert_eq!(response.header("webhook-allowed-rate"), Some("*"));
            assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
        }
    }
}

fn count(daemon: &Daemon, source: &str, outcome: &str) -> i64 {
    daemon.scrape().count("gatepost_requests_total", &[("source", source), ("outcome", outcome)])
}

fn listed(setup: &Setup, what: &str) -> Vec<Value> {
    let output = setup.run(&[what, "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[track_caller]
fn not_answered(response: &Response, status: u16, reason: &str) {
    assert!(response.reason() == reason, "wanted {reason}: {response:?}");
    assert_refusal(response, status, reason);
}

#[test]
fn every_vendor_is_answered_as_it_documents_and_nothing_is_stored() {
    let setup = setup();
    let daemon = setup.start();
    for (name, request) in questions() {
        assert_eq!(count(&daemon, name, "handshake"), 0, "{name}: there from the start");
        // Again is again: nothing is remembered.
        for _ in 0..2 {
            right(name, &daemon.send(&request));
        }
        assert_eq!(count(&daemon, name, "handshake"), 2, "{name}");
        assert_eq!(count(&daemon, name, "accepted"), 0, "{name}");
    }
    assert_eq!(listed(&setup, "events"), Vec::<Value>::new());
    assert_eq!(listed(&setup, "quarantine"), Vec::<Value>::new());
}

#[test]
fn over_http_2_the_answers_are_the_same() {
    let daemon = setup().start();
    let mut client = Http2::open(&daemon);
    for (name, request) in questions() {
        right(name, &client.ask(&request).unwrap());
    }
}

#[test]
fn one_record_says_so_and_an_audit_record_where_somebody_was_validated() {
    let daemon = setup().start();
    for (name, request) in questions() {
        daemon.send(&request);
        let record = daemon.access_where(name, |record| record["source"] == name);
        assert_eq!((&record["outcome"], &record["status"]), (&json!("handshake"), &json!(200)), "{name}");
        assert_eq!((&record["method"], &record["reason"]), (&json!(request.method), &Value::Null), "{name}");
        assert_eq!((&record["event_id"], &record["event_type"]), (&Value::Null, &Value::Null), "{name}");
        let (key, audited) = match name {
            "slack" => (json!(fingerprint(SLACK)), true),
            "zoom" => (json!(fingerprint(ZOOM)), true),
            "okta" => (json!("tenant-a"), true),
            "meta" => (Value::Null, true),
            _ => (Value::Null, false),
        };
        assert_eq!(record["key"], key, "{name}");
        if let Some(key) = key.as_str() {
            let used = "gatepost_verification_key_last_used_timestamp_seconds";
            assert!(daemon.scrape().get(used, &[("source", name), ("key", key)]) > 0.0, "{name}");
        }
        let audits = || daemon.audit().into_iter().filter(|record| record["source"] == name).collect::<Vec<_>>();
        if audited {
            eventually("the audit record", || (!audits().is_empty()).then_some(()));
        }
        assert!(audits().iter().all(|record| record["validated"] == true && record["reason"].is_null()));
        assert_eq!(audits().len(), usize::from(audited), "{name}");
    }
    assert_eq!(daemon.access().len(), questions().len());
}

#[test]
fn from_another_address_nobody_is_told_anything() {
    let daemon = setup().start();
    for (name, request) in questions().into_iter().filter(|(name, _)| *name != "signed") {
        let request = request.clone().at(&format!("/elsewhere{}", request.target));
        not_answered(&daemon.send(&request), 403, "ip_not_whitelisted");
        assert_eq!(count(&daemon, &format!("{name}-elsewhere"), "refused"), 1, "{name}");
    }
}

#[test]
fn a_signed_handshake_is_answered_after_the_signature_alone() {
    let setup = setup();
    let daemon = setup.start();
    let body = url_validation("qgg8vlvZRS6UYooatFL8Aw");
    let forged = zoom_with("not-the-secret-of-zoom-0123456789", &body, now());
    not_answered(&daemon.send(&forged), 401, "signature_mismatch");
    not_answered(&daemon.send(&zoom(&body).without("x-zm-signature")), 401, "missing_signature");
    not_answered(&daemon.send(&zoom_with(ZOOM, &body, now() - 4000)), 401, "timestamp_expired");
    let tampered = zoom(&body).body(url_validation("another").to_string().as_bytes());
    not_answered(&daemon.send(&tampered), 401, "signature_mismatch");
    not_answered(&daemon.send(&zoom(&body).set("Content-Type", "text/plain")), 415, "unsupported_media_type");
    // The MAC is made with the secret that verified.
    let told = daemon.send(&zoom_with("another-zoom-secret-0123456789", &body, now())).json();
    let other = hex::encode(mac(b"another-zoom-secret-0123456789", b"qgg8vlvZRS6UYooatFL8Aw"));
    assert_eq!(told["encryptedToken"], json!(other));
    // Refused as any request, they are kept as any; but nobody makes an event of one.
    let kept = eventually("the quarantine", || Some(listed(&setup, "quarantine")).filter(|kept| kept.len() == 4));
    let id = kept[0]["id"].to_string();
    let output = setup.run(&["quarantine", "release", &id, "--operator", "ann"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(64) && said.contains("is a handshake"), "{said}");
    let file = setup.path("request");
    std::fs::write(&file, zoom(&body).bytes()).unwrap();
    let output = setup.run(&["explain", "--request", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("it asks for the source's handshake") && !said.contains("REFUSED"), "{said}");
    assert_eq!(listed(&setup, "events"), Vec::<Value>::new());
}

#[test]
fn a_handshake_by_token_wants_the_right_one() {
    let setup = setup();
    let daemon = setup.start();
    let meta =
        |token: &str| daemon.send(&Request::new("GET", &format!("/meta?hub.mode=subscribe&hub.challenge=7{token}")));
    not_answered(&meta(""), 401, "missing_token");
    not_answered(&meta("&hub.verify_token="), 401, "missing_token");
    let good = "&hub.verify_token=meta%20verify%2Btoken%200123456789";
    for wrong in [
        "&hub.verify_token=x".to_owned(),
        "&hub.verify_token=meta+verify+token+0123456789".to_owned(),
        format!("{good}x"),
        format!("{good}{good}"),
        format!("{good}&hub.verify_token=x"),
        "&hub.verify_token=%zz".to_owned(),
    ] {
        not_answered(&meta(&wrong), 401, "token_mismatch");
    }
    assert_eq!(meta(good).text(), "7");
    not_answered(&daemon.send(&okta("/okta")), 401, "missing_token");
    not_answered(&daemon.send(&okta("/okta").header("Authorization", "another")), 401, "token_mismatch");
    not_answered(&daemon.send(&authorized(authorized(okta("/okta")))), 401, "token_mismatch");
    // No events, so that there is nothing to keep.
    assert_eq!(count(&daemon, "meta", "refused"), 8);
    assert_eq!(listed(&setup, "quarantine"), Vec::<Value>::new());
    let is_refusal = |record: &&Value| record["source"] == "meta" && record["validated"] == false;
    let refused = || daemon.audit().iter().filter(is_refusal).count();
    eventually("a record of each", || (refused() >= 8).then_some(()));
    assert_eq!(refused(), 8);
}

#[test]
fn what_cannot_be_sent_back_is_refused_and_never_reflected() {
    let setup = setup();
    let daemon = setup.start();
    let bad = |request: &Request, shown: &str| {
        let response = daemon.send(request);
        not_answered(&response, 400, "bad_request");
        assert!(shown.is_empty() || !format!("{response:?}").contains(shown), "{response:?}");
    };
    let long = "a".repeat(1025);
    let without = |name: &str| {
        let full = subscribe("1").target;
        let (path, query) = full.split_once('?').unwrap();
        let kept: Vec<&str> = query.split('&').filter(|item| !item.starts_with(name)).collect();
        Request::new("GET", &format!("{path}?{}", kept.join("&")))
    };
    bad(&without("hub.challenge"), "");
    bad(&without("hub.mode"), "");
    bad(&Request::new("GET", &subscribe("1").target.replace("=subscribe", "=unsubscribe")), "");
    bad(&Request::new("GET", &format!("{}&hub.challenge=2", subscribe("1").target)), "");
    bad(&subscribe(""), "");
    bad(&subscribe(&long), &long);
    for odd in ["a%0d%0aX-Evil:1", "%00", "%", "%4", "%zz", "%ff", "%c0%80", "%7f"] {
        bad(&subscribe(odd), "Evil");
    }
    let mut okta = authorized(okta("/okta"));
    bad(&okta.clone().without("X-Okta-Verification-Challenge"), "");
    bad(&okta.clone().set("X-Okta-Verification-Challenge", ""), "");
    bad(&okta.clone().set("X-Okta-Verification-Challenge", &long), &long);
    bad(&okta.clone().set("X-Okta-Verification-Challenge", "a\tb"), "");
    okta = okta.header("X-Okta-Verification-Challenge", "second");
    bad(&okta, "second");
    bad(&ringcentral(&long), &long);
    bad(&ringcentral("\u{e4}"), "");
    bad(&ringcentral("one").header("Validation-Token", "two"), "two");
    bad(&options().without("WebHook-Request-Origin"), "");
    bad(&options().header("WebHook-Request-Origin", "second.example"), "second");
    bad(&options().set("WebHook-Request-Origin", &long), &long);
    for body in [
        json!({ "type": "url_verification" }),
        url_verification(""),
        url_verification(&long),
        url_verification("a\nb"),
        json!({ "type": "url_verification", "challenge": 7 }),
        json!({ "type": "url_verification", "challenge": { "a": "b" } }),
    ] {
        // More than the digits of a request's name, which may be any.
        bad(&slack(&body), &"a".repeat(40));
    }
    let twice = br#"{"type":"url_verification","challenge":"one","challenge":"two"}"#;
    let headers = ["X-Slack-Signature", "X-Slack-Request-Timestamp"];
    bad(&v0_signed("/slack", headers, SLACK, twice, now()), "two");
    let both = br#"{"type":"url_verification","type":"event_callback","event_id":"1","challenge":"one"}"#;
    bad(&v0_signed("/slack", headers, SLACK, both, now()), "one\"");
    bad(&zoom(&json!({ "event": "endpoint.url_validation", "payload": {} })), "");
    assert_eq!(listed(&setup, "events"), Vec::<Value>::new());
    assert_eq!(listed(&setup, "quarantine"), Vec::<Value>::new());
}

#[test]
fn what_is_sent_back_may_have_a_kibibyte_and_is_no_page() {
    let daemon = setup().start();
    let whole = "a".repeat(1024);
    let text = Some("text/plain; charset=utf-8");
    answered(&daemon.send(&subscribe(&whole)), text, &whole);
    answered(&daemon.send(&slack(&url_verification(&whole))), text, &whole);
    let markup = "<script>alert('1')</script>";
    answered(&daemon.send(&subscribe("%3Cscript%3Ealert('1')%3C/script%3E")), text, markup);
    answered(&daemon.send(&slack(&url_verification(markup))), text, markup);
    assert_eq!(daemon.send(&ringcentral(&whole)).header("validation-token"), Some(whole.as_str()));
}

#[test]
fn events_go_their_way_beside_the_handshake() {
    let setup = setup();
    let daemon = setup.start();
    let told = |request: &Request| accepted(&daemon.send(request))["duplicate"].clone();
    assert_eq!(told(&slack(&json!({ "type": "event_callback", "event_id": unique(), "challenge": "x" }))), false);
    assert_eq!(told(&zoom(&json!({ "event": "meeting.started", "event_id": unique() }))), false);
    // The mark elsewhere, or no text: an event.
    assert_eq!(told(&slack(&json!({ "event_id": unique(), "event": { "type": "url_verification" } }))), false);
    assert_eq!(told(&slack(&json!({ "event_id": unique(), "type": ["url_verification"] }))), false);
    not_answered(&daemon.send(&slack(&json!({ "type": "event_callback" }))), 400, "missing_required_fields");
    let body = nameless();
    let signature = format!("sha256={}", hex::encode(mac(META.as_bytes(), &body)));
    let meta = Request::post("/meta?hub.mode=subscribe").header("Content-Type", "application/json");
    assert_eq!(told(&meta.body(&body).header("X-Hub-Signature-256", &signature)), false);
    let post = |path: &str| Request::post(path).header("Content-Type", "application/json").body(&nameless());
    assert_eq!(told(&authorized(post("/okta"))), false);
    assert_eq!(told(&post("/ringcentral").header("Verification-Token", TOKEN)), false);
    // Some notifications bring the header, too: what has a body is an event, and needs its token.
    let both = post("/ringcentral").header("Validation-Token", "x");
    not_answered(&daemon.send(&both), 401, "missing_token");
    assert_eq!(told(&both.header("Verification-Token", TOKEN)), false);
    let empty = Request::post("/ringcentral").header("Content-Type", "application/json");
    not_answered(&daemon.send(&empty), 401, "missing_token");
    let binary = post("/cloudevents").header("WebHook-Request-Origin", "eventemitter.example.com");
    not_answered(&daemon.send(&binary), 401, "missing_token");
    assert_eq!(told(&binary.header("Authorization", &format!("Bearer {TOKEN}"))), false);
    assert_eq!(listed(&setup, "events").len(), 9);
}

#[test]
fn other_methods_stay_refused_and_allow_says_which_are_not() {
    let daemon = setup().start();
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        for (path, allow) in [
            ("/slack", "POST"),
            ("/zoom", "POST"),
            ("/ringcentral", "POST"),
            ("/webhooks/nice", "POST"),
            ("/meta", "POST, GET"),
            ("/okta", "POST, GET"),
            ("/cloudevents", "POST, OPTIONS"),
        ] {
            // The answer to HEAD ends with the connection.
            let request = Request::new(method, path).header("Connection", "close");
            let response = daemon.send_raw(&request.bytes()).remove(0);
            if allow.contains(method) {
                assert!([400, 401].contains(&response.status), "{method} {path}: {response:?}");
            } else {
                assert_eq!((response.status, response.header("allow")), (405, Some(allow)), "{method} {path}");
            }
        }
    }
    // What the handshakes of others are, a source without one does not know.
    let nice = Signer::of("nice");
    let body = url_validation("a").to_string();
    assert_eq!(accepted(&daemon.send(&nice.sign(&body)))["status"], "accepted");
    assert_eq!(accepted(&daemon.send(&nice.sign(event(&unique()))))["status"], "accepted");
}

#[test]
fn load_comes_first_and_the_drain_is_told() {
    let setup = setup().set("limits", "concurrent_requests", "1").set("shutdown", "drain_delay", "\"60s\"");
    let daemon = setup.start();
    let mut holder = daemon.connect();
    let body = nameless();
    let event = Signer::of("nice").sign(&body);
    holder.send(&event.clone().header("Content-Length", &body.len().to_string()).head());
    for (name, request) in questions() {
        // The other one may not have been seen yet.
        let shed = || Some(daemon.send(&request)).filter(|response| response.status == 503);
        assert_refusal(&eventually(name, shed), 503, "overloaded");
    }
    holder.send(&body);
    accepted(&holder.response());
    daemon.signal(Signal::TERM);
    eventually("the drain", || (daemon.get("/readyz").status == 503).then_some(()));
    for (name, request) in questions() {
        let response = daemon.send(&request);
        assert_eq!(response.header("connection"), Some("close"), "{name}: {response:?}");
        right(name, &response);
    }
}

#[test]
fn where_a_certificate_is_wanted_nobody_is_answered_without() {
    let clients = Ca::new();
    let keys = "handshake = \"cloudevents\"\nclient_certificates";
    let setup = pinned(&clients, "optional", &san(&["dns:a.example"])).replace("client_certificates", keys);
    let daemon = setup.start();
    let request = options().at(PATH);
    not_answered(&ask(&daemon, None, &request).expect("an answer"), 401, "client_certificate_mismatch");
    let client = clients.client(&KeyPair::generate().unwrap(), vec![dns("a.example")], 2020, 4096);
    right("cloudevents", &ask(&daemon, Some(&client), &request).expect("an answer"));
    let record = daemon.access_where("the answer", |record| record["outcome"] == "handshake");
    assert_eq!(record["key"], "dns:a.example");
    assert_eq!(listed(&setup, "quarantine"), Vec::<Value>::new());
}

#[test]
fn a_handshake_that_cannot_work_is_a_fault() {
    let fault = |preset: &str, keys: &str| {
        let secret = secret_of("cognigy");
        let setup = Setup::new().source("one", preset, &format!("path = \"/one\"\n{keys}"));
        let output = setup.env("IT_SECRET", &secret).env("IT_SHORT", "short-token").run(&["check"]);
        assert_eq!(output.status.code(), Some(64), "{keys}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let (secrets, tokens) = ("secrets = [{ env = \"IT_SECRET\" }]\n", "tokens = [{ env = \"IT_SECRET\" }]\n");
    let own = "handshake_token = { env = \"IT_SECRET\" }";
    for (preset, keys, told) in [
        ("nice", format!("{secrets}handshake = \"Zoom\""), "expected one of none, slack, meta, okta, zoom"),
        ("nice", format!("{secrets}handshake = \"meta\""), "source[0].handshake_token: is missing"),
        ("nice", format!("{secrets}{own}"), "source[0].handshake_token: no handshake of this source"),
        ("nice", format!("{secrets}handshake = \"okta\"\n{own}"), "source[0].handshake_token: no handshake"),
        (
            "nice",
            format!("{secrets}handshake = \"meta\"\nhandshake_token = {{ env = \"IT_SHORT\" }}"),
            "shorter than 16",
        ),
        ("token", format!("{tokens}handshake = \"zoom\""), "source[0].handshake: \"zoom\" is answered with"),
        ("nice", format!("{secrets}algorithm = \"sha512\"\nhandshake = \"zoom\""), "source[0].handshake: \"zoom\""),
    ] {
        let said = fault(preset, &keys);
        assert!(said.contains(told) && said.lines().count() == 1, "{keys}: {said}");
    }
    let output = setup().run(&["check"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("handshake = \"meta\"") && shown.contains("handshake = \"none\""), "{shown}");
    assert!(!shown.contains(VERIFY) && shown.contains("handshake_token"), "{shown}");
}
