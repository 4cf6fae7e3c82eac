//! The keys of JSON Web Tokens: what may be configured, how they change under a running daemon.

use serde_json::{Value, json};

use crate::support::jwt::{Key, claims, ed25519, p256, rsa};
use crate::support::sign::fingerprint;
use crate::support::{Request, Setup, accepted, assert_refusal, eventually, nameless};

const NEW: &str = "the-new-secret-of-more-than-32-bytes-0123";
const OLD: &str = "the-old-secret-of-more-than-32-bytes-0123";
const LAST_USED: &str = "gatepost_verification_key_last_used_timestamp_seconds";

fn bearer(token: &str) -> Request {
    let request = Request::post("/hook").header("Content-Type", "application/json");
    request.header("Authorization", &format!("Bearer {token}")).body(&nameless())
}

fn checked(setup: &Setup) -> (Option<i32>, String) {
    let output = setup.run(&["check"]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// A source `one` with the public keys in `jwks.json`.
fn public(algorithms: &str, keys: &[Value], rest: &str) -> Setup {
    let setup = Setup::new();
    let file = setup.write("jwks.json", &json!({ "keys": keys }).to_string());
    setup.source("one", "jwt", &format!("path = \"/hook\"\nalgorithms = {algorithms}\njwks_file = {file}\n{rest}"))
}

/// A source `one` with `secrets`.
fn secrets(list: &str, rest: &str) -> Setup {
    let keys = format!("path = \"/hook\"\nalgorithms = [\"HS256\"]\nsecrets = [{list}]\n{rest}");
    Setup::new().source("one", "jwt", &keys).env("IT_NEW", NEW).env("IT_OLD", OLD)
}

#[test]
fn a_jwks_that_changes_is_read_again_and_a_bad_one_changes_nothing() {
    let (first, second) = (p256(), ed25519());
    let setup = public("[\"ES256\", \"EdDSA\"]", &[first.jwk("first")], "");
    let daemon = setup.start();
    let payload = || claims(&json!({ "aud": null }));
    let by_first = || bearer(&first.token(&json!({ "alg": "ES256", "kid": "first" }), &payload()));
    let by_second = || bearer(&second.token(&json!({ "alg": "EdDSA", "kid": "second" }), &payload()));
    accepted(&daemon.send(&by_first()));
    assert_refusal(&daemon.send(&by_second()), 401, "token_mismatch");
    let replace = |keys: &[Value]| {
        setup.write("jwks.json.new", &json!({ "keys": keys }).to_string());
        std::fs::rename(setup.path("jwks.json.new"), setup.path("jwks.json")).unwrap();
    };
    // Nobody asks: the file is watched.
    replace(&[first.jwk("first"), second.jwk("second")]);
    eventually("the second key is known", || (daemon.send(&by_second()).status == 200).then_some(()));
    accepted(&daemon.send(&by_first()));
    let named = daemon.scrape();
    assert!(named.get(LAST_USED, &[("source", "one"), ("key", "second")]) > 0.0);

    setup.write("jwks.json", "{\"keys\":[");
    let told = daemon.refused_reload(&setup);
    assert!(told.contains("source[0].jwks_file") && told.contains("jwks.json"), "{told}");
    accepted(&daemon.send(&by_first()));
    accepted(&daemon.send(&by_second()));

    replace(&[second.jwk("second")]);
    assert_eq!(daemon.reload(&setup), "source one changed");
    assert_refusal(&daemon.send(&by_first()), 401, "token_mismatch");
    accepted(&daemon.send(&by_second()));
    assert!(!daemon.scrape().of(LAST_USED).iter().any(|name| name.contains("first")));

    // Another key under the same name.
    let third = ed25519();
    replace(&[third.jwk("second")]);
    assert_eq!(daemon.reload(&setup), "secrets of source one changed");
    assert_refusal(&daemon.send(&by_second()), 401, "token_mismatch");
    accepted(&daemon.send(&bearer(&third.token(&json!({ "alg": "EdDSA", "kid": "second" }), &payload()))));
}

#[test]
fn secrets_rotate_and_are_named() {
    let setup = secrets("{ env = \"IT_NEW\", label = \"2026\" }, { env = \"IT_OLD\" }", "");
    let daemon = setup.start();
    let by = |secret: &str| {
        bearer(
            &Key::Secret(secret.into()).token(&json!({ "alg": "HS256", "kid": "x" }), &claims(&json!({ "aud": null }))),
        )
    };
    for (secret, key) in [(NEW, "2026".to_owned()), (OLD, fingerprint(OLD))] {
        let told = accepted(&daemon.send(&by(secret)));
        let record = daemon.access_where("it", |record| record["event_id"] == told["id"]);
        assert_eq!(record["key"], key);
        assert!(daemon.scrape().get(LAST_USED, &[("source", "one"), ("key", &key)]) > 0.0, "{key}");
    }
    let setup = setup.replace(", { env = \"IT_OLD\" }", "");
    assert_eq!(daemon.reload(&setup), "source one changed");
    assert_refusal(&daemon.send(&by(OLD)), 401, "token_mismatch");
    accepted(&daemon.send(&by(NEW)));

    let hex = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let encoded = secrets("{ env = \"IT_HEX\" }", "secret_encoding = \"hex\"").env("IT_HEX", hex);
    let daemon = encoded.start();
    let key = Key::Secret(hex::decode(hex).unwrap());
    accepted(&daemon.send(&bearer(&key.token(&json!({ "alg": "HS256" }), &claims(&json!({ "aud": null }))))));
    assert_refusal(&daemon.send(&by(hex)), 401, "token_mismatch");
}

#[test]
fn what_cannot_act_is_an_error_that_names_its_key() {
    let own = p256();
    let jwk = own.jwk("a");
    let one = std::slice::from_ref(&jwk);
    let es256 = |keys: &[Value]| public("[\"ES256\"]", keys, "");
    let mut private = jwk.clone();
    private["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
    let symmetric = json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1yZWFk" });
    let new = "{ env = \"IT_NEW\" }";
    let with = |from: &str, to: &str| secrets(new, "").replace(from, to);
    for (setup, at) in [
        (with("algorithms = [\"HS256\"]\n", ""), "algorithms"),
        (with("[\"HS256\"]", "[]"), "algorithms"),
        (with("[\"HS256\"]", "[\"none\"]"), "algorithms[0]"),
        (with("[\"HS256\"]", "[\"HS256\", \"hs384\"]"), "algorithms[1]"),
        (with("[\"HS256\"]", "[\"HS256\", \"ES256\"]"), "algorithms"),
        (with("[\"HS256\"]", "[\"ES256\"]"), "algorithms"),
        (with(&format!("secrets = [{new}]\n"), ""), "secrets"),
        (secrets("{ value = \"short\" }", ""), "secrets[0]"),
        (secrets(new, "secret_encoding = \"hex\""), "secrets[0]"),
        (secrets("{ env = \"IT_NEW\", label = \"a\" }, { env = \"IT_OLD\", label = \"a\" }", ""), "secrets"),
        (secrets(new, "issuer = []"), "issuer"),
        (secrets(new, "audience = \"\""), "audience"),
        (secrets(new, "body_hash = \"sha\""), "body_hash"),
        (secrets(new, "token_format = \"Basic {basic}\""), "token_format"),
        (secrets(new, "algorithm = \"sha256\""), "algorithm"),
        (secrets(new, "signature_header = \"X\""), "signature_header"),
        (secrets(new, "tokens = [{ env = \"IT_OLD\" }]"), "tokens"),
        (public("[\"HS256\"]", one, ""), "algorithms"),
        (public("[\"ES256\"]", one, "secrets = [{ value = \"a-secret-of-sixteen-bytes\" }]"), "jwks_file"),
        (public("[\"ES256\"]", one, "secret_encoding = \"hex\""), "secret_encoding"),
        (public("[\"ES384\"]", one, ""), "jwks_file"),
        (es256(&[]), "jwks_file"),
        (es256(&[private]), "jwks_file"),
        (es256(&[jwk.clone(), symmetric]), "jwks_file"),
        (es256(&[jwk.clone(), jwk.clone()]), "jwks_file"),
        (es256(&[json!({ "kid": "a" })]), "jwks_file"),
        (es256(one).replace("jwks.json", "none.json"), "jwks_file"),
        (es256(one).replace("/jwks.json", ""), "jwks_file"),
    ] {
        let (status, told) = checked(&setup);
        assert!(status == Some(64) && told.contains(&format!("source[0].{at}: ")), "{at}: {told}");
        assert!(!told.contains("jpsQnn") && !told.contains("c2VjcmV0") && !told.contains(NEW), "{told}");
    }
    for content in ["", "junk", &format!("{{\"keys\":[{}]}}", " ".repeat(300_000))] {
        let setup = es256(one);
        setup.write("jwks.json", content);
        let (status, told) = checked(&setup);
        assert!(status == Some(64) && told.contains("source[0].jwks_file") && told.contains("jwks.json"), "{told}");
    }
}

#[test]
fn check_shows_it_all_and_warns_of_what_is_weak() {
    let alone = "a token alone proves only that the sender knows it";
    let mut encryption = rsa().jwk("enc");
    encryption["use"] = json!("enc");
    let keys = [p256().jwk("2026-a"), encryption];
    let (status, told) = checked(&public("[\"ES256\", \"RS256\"]", &keys, "allowed_ips = \"any\""));
    assert_eq!(status, Some(0), "{told}");
    for wanted in [
        alone,
        "key \"enc\" is left out",
        "neither issuer nor audience is set",
        "\"2026-a\" (ES256)",
        "max_drift = \"300s\"",
    ] {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
    let bound = "allowed_ips = \"any\"\nissuer = \"a\"\naudience = [\"b\", \"c\"]\nbody_hash = \"/hash\"";
    let (status, told) = checked(&secrets("{ env = \"IT_NEW\", label = \"2026\" }", bound));
    assert!(status == Some(0) && !told.contains(alone) && !told.contains("neither issuer"), "{told}");
    for wanted in ["key 2026", "audience = [\"b\", \"c\"]", "body_hash = \"/hash\"", "algorithms = [\"HS256\"]"] {
        assert!(told.contains(wanted), "{wanted} in {told}");
    }
    assert!(!told.contains(NEW) && !told.contains("stale_status"), "{told}");
    let (status, told) = checked(&secrets("{ value = \"a-secret-of-sixteen-bytes\" }", ""));
    assert!(status == Some(0) && told.contains("has 25 bytes, and RFC 7518 wants 32 for HS256"), "{told}");
    let (status, told) = checked(&secrets("{ env = \"IT_NEW\" }", ""));
    assert!(status == Some(0) && !told.contains(alone), "a narrow allowlist stands beside it: {told}");
}
