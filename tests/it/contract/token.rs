//! Tokens, alone and beside a signature: who is let in, who is refused with the head, and what is recorded of either.
//! Tokens and their base64 are written here by other code than the program's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::{Value, json};

use crate::support::sign::{fingerprint, secret_of};
use crate::support::{
    Daemon, Request, Response, Setup, Signer, accepted, assert_refusal, digest_id, event, eventually, nameless, unique,
};

const NEW: &str = "the-new-token-0123456789";
const OLD: &str = "the-old-token-0123456789";
const BASIC: &str = "cognigy:pass:word-0123456789";
const LAST_USED: &str = "gatepost_verification_key_last_used_timestamp_seconds";
const PATH: &str = "/hook";

/// A source `one` of preset `token` with two tokens, the first of which has a label.
fn alone(rest: &str) -> Setup {
    let keys = format!(
        "path = \"{PATH}\"\ntokens = [{{ env = \"IT_NEW\", label = \"tenant-a\" }}, {{ env = \"IT_OLD\" }}]\n{rest}"
    );
    Setup::new().source("one", "token", &keys).env("IT_NEW", NEW).env("IT_OLD", OLD)
}

/// A source `one` of preset `cognigy-webhook`.
fn basic() -> Setup {
    let keys = format!("path = \"{PATH}\"\ntokens = [{{ env = \"IT_BASIC\" }}]");
    Setup::new().source("one", "cognigy-webhook", &keys).env("IT_BASIC", BASIC)
}

fn post(lines: &[(&str, &str)]) -> Request {
    let request = Request::post(PATH).header("Content-Type", "application/json").body(&nameless());
    lines.iter().fold(request, |request, (name, value)| request.header(name, value))
}

fn bearer(token: &str) -> Request {
    post(&[("Authorization", &format!("Bearer {token}"))])
}

fn listed(setup: &Setup) -> Vec<Value> {
    let output = setup.run(&["quarantine", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn events(setup: &Setup) -> usize {
    let output = setup.run(&["events", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len()
}

#[track_caller]
fn refused(response: &Response, reason: &str, challenge: &str) {
    assert_refusal(response, 401, reason);
    assert_eq!(response.header("www-authenticate"), Some(challenge));
}

#[test]
fn either_token_lets_in_and_is_named_in_the_records() {
    let daemon = alone("").start();
    for (token, key) in [(NEW, "tenant-a".to_owned()), (OLD, fingerprint(OLD))] {
        let request = bearer(token);
        let told = accepted(&daemon.send(&request));
        assert_eq!(told, json!({ "status": "accepted", "id": digest_id(&request.body), "duplicate": false }));
        let record = daemon.access_where("it", |record| record["event_id"] == told["id"]);
        assert_eq!((&record["key"], &record["event_type"]), (&json!(key), &json!("token")));
        assert!(daemon.scrape().get(LAST_USED, &[("source", "one"), ("key", &key)]) > 0.0, "{key}");
        assert_eq!(accepted(&daemon.send(&request))["duplicate"], true);
    }
    // The word is an authentication scheme's, whose case does not matter.
    for word in ["bearer", "BEARER", "BeArEr"] {
        accepted(&daemon.send(&post(&[("Authorization", &format!("{word} {NEW}"))])));
    }
    let audit = eventually("the audit record", || daemon.audit().into_iter().find(|it| it["source"] == "one"));
    assert_eq!((&audit["validated"], &audit["reason"]), (&json!(true), &Value::Null));
}

#[test]
fn whatever_else_comes_is_refused_and_not_stored() {
    let setup = alone("");
    let daemon = setup.start();
    let wanted = "Bearer realm=\"webhooks\"";
    refused(&daemon.send(&post(&[])), "missing_token", wanted);
    refused(&daemon.send(&post(&[("Authorization", "")])), "missing_token", wanted);
    refused(&daemon.send(&post(&[("X-Token", NEW), ("Cookie", NEW)])), "missing_token", wanted);
    let good = format!("Bearer {NEW}");
    let huge = format!("Bearer {}", "x".repeat(20_000));
    let wrong = [
        "Bearer".to_owned(),
        "Bearer another-token-0123456789".to_owned(),
        NEW.to_owned(),
        format!("Bearer{NEW}"),
        format!("Bearer\t{NEW}"),
        format!("Bearer Bearer {NEW}"),
        format!("Bearer \"{NEW}\""),
        format!("\"Bearer {NEW}\""),
        format!("Bearer '{NEW}'"),
        format!("Basic {NEW}"),
        format!("Token {NEW}"),
        format!("Bearer {}", NEW.to_uppercase()),
        format!("Bearer {NEW}x"),
        format!("Bearer {NEW} x"),
        format!("Bearer {NEW},"),
        format!("Bearer {NEW}, Bearer {NEW}"),
        format!("Bearer {NEW}{NEW}"),
        format!("Bearer {}", &NEW[1..]),
        format!("Bearer {}", &NEW[..NEW.len() - 1]),
        format!("Bearer {NEW}\u{e4}"),
        format!("Bearer {}", STANDARD.encode(NEW)),
        format!("Bearer {NEW},{OLD}"),
        format!("Bearer {}", NEW.replace('-', "%2D")),
        huge,
    ];
    for value in &wrong {
        refused(&daemon.send(&post(&[("Authorization", value)])), "token_mismatch", wanted);
    }
    // Twice is a refusal and not a choice, be they equal or not.
    for second in [good.as_str(), "Bearer x", ""] {
        refused(&daemon.send(&post(&[("Authorization", &good), ("Authorization", second)])), "token_mismatch", wanted);
    }
    let count = |reason| daemon.scrape().count("gatepost_refusals_total", &[("source", "one"), ("reason", reason)]);
    assert_eq!(count("token_mismatch"), i64::try_from(wrong.len()).unwrap() + 3);
    assert_eq!(count("missing_token"), 3);
    assert_eq!(events(&setup), 0);
    accepted(&daemon.send(&bearer(NEW)));
}

#[test]
fn basic_is_decoded_strictly() {
    let setup = basic();
    let daemon = setup.start();
    let wanted = "Basic realm=\"webhooks\", charset=\"UTF-8\"";
    let good = STANDARD.encode(BASIC);
    assert!(good.ends_with('='), "padding is looked at");
    for word in ["Basic", "basic", "BASIC"] {
        accepted(&daemon.send(&post(&[("Authorization", &format!("{word} {good}"))])));
    }
    let mut odd = good.clone().into_bytes();
    // Bits behind the last byte: another text of the same bytes.
    let last = odd.iter().rposition(|byte| *byte != b'=').unwrap();
    odd[last] += 1;
    for value in [
        format!("Basic {BASIC}"),
        format!("Basic {}", STANDARD_NO_PAD.encode(BASIC)),
        format!("Basic {}", String::from_utf8(odd).unwrap()),
        format!("Basic {}", STANDARD.encode("cognigy:Pass:word-0123456789")),
        format!("Basic {}", STANDARD.encode("Cognigy:pass:word-0123456789")),
        format!("Basic {}", STANDARD.encode(BASIC.trim_start_matches("cognigy"))),
        format!("Basic {}", STANDARD.encode(format!("{BASIC}\n"))),
        format!("Basic {}", URL_SAFE.encode("cognigy:\u{ff}\u{ff}?>?>?>?>")),
        format!("Basic {good} {good}"),
        format!("Basic \"{good}\""),
        format!("Basic Basic {good}"),
        format!("Bearer {good}"),
        good,
        "Basic ".to_owned(),
    ] {
        refused(&daemon.send(&post(&[("Authorization", &value)])), "token_mismatch", wanted);
    }
    refused(&daemon.send(&post(&[])), "missing_token", wanted);
}

#[test]
fn header_and_format_are_the_operators() {
    let keys = "token_header = \"X-Hub\"\ntoken_format = \"key={token};\"";
    let daemon = alone(keys).start();
    accepted(&daemon.send(&post(&[("x-hub", &format!("key={NEW};"))])));
    for value in [NEW.to_owned(), format!("key={NEW}"), format!("Key={NEW};"), format!("key= {NEW};")] {
        refused(&daemon.send(&post(&[("X-Hub", &value)])), "token_mismatch", "Signature realm=\"webhooks\"");
    }
    refused(&daemon.send(&bearer(NEW)), "missing_token", "Signature realm=\"webhooks\"");
}

/// What stands before what in contract 4.
#[test]
fn it_is_asked_for_after_the_address_and_before_time_signature_and_body() {
    let both = "path = \"/both\"\ntokens = [{ env = \"IT_NEW\" }]\nsecrets = [{ env = \"IT_SECRET\" }]";
    let setup = alone("body_bytes = 4096")
        .source("both", "cognigy", both)
        .source(
            "elsewhere",
            "token",
            "path = \"/elsewhere\"\ntokens = [{ env = \"IT_NEW\" }]\nallowed_ips = [\"192.0.2.0/24\"]",
        )
        .env("IT_SECRET", &secret_of("cognigy"));
    let daemon = setup.start();
    let stale = Signer::of("cognigy").shifted(-4000).target("/both").sign(nameless());
    let rows = [
        (post(&[]).set("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        (post(&[]).body(&[b' '; 5000]), 413, "payload_too_large"),
        (post(&[]).at("/elsewhere"), 403, "ip_not_whitelisted"),
        (stale.clone(), 401, "missing_token"),
        (stale.clone().header("Authorization", "Bearer x"), 401, "token_mismatch"),
        (stale.clone().header("Authorization", &format!("Bearer {NEW}")), 410, "timestamp_expired"),
        (post(&[]).at("/both"), 401, "missing_token"),
        (bearer(NEW).at("/both"), 401, "missing_timestamp"),
        (bearer(NEW).body(b"no JSON"), 400, "invalid_json"),
        (bearer(OLD).body(b"[]"), 400, "invalid_json"),
        (bearer("another-token-0123456789").body(b"no JSON"), 401, "token_mismatch"),
    ];
    for (request, status, reason) in rows {
        assert_refusal(&daemon.send(&request), status, reason);
    }
    // With the head alone: nobody waits for a body that never comes, nor asks for it.
    for line in ["", "Expect: 100-continue\r\n"] {
        for token in ["", "Authorization: Bearer wrong-token-0123456789\r\n"] {
            let mut conn = daemon.connect();
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n{line}{token}\r\n"
            );
            conn.send(head.as_bytes());
            assert_eq!(conn.response().status, 401, "{head}");
        }
    }
}

#[test]
fn beside_a_signature_both_must_hold_and_both_are_named() {
    for preset in ["cxone", "cognigy", "cognigy-callback", "nice", "cxone-expert", "standard-webhooks"] {
        let keys = "tokens = [{ env = \"IT_NEW\", label = \"gate\" }, { env = \"IT_OLD\" }]\ntoken_header = \"X-Gate\"";
        let path = "/both";
        let setup = Setup::new().preset_at("both", preset, path, keys).env("IT_NEW", NEW).env("IT_OLD", OLD);
        let daemon = setup.start();
        let body = || match preset {
            "cognigy-callback" => crate::support::callback(),
            _ => event(&unique()),
        };
        let signed = || Signer::of(preset).target(path).sign(body());
        let gate = |request: Request, token: &str| request.header("X-Gate", &format!("Bearer {token}"));
        let told = accepted(&daemon.send(&gate(signed(), OLD)));
        let record = daemon.access_where(preset, |record| record["event_id"] == told["id"]);
        let key = record["key"].as_str().unwrap();
        assert!(key.ends_with(&format!("+{}", fingerprint(OLD))), "{preset}: {key}");
        for used in key.split('+') {
            assert!(daemon.scrape().get(LAST_USED, &[("source", "both"), ("key", used)]) > 0.0, "{preset}: {used}");
        }
        let unused = daemon.scrape().get(LAST_USED, &[("source", "both"), ("key", "gate")]);
        assert!(unused <= 0.0, "{preset}: {unused}");
        assert_refusal(&daemon.send(&signed()), 401, "missing_token");
        assert_refusal(&daemon.send(&gate(signed(), "wrong-token-0123456789")), 401, "token_mismatch");
        let forged = || Signer::of(preset).secret(&format!("{}x", secret_of(preset))).target(path);
        if preset != "standard-webhooks" {
            assert_refusal(&daemon.send(&gate(forged().sign(body()), NEW)), 401, "signature_mismatch");
        }
        assert_eq!(events(&setup), 1, "{preset}");
    }
}

#[test]
fn tokens_rotate_by_reload() {
    let setup = alone("");
    let daemon = setup.start();
    accepted(&daemon.send(&bearer(OLD)));
    let setup = setup.replace(", { env = \"IT_OLD\" }", "");
    assert_eq!(daemon.reload(&setup), "source one changed");
    assert_refusal(&daemon.send(&bearer(OLD)), 401, "token_mismatch");
    accepted(&daemon.send(&bearer(NEW)));
    let series = daemon.scrape();
    assert!(!series.of(LAST_USED).iter().any(|name| name.contains(&fingerprint(OLD))), "{:?}", series.of(LAST_USED));

    let worse = setup.replace("{ env = \"IT_NEW\", label = \"tenant-a\" }", "{ value = \"short\" }");
    let told = daemon.refused_reload(&worse);
    assert!(told.contains("source[0].tokens[0]") && !told.contains("short\""), "{told}");
    accepted(&daemon.send(&bearer(NEW)));
}

#[test]
fn the_variables_of_the_vendors_enable_their_sources() {
    let second = "a-second-token-0123456789";
    let setup = Setup::env_only()
        .env("CXONE_STUDIO_TOKENS", &format!("{NEW}, {second}"))
        .env("COGNIGY_WEBHOOK_BASIC", "user:with,comma-0123456789")
        .env("EVENTBRIDGE_API_KEYS", OLD);
    let daemon = setup.start();
    let to = |path: &str| post(&[]).at(path);
    for token in [NEW, second] {
        let request = to("/webhooks/cxone-studio").header("Authorization", &format!("Bearer {token}"));
        accepted(&daemon.send(&request));
    }
    let basic = format!("Basic {}", STANDARD.encode("user:with,comma-0123456789"));
    accepted(&daemon.send(&to("/webhooks/cognigy-webhook").header("Authorization", &basic)));
    let key = to("/webhooks/eventbridge").header("x-api-key", OLD);
    let key = key.body(br#"{"id":"7","detail-type":"Contact Ended","detail":{}}"#);
    assert_eq!(accepted(&daemon.send(&key))["id"], "7");
    let record = daemon.access_where("eventbridge", |record| record["event_id"] == "7");
    assert_eq!(record["event_type"], "Contact Ended");
    assert_refusal(&daemon.send(&to("/webhooks/cxone-integration-hub")), 404, "not_found");

    let file = Setup::env_only();
    file.write("tokens", &format!("{NEW},{OLD}\n"));
    let path = file.path("tokens").display().to_string();
    let file = file.env("CXONE_STUDIO_TOKENS_FILE", &path);
    let daemon = file.start();
    accepted(&daemon.send(&to("/webhooks/cxone-studio").header("Authorization", &format!("Bearer {OLD}"))));

    for (name, value) in [
        ("CXONE_STUDIO_TOKENS", "short"),
        ("EVENTBRIDGE_API_KEYS", ""),
        ("COGNIGY_WEBHOOK_BASIC", "no-colon-0123456789"),
    ] {
        let output = Setup::env_only().env(name, value).run(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(64) && said.contains(name), "{name}: {said}");
    }
}

#[test]
fn studio_and_integration_hub_take_forms_type_with_json_in_it() {
    let tokens = "tokens = [{ env = \"IT_NEW\" }]";
    let setup = Setup::new()
        .source("studio", "cxone-studio", tokens)
        .source("hub", "cxone-integration-hub", tokens)
        .source("logs", "cognigy-logs", tokens)
        .env("IT_NEW", NEW);
    let daemon = setup.start();
    let form =
        |path: &str| bearer(NEW).at(path).set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8");
    for path in ["/webhooks/cxone-studio", "/webhooks/cxone-integration-hub"] {
        accepted(&daemon.send(&form(path)));
        assert_refusal(&daemon.send(&form(path).body(b"a=1&b=2")), 400, "invalid_json");
        accepted(&daemon.send(&bearer(NEW).at(path)));
    }
    assert_refusal(&daemon.send(&form("/webhooks/cognigy-logs")), 415, "unsupported_media_type");
    accepted(&daemon.send(&bearer(NEW).at("/webhooks/cognigy-logs")));
}

#[test]
fn ids_may_come_from_a_header_where_nothing_is_signed() {
    let daemon = alone("event_id = \"header:X-Id\"\nevent_type = \"header:X-Type\"").start();
    let request = bearer(NEW).header("X-Id", "a-1").header("X-Type", "order.created");
    assert_eq!(accepted(&daemon.send(&request))["id"], "a-1");
    let record = daemon.access_where("it", |record| record["event_id"] == "a-1");
    assert_eq!(record["event_type"], "order.created");
    assert_refusal(&daemon.send(&bearer(NEW)), 400, "invalid_event_id");
    assert_refusal(&daemon.send(&request.header("X-Id", "a-2")), 400, "invalid_event_id");
}

#[test]
fn no_token_reaches_quarantine_or_logs() {
    let setup = alone("token_header = \"X-Caller\"\ntoken_format = \"{token}\"");
    let daemon = setup.start();
    let foreign = "somebody-elses-token-0123456789";
    for request in [
        post(&[("X-Caller", foreign)]),
        post(&[("X-Caller", &format!("Bearer \"{NEW}\""))]),
        post(&[("Authorization", &format!("Bearer {foreign}"))]),
        post(&[("X-Other", OLD)]),
        post(&[("X-Caller", NEW), ("X-Caller", OLD)]),
        post(&[("X-Caller", NEW)]).body(b"no JSON"),
    ] {
        assert!((400..402).contains(&daemon.send(&request).status));
    }
    let entries = eventually("all are kept", || Some(listed(&setup)).filter(|entries| entries.len() == 6));
    for entry in entries {
        let shown = setup.run(&["quarantine", "show", &entry["id"].to_string()]);
        let raw =
            String::from_utf8_lossy(&std::fs::read(setup.path("gatepost.db-wal")).unwrap_or_default()).into_owned();
        let told = String::from_utf8(shown.stdout).unwrap() + &entry.to_string() + &daemon.out() + &raw;
        for token in [NEW, OLD, foreign] {
            assert!(!told.contains(token), "{entry}");
        }
    }
}

#[test]
fn a_flood_of_wrong_tokens_keeps_a_few_and_stores_nothing() {
    let setup = alone("");
    let daemon = setup.start();
    let mut conn = daemon.connect();
    for _ in 0..300 {
        let response = conn.ask(&bearer("wrong-token-0123456789"));
        assert_eq!(response.status, 401);
    }
    let kept = eventually("some are kept", || Some(listed(&setup).len()).filter(|kept| *kept >= 20));
    assert!(kept < 150, "{kept}");
    assert_eq!(events(&setup), 0);
}

fn checked(setup: &Setup) -> (Option<i32>, String) {
    let output = setup.run(&["check"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn what_cannot_act_is_an_error_and_what_is_weak_a_warning() {
    let only = "a token alone proves only that the sender knows it";
    let open = alone("allowed_ips = \"any\"");
    let (status, told) = checked(&open);
    assert!(status == Some(0) && told.contains(only), "{told}");
    let daemon = open.start();
    assert!(daemon.out().contains(only), "{}", daemon.out());
    let (status, told) = checked(&alone(""));
    assert!(status == Some(0) && !told.contains(only), "{told}");
    assert!(told.contains("token_header = \"Authorization\"") && told.contains("key tenant-a"), "{told}");
    assert!(!told.contains(NEW) && !told.contains(OLD), "{told}");

    let token = |keys: &str| Setup::new().source("a", "token", &format!("path = \"/a\"\n{keys}")).env("IT_NEW", NEW);
    let nice = |keys: &str| {
        let keys = format!("secrets = [{{ env = \"IT_SECRET\", label = \"x\" }}]\n{keys}");
        Setup::new().source("a", "nice", &keys).env("IT_NEW", NEW).env("IT_SECRET", &secret_of("nice"))
    };
    let tokens = "tokens = [{ env = \"IT_NEW\" }]";
    for (setup, at) in [
        (token(""), "tokens"),
        (token("tokens = []"), "tokens"),
        (token("tokens = [{ value = \"short\" }]"), "tokens[0]"),
        (token("tokens = [{ env = \"IT_NEW\" }, { value = \"                    \" }]"), "tokens[1]"),
        (token(&format!("{tokens}\ntoken_format = \"Bearer\"")), "token_format"),
        (token(&format!("{tokens}\ntoken_format = \"{{token}}{{token}}\"")), "token_format"),
        (token(&format!("{tokens}\ntoken_format = \"Basic {{basic}}\"")), "tokens[0]"),
        (token(&format!("{tokens}\ntoken_header = \"X Y\"")), "token_header"),
        (token(&format!("{tokens}\nsecrets = [{{ env = \"IT_NEW\" }}]")), "secrets"),
        (token(&format!("{tokens}\nmax_drift = \"60s\"")), "max_drift"),
        (token(&format!("{tokens}\nsignature_header = \"X\"")), "signature_header"),
        (
            token(
                "tokens = [{ env = \"IT_NEW\", label = \"a\" }, { value = \"other-token-0123456789\", label = \"a\" }]",
            ),
            "tokens",
        ),
        (nice("tokens = []"), "tokens"),
        (nice("token_header = \"X-Gate\""), "token_header"),
        (nice("token_format = \"{token}\""), "token_format"),
        (nice(&format!("{tokens}\ntoken_header = \"x-nice-signature\"")), "token_header"),
        (nice("tokens = [{ env = \"IT_NEW\", label = \"x\" }]"), "tokens"),
        (Setup::new().preset_at("a", "cxone", "/a", tokens).env("IT_NEW", NEW), "token_header"),
    ] {
        let (status, told) = checked(&setup);
        assert!(status == Some(64) && told.contains(&format!("source[0].{at}")), "{at}: {told}");
    }
    let (status, told) = checked(&nice(&format!("{tokens}\ntoken_header = \"X-Gate\"")));
    assert!(status == Some(0) && told.contains("token_header = \"X-Gate\""), "{told}");
    let (status, told) = checked(&nice(""));
    assert!(status == Some(0) && !told.contains("token"), "{told}");
}

/// The program as a client: `send` with and without `fault`, against `daemon`.
#[track_caller]
fn sent(setup: &Setup, daemon: &Daemon, source: &str, path: &str, fault: &[&str]) -> (Option<i32>, String) {
    let url = format!("https://localhost:{}{path}", daemon.webhook.port());
    let ca = setup.write("ca.pem", setup.ca.pem()).trim_matches('"').to_owned();
    let output = setup.run(&[&["send", source, "--url", &url, "--ca-file", &ca], fault].concat());
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), told)
}

#[test]
fn send_sends_a_token_right_and_wrong() {
    let setup = alone("").source("two", "cognigy-webhook", "path = \"/two\"\ntokens = [{ env = \"IT_BASIC\" }]");
    let both = "path = \"/three\"\ntokens = [{ env = \"IT_NEW\" }]\nsecrets = [{ env = \"IT_SECRET\" }]";
    let setup = setup.source("three", "nice", both).env("IT_BASIC", BASIC).env("IT_SECRET", &secret_of("nice"));
    let daemon = setup.start();
    for (source, path) in [("one", PATH), ("two", "/two"), ("three", "/three")] {
        let (status, told) = sent(&setup, &daemon, source, path, &[]);
        assert_eq!(status, Some(0), "{source}: {told}");
        for fault in ["missing-token", "wrong-token", "word-twice", "quoted-token", "other-word", "wrong-key"] {
            let (status, told) = sent(&setup, &daemon, source, path, &["--fault", fault]);
            assert_eq!(status, Some(0), "{source} {fault}: {told}");
        }
        let output = setup.run(&["send", source, "--dry-run"]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let secrets = [NEW.to_owned(), BASIC.to_owned(), STANDARD.encode(BASIC)];
        assert!(told.starts_with("curl ") && secrets.iter().all(|secret| !told.contains(secret)), "{told}");
    }
    for (source, fault) in
        [("one", "tampered-body"), ("one", "bad-signature"), ("one", "stale"), ("two", "missing-signature")]
    {
        assert_eq!(sent(&setup, &daemon, source, PATH, &["--fault", fault]).0, Some(64), "{source} {fault}");
    }
}
