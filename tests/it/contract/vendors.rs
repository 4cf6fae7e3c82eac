//! What each vendor's documentation says that it signs: a known answer a row, published where the vendor gives one, else
//! made once with other programs; and the same over TLS, fresh, with other code as signer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatepost::scheme::{KeyIndex, Refusal, Scheme};
use http::request::Parts;
use serde_json::json;
use sha2::Sha512;

use super::configured;
use crate::support::{Request, Setup, accepted, assert_refusal, digest_id, sign, unique};

const SECRET: &str = "a-shared-secret-of-some-length";
const HEX_SECRET: &str = "00112233445566778899aabbccddeeff";
const BODY: &str = r#"{"id":"evt-1","event":"x"}"#;

/// A request that a vendor signed, and what it signed with.
struct Known {
    preset: &'static str,
    secret: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    /// When, where that is in the request.
    at: Option<i64>,
}

const fn known(preset: &'static str, at: Option<i64>, headers: &'static [(&'static str, &'static str)]) -> Known {
    Known { preset, secret: SECRET, headers, body: BODY, at }
}

const NOW: Option<i64> = Some(1_700_000_000);
const TIMED: &str = "aca3b6b27ee631c237d71d8a1ba75c2b978df93f1df8018a481c5c5a39333b51";

/// Published by the vendors.
const PUBLISHED: [Known; 3] = [
    Known {
        preset: "github",
        secret: "It's a Secret to Everybody",
        headers: &[("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")],
        body: "Hello, World!",
        at: None,
    },
    Known {
        preset: "slack",
        secret: "8f742231b10e8888abcd99yyyzzz85a5",
        headers: &[
            ("x-slack-request-timestamp", "1531420618"),
            ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
        ],
        body: "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
               channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
               response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
               trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
        at: Some(1_531_420_618),
    },
    Known {
        preset: "standard-webhooks",
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        headers: &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
        body: r#"{"test": 2432232314}"#,
        at: Some(1_614_265_330),
    },
];

/// Made with Python's hmac and with OpenSSL.
const MADE: [Known; 12] = [
    known(
        "cognigy-voice",
        NOW,
        &[("jambonz-signature", "t=1700000000,v1=aca3b6b27ee631c237d71d8a1ba75c2b978df93f1df8018a481c5c5a39333b51")],
    ),
    known(
        "chatwoot",
        NOW,
        &[
            ("x-chatwoot-timestamp", "1700000000"),
            ("x-chatwoot-signature", "sha256=aca3b6b27ee631c237d71d8a1ba75c2b978df93f1df8018a481c5c5a39333b51"),
        ],
    ),
    known("genesys-messaging", None, &[("x-hub-signature-256", "sha256=rKdM+Ktr83inVUXqke+PkJcF1Bobt6Kbs1Kv05qha5w=")]),
    known(
        "zendesk",
        NOW,
        &[
            ("x-zendesk-webhook-signature-timestamp", "2023-11-14T22:13:20Z"),
            ("x-zendesk-webhook-signature", "feueH9eUJYsFETy+7LT5S0Lg1TFjCy5O0CbR9razovY="),
        ],
    ),
    known(
        "zoom",
        NOW,
        &[
            ("x-zm-request-timestamp", "1700000000"),
            ("x-zm-signature", "v0=744e7e2604986afd27dd5cfb3699e2a5f68a536cf56a0d7f0cb849676a5af225"),
        ],
    ),
    Known {
        secret: HEX_SECRET,
        ..known(
            "dixa",
            NOW,
            &[(
                "x-dixa-signature",
                "t=1700000000000,v1=75f3dfa2c188f22b3d829d073a7abb169a58a633a2a031fc53bd2c6575dbebe5",
            )],
        )
    },
    known(
        "slack",
        NOW,
        &[
            ("x-slack-request-timestamp", "1700000000"),
            ("x-slack-signature", "v0=744e7e2604986afd27dd5cfb3699e2a5f68a536cf56a0d7f0cb849676a5af225"),
        ],
    ),
    known(
        "stripe",
        NOW,
        &[(
            "stripe-signature",
            "t=1700000000,v1=aca3b6b27ee631c237d71d8a1ba75c2b978df93f1df8018a481c5c5a39333b51,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
        )],
    ),
    known("shopify", None, &[("x-shopify-hmac-sha256", "rKdM+Ktr83inVUXqke+PkJcF1Bobt6Kbs1Kv05qha5w=")]),
    known(
        "pagerduty",
        None,
        &[("x-pagerduty-signature", "v1=aca74cf8ab6bf378a75545ea91ef8f909705d41a1bb7a29bb352afd39aa16b9c")],
    ),
    known(
        "pagerduty",
        None,
        &[(
            "x-pagerduty-signature",
            "v1=130dcacb53a94d983a37cf2acba98e805a1c37185309ba56fdcccbcf00d6dd8b,v1=aca74cf8ab6bf378a75545ea91ef8f909705d41a1bb7a29bb352afd39aa16b9c",
        )],
    ),
    known(
        "paystack",
        None,
        &[(
            "x-paystack-signature",
            "4e4e89b39dfa51644223aa14d171d45f4e8b7ff725f20f13d44f83daa1b651c5e7d5c25eed2f507aba6cef63e7472979725ff04b025dab41d43787eb56b0ed41",
        )],
    ),
];

fn scheme(known: &Known) -> std::sync::Arc<dyn Scheme> {
    configured(known.preset, &format!("secrets = [{{ value = {:?} }}]", known.secret)).build().unwrap()
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let request = http::Request::post("/hook");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(()).unwrap().into_parts().0
}

fn verdict(scheme: &dyn Scheme, head: &Parts, body: &str) -> Result<(Option<i64>, KeyIndex), Refusal> {
    let at = scheme.timestamp(head)?.map(|at| at.0);
    let claims = scheme.read(head)?;
    let key = scheme.verify(head, &claims, &bytes::Bytes::copy_from_slice(body.as_bytes()).into())?;
    Ok((at, key))
}

/// `value` with another time in it, else with another last letter or digit: in a form that is still one.
fn changed(value: &str) -> String {
    for (time, other) in [("1700000000", "1700000001"), (":20Z", ":21Z")] {
        if value.contains(time) {
            return value.replace(time, other);
        }
    }
    let last = value.rfind(|c: char| c.is_ascii_alphanumeric()).unwrap();
    let other = if value[last..].starts_with('a') { "b" } else { "a" };
    let other = if value.bytes().all(|byte| byte.is_ascii_digit()) { "7" } else { other };
    format!("{}{other}{}", &value[..last], &value[last + 1..])
}

#[test]
fn each_row_takes_what_is_known_of_its_vendor_and_nothing_beside_it() {
    for known in PUBLISHED.iter().chain(&MADE) {
        let preset = known.preset;
        let scheme = scheme(known);
        let good = head(known.headers);
        assert_eq!(verdict(&*scheme, &good, known.body), Ok((known.at, KeyIndex(0))), "{preset}");
        let longer = format!("{}\n", known.body);
        assert_eq!(verdict(&*scheme, &good, &longer), Err(Refusal::SignatureMismatch), "{preset}: another body");
        for (position, (_, value)) in known.headers.iter().enumerate() {
            let mut wrong: Vec<(&str, String)> =
                known.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let changed = changed(value);
            wrong[position].1.clone_from(&changed);
            let wrong: Vec<(&str, &str)> = wrong.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert!(changed != *value && verdict(&*scheme, &head(&wrong), known.body).is_err(), "{preset}: {wrong:?}");
            let fewer: Vec<_> =
                known.headers.iter().enumerate().filter(|(at, _)| *at != position).map(|(_, h)| *h).collect();
            assert!(
                verdict(&*scheme, &head(&fewer), known.body).is_err(),
                "{preset} without {}",
                known.headers[position].0
            );
        }
    }
    assert!(MADE.iter().filter(|known| known.headers.iter().any(|(_, value)| value.contains(TIMED))).count() == 3);
}

/// What a vendor sends now with `body`.
fn fresh(preset: &str, body: &[u8]) -> Request {
    let now = sign::now();
    let hex = |content: &[u8]| hex::encode(sign::mac(SECRET.as_bytes(), content));
    let before = |text: String| [text.as_bytes(), body].concat();
    let request = Request::post(&format!("/webhooks/{preset}")).header("Content-Type", "application/json").body(body);
    match preset {
        "cognigy-voice" => {
            request.header("Jambonz-Signature", &format!("t={now},v1={}", hex(&before(format!("{now}.")))))
        }
        "stripe" => request.header("Stripe-Signature", &format!("t={now},v1={}", hex(&before(format!("{now}."))))),
        "chatwoot" => request
            .header("X-Chatwoot-Timestamp", &now.to_string())
            .header("X-Chatwoot-Signature", &format!("sha256={}", hex(&before(format!("{now}."))))),
        "genesys-messaging" => {
            let mac = STANDARD.encode(sign::mac(SECRET.as_bytes(), body));
            request.header("X-Hub-Signature-256", &format!("sha256={mac}"))
        }
        "zendesk" => {
            let time = jiff::Timestamp::from_second(now).unwrap().to_string();
            let mac = STANDARD.encode(sign::mac(SECRET.as_bytes(), &before(time.clone())));
            request.header("X-Zendesk-Webhook-Signature-Timestamp", &time).header("X-Zendesk-Webhook-Signature", &mac)
        }
        "zoom" => request
            .header("x-zm-request-timestamp", &now.to_string())
            .header("x-zm-signature", &format!("v0={}", hex(&before(format!("v0:{now}:"))))),
        "slack" => request
            .header("X-Slack-Request-Timestamp", &now.to_string())
            .header("X-Slack-Signature", &format!("v0={}", hex(&before(format!("v0:{now}:"))))),
        "dixa" => {
            let content = before(format!("{now}000."));
            let mac = hex::encode(sign::mac(&hex::decode(HEX_SECRET).unwrap(), &content));
            request.header("X-DIXA-SIGNATURE", &format!("t={now}000,v1={mac}"))
        }
        "github" => {
            request.header("X-Hub-Signature-256", &format!("sha256={}", hex(body))).header("X-GitHub-Event", "issues")
        }
        "shopify" => request
            .header("X-Shopify-Hmac-Sha256", &STANDARD.encode(sign::mac(SECRET.as_bytes(), body)))
            .header("X-Shopify-Topic", "orders/create"),
        "pagerduty" => request.header("X-PagerDuty-Signature", &format!("v1={}", hex(body))),
        "paystack" => {
            let mut mac = <hmac::Hmac<Sha512> as hmac::KeyInit>::new_from_slice(SECRET.as_bytes()).unwrap();
            hmac::Mac::update(&mut mac, body);
            request.header("x-paystack-signature", &hex::encode(hmac::Mac::finalize(mac).into_bytes()))
        }
        other => panic!("no such row: {other}"),
    }
}

/// Makes a body of a vendor's shape around an id.
type Make = fn(&str) -> serde_json::Value;

/// Each row, the type that its bodies have, and how they are made.
const ROWS: [(&str, &str, Make); 12] = [
    ("cognigy-voice", "cognigy-voice", |id| json!({ "call_sid": id, "digits": "1" })),
    ("chatwoot", "message_created", |id| json!({ "event": "message_created", "id": 1, "content": id })),
    ("genesys-messaging", "Text", |id| json!({ "id": id, "type": "Text", "text": "hello" })),
    ("zendesk", "zen:event-type:ticket.created", |id| json!({ "type": "zen:event-type:ticket.created", "id": id })),
    ("zoom", "meeting.started", |id| json!({ "event": "meeting.started", "payload": { "object": { "id": id } } })),
    ("dixa", "CONVERSATION_CREATED", |id| json!({ "event_id": id, "event_fqn": "CONVERSATION_CREATED" })),
    (
        "slack",
        "app_mention",
        |id| json!({ "type": "event_callback", "event_id": id, "event": { "type": "app_mention" } }),
    ),
    ("stripe", "charge.succeeded", |id| json!({ "id": id, "type": "charge.succeeded" })),
    ("github", "issues", |id| json!({ "action": "opened", "issue": { "title": id } })),
    ("shopify", "orders/create", |id| json!({ "name": id })),
    ("pagerduty", "incident.triggered", |id| json!({ "event": { "id": id, "event_type": "incident.triggered" } })),
    ("paystack", "charge.success", |id| json!({ "event": "charge.success", "data": { "reference": id } })),
];

#[test]
fn what_a_vendor_sends_is_taken_once_with_its_id_and_type() {
    let secret = |preset: &str| if preset == "dixa" { HEX_SECRET } else { SECRET };
    let source = |setup: Setup, preset: &str| {
        setup.source(preset, preset, &format!("secrets = [{{ value = {:?} }}]", secret(preset)))
    };
    let daemon = ROWS.iter().fold(Setup::new(), |setup, (preset, ..)| source(setup, preset)).start();
    for (preset, kind, make) in ROWS {
        let id = unique();
        let body = make(&id).to_string();
        let request = fresh(preset, body.as_bytes());
        let answer = accepted(&daemon.send(&request));
        assert_eq!(answer["duplicate"], false, "{preset}: {answer}");
        let own = ["dixa", "slack", "stripe", "pagerduty"].contains(&preset);
        let told = answer["id"].as_str().unwrap();
        assert!(if own { told == id } else { told.starts_with("sha256:") }, "{preset}: {answer}");
        assert_eq!(accepted(&daemon.send(&request))["duplicate"], true, "{preset}");
        let record = daemon.access_where(preset, |record| record["source"] == preset);
        assert_eq!(record["event_type"], kind, "{preset}");
        let mut tampered = request.clone();
        tampered.body.push(b' ');
        assert_refusal(&daemon.send(&tampered), 401, "signature_mismatch");
    }
}

#[test]
fn two_equal_bodies_signed_at_two_times_are_two_events_where_what_is_signed_is_the_id() {
    let lines = format!("secrets = [{{ value = {SECRET:?} }}]");
    let daemon = Setup::new().source("cognigy-voice", "cognigy-voice", &lines).start();
    let body = json!({ "call_sid": unique(), "digits": "1" }).to_string();
    let at = |shift: i64| {
        let time = sign::now() + shift;
        let content = format!("{time}.{body}");
        let mac = hex::encode(sign::mac(SECRET.as_bytes(), content.as_bytes()));
        let request = Request::post("/webhooks/cognigy-voice").header("Content-Type", "application/json");
        let id = digest_id(content.as_bytes());
        (request.header("Jambonz-Signature", &format!("t={time},v1={mac}")).body(body.as_bytes()), id)
    };
    let ((first, first_id), (second, second_id)) = (at(0), at(-60));
    for (request, id) in [(&first, &first_id), (&second, &second_id)] {
        let answer = accepted(&daemon.send(request));
        assert_eq!((&answer["id"], &answer["duplicate"]), (&json!(id), &json!(false)));
    }
    assert_eq!(accepted(&daemon.send(&first))["duplicate"], true, "a retry that is not signed anew");
}

#[test]
fn what_is_signed_is_the_id_of_any_scheme_that_signs_and_of_no_other() {
    let daemon = Setup::new().preset_at("cxone", "cxone", "/webhooks/cxone", "event_id = \"signed\"").start();
    let body = crate::support::nameless();
    let request = crate::support::Signer::of("cxone").sign(&body);
    let first = accepted(&daemon.send(&request));
    assert!(first["id"].as_str().unwrap().starts_with("sha256:") && first["duplicate"] == false, "{first}");
    assert_eq!(accepted(&daemon.send(&request))["duplicate"], true);
    let later = crate::support::Signer::of("cxone").shifted(-60).sign(&body);
    let second = accepted(&daemon.send(&later));
    assert!(second["id"] != first["id"] && second["duplicate"] == false, "{second}");
    let rest = "path = \"/own\"\nevent_id = \"signed\"\ntokens = [{ value = \"a-token-of-some-length\" }]";
    let output = Setup::new().source("own", "token", rest).run(&["check"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(64) && told.contains("source[0].event_id: "), "{told}");
}
