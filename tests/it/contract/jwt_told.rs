//! JSON Web Tokens on the command line: sent right and wrong, kept without what lets somebody in, and explained.

use serde_json::{Value, json};

use crate::support::jwt::{Key, base64url, claims, p256};
use crate::support::{Daemon, Request, Setup, accepted, assert_refusal, eventually, nameless, now};

const SECRET: &str = "a-secret-of-more-than-32-bytes-0123456789";

fn setup(rest: &str) -> Setup {
    let keys = format!(
        "path = \"/one\"\nalgorithms = [\"HS256\"]\nissuer = \"me\"\naudience = \"hooks\"\n\
         secrets = [{{ env = \"IT_SECRET\", label = \"2026\" }}]\n{rest}"
    );
    Setup::new().source("one", "jwt", &keys).env("IT_SECRET", SECRET)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The program as a client against `daemon`.
#[track_caller]
fn sent(setup: &Setup, daemon: &Daemon, more: &[&str]) -> (Option<i32>, String) {
    let url = format!("https://localhost:{}/one", daemon.webhook.port());
    let ca = setup.write("ca.pem", setup.ca.pem()).trim_matches('"').to_owned();
    let output = setup.run(&[&["send", "one", "--url", &url, "--ca-file", &ca], more].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn send_makes_tokens_right_and_wrong() {
    let bound = setup("body_hash = \"/hashes/body\"\nevent_id = \"claim:jti\"");
    let daemon = bound.start();
    for _ in 0..2 {
        let (status, told) = sent(&bound, &daemon, &[]);
        assert!(status == Some(0), "{told}");
    }
    for fault in [
        "stale",
        "future",
        "wrong-key",
        "bad-signature",
        "missing-signature",
        "tampered-body",
        "missing-token",
        "wrong-token",
        "word-twice",
        "quoted-token",
        "other-word",
        "oversize",
        "wrong-content-type",
        "duplicate",
        "conflict",
    ] {
        let (status, told) = sent(&bound, &daemon, &["--fault", fault]);
        assert_eq!(status, Some(0), "{fault}: {told}");
    }
    let output = bound.run(&["events", "list", "--json"]);
    let events: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(events.as_array().unwrap().len(), 4, "two, a duplicate and the first of a conflict: {events}");
    let dry = text(&bound.run(&["send", "one", "--dry-run"]).stdout);
    assert!(dry.starts_with("curl ") && dry.contains("Bearer eyJ") && !dry.contains(SECRET), "{dry}");

    let loose = setup("");
    let daemon = loose.start();
    assert_eq!(sent(&loose, &daemon, &[]).0, Some(0));
    for fault in ["stale", "future", "wrong-key", "bad-signature", "missing-signature"] {
        let (status, told) = sent(&loose, &daemon, &["--fault", fault]);
        assert_eq!(status, Some(0), "{fault}: {told}");
    }
    let (status, told) = sent(&loose, &daemon, &["--fault", "tampered-body"]);
    assert!(status == Some(64) && told.contains("body_hash"), "{told}");
    assert_eq!(sent(&loose, &daemon, &["--fault", "conflict"]).0, Some(64), "its id is the digest");
}

#[test]
fn nobody_can_send_with_public_keys() {
    let setup = Setup::new();
    let file = setup.write("jwks.json", &json!({ "keys": [p256().jwk("a")] }).to_string());
    let keys = format!("path = \"/one\"\nalgorithms = [\"ES256\"]\njwks_file = {file}\naudience = \"hooks\"");
    let output = setup.source("one", "jwt", &keys).run(&["send", "one", "--dry-run"]);
    let told = text(&output.stderr);
    assert!(output.status.code() == Some(64) && told.contains("public keys") && told.contains("jwks.json"), "{told}");
}

fn bearer(token: &str) -> Request {
    let request = Request::post("/one").header("Content-Type", "application/json");
    request.header("Authorization", &format!("Bearer {token}")).body(&nameless())
}

fn listed(setup: &Setup) -> Vec<Value> {
    let output = setup.run(&["quarantine", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

#[test]
fn what_is_kept_is_explained_and_lets_nobody_in() {
    let setup = setup("");
    let daemon = setup.start();
    let own = Key::Secret(SECRET.into());
    let made = |key: &Key, changes: Value| key.token(&json!({ "alg": "HS256" }), &claims(&changes));
    let stranger = Key::Secret(b"a-secret-of-somebody-else-0123456789".to_vec());
    let tokens = [
        (made(&own, json!({ "iss": "me", "exp": now() - 4000 })), "jwt-expired"),
        (made(&own, json!({ "iss": "me", "aud": "elsewhere" })), "jwt-audience"),
        (made(&own, json!({ "iss": "you" })), "jwt-issuer"),
        (made(&stranger, json!({ "iss": "me" })), "jwt-signature"),
        (format!("{}.{}.", base64url("{\"alg\":\"none\"}"), base64url("{}")), "jwt-algorithm"),
    ];
    for (token, _) in &tokens {
        assert_refusal(&daemon.send(&bearer(token)), 401, "token_mismatch");
    }
    // A good token whose body is none: what was noted of it says that it was good.
    let good = made(&own, json!({ "iss": "me" }));
    assert_refusal(&daemon.send(&bearer(&good).body(b"no JSON")), 400, "invalid_json");
    let entries = eventually("all are kept", || Some(listed(&setup)).filter(|entries| entries.len() == 6));
    let mut told = String::new();
    for entry in &entries {
        let id = entry["id"].to_string();
        for arguments in [["quarantine", "show", &id].as_slice(), &["explain", &id]] {
            told += &text(&setup.run(arguments).stdout);
        }
    }
    told += &text(&std::fs::read(setup.path("gatepost.db-wal")).unwrap_or_default());
    told += &daemon.out();
    for (token, cause) in &tokens {
        assert!(told.contains(&format!("cause    {cause}: ")), "{cause} in {told}");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        assert!(told.contains(signed), "what it says is kept: {told}");
        assert!(signature.is_empty() || !told.contains(signature), "its signature is not: {told}");
    }
    assert!(told.contains("the token was made by key 2026"), "{told}");
    assert!(told.contains("REFUSED  invalid_json"), "{told}");
    // What is kept opens nothing.
    let kept = format!("{}.[signature redacted, made by key 2026]", good.rsplit_once('.').unwrap().0);
    assert_refusal(&daemon.send(&bearer(&kept)), 401, "token_mismatch");
    accepted(&daemon.send(&bearer(&good)));
}

#[test]
fn a_whole_request_is_explained_with_its_signature() {
    let setup = setup("");
    let hex = "6161616161616161616161616161616161616161616161616161616161616161";
    let setup = setup.env("IT_SECRET", hex);
    let decoded = Key::Secret(hex::decode(hex).unwrap());
    let token = decoded.token(&json!({ "alg": "HS256" }), &claims(&json!({ "iss": "me" })));
    let request = format!(
        "POST /one HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n\r\n{{}}"
    );
    let file = setup.write("request", &request).trim_matches('"').to_owned();
    let told = text(&setup.run(&["explain", "--request", &file]).stdout);
    assert!(told.contains("cause    secret-encoded: ") && told.contains("    secret_encoding = \"hex\""), "{told}");
    assert!(!told.contains(hex) && !told.contains(token.rsplit_once('.').unwrap().1), "{told}");
}

#[test]
fn what_is_released_has_the_id_that_its_token_claims() {
    let setup = setup("event_id = \"claim:jti\"");
    let daemon = setup.start();
    let late = json!({ "iss": "me", "exp": now() - 4000, "jti": "late-1" });
    let token = Key::Secret(SECRET.into()).token(&json!({ "alg": "HS256" }), &claims(&late));
    assert_refusal(&daemon.send(&bearer(&token)), 401, "token_mismatch");
    let entries = eventually("it is kept", || Some(listed(&setup)).filter(|entries| entries.len() == 1));
    let output = setup.run(&["quarantine", "release", "--operator", "me", &entries[0]["id"].to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let events = text(&setup.run(&["events", "list", "--json"]).stdout);
    assert!(events.contains("late-1"), "{events}");
}
