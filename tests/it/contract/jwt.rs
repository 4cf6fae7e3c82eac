//! JSON Web Tokens: who is believed, who is refused with the head, and what ties a token to a body. Signed here by other
//! code than the program's.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::jwt::{Key, base64url, claims, ed25519, p256, p384, rsa};
use crate::support::sign::fingerprint;
use crate::support::{Daemon, Request, Response, Setup, accepted, assert_refusal, digest_id, nameless, now, unique};

const SECRET: &str = "a-secret-of-sixty-four-bytes-for-every-hash-0123456789-0123456789";
const LAST_USED: &str = "gatepost_verification_key_last_used_timestamp_seconds";
const PATH: &str = "/hook";
const BEARER: &str = "Bearer realm=\"webhooks\"";

/// A source `one` with a secret and `rest`.
fn symmetric(algorithms: &str, rest: &str) -> Setup {
    let keys = format!(
        "path = \"{PATH}\"\nalgorithms = {algorithms}\nissuer = \"https://sender.example\"\naudience = \"hooks\"\n\
         secrets = [{{ env = \"IT_SECRET\" }}]\n{rest}"
    );
    Setup::new().source("one", "jwt", &keys).env("IT_SECRET", SECRET)
}

fn secret() -> Key {
    Key::Secret(SECRET.into())
}

fn post(authorization: &str) -> Request {
    Request::post(PATH)
        .header("Content-Type", "application/json")
        .header("Authorization", authorization)
        .body(&nameless())
}

fn bearer(token: &str) -> Request {
    post(&format!("Bearer {token}"))
}

/// A token that is good for a minute but for `changes`.
fn good(changes: &Value) -> String {
    secret().token(&json!({ "alg": "HS256" }), &claims(changes))
}

fn events(setup: &Setup) -> usize {
    let output = setup.run(&["events", "list", "--json"]);
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().len()
}

#[track_caller]
fn refused(response: &Response, reason: &str) {
    assert_refusal(response, 401, reason);
    assert_eq!(response.header("www-authenticate"), Some(BEARER));
}

#[track_caller]
fn key_of(daemon: &Daemon, told: &Value) -> String {
    let record = daemon.access_where("the event", |record| record["event_id"] == told["id"]);
    record["key"].as_str().unwrap().to_owned()
}

#[test]
fn every_algorithm_is_taken_where_it_is_pinned_and_its_key_is_named() {
    let (a, b, c) = (p256(), p384(), ed25519());
    let jwks = json!({ "keys": [rsa().jwk("rsa"), a.jwk("p256"), b.jwk("p384"), c.jwk("ed")] });
    let public = [
        (rsa(), "rsa", "RS256"),
        (rsa(), "rsa", "RS384"),
        (rsa(), "rsa", "RS512"),
        (rsa(), "rsa", "PS256"),
        (rsa(), "rsa", "PS384"),
        (rsa(), "rsa", "PS512"),
        (&a, "p256", "ES256"),
        (&b, "p384", "ES384"),
        (&c, "ed", "EdDSA"),
    ];
    let names: Vec<&str> = public.iter().map(|(_, _, alg)| *alg).collect();
    let setup = symmetric("[\"HS256\", \"HS384\", \"HS512\"]", "");
    let file = setup.write("jwks.json", &jwks.to_string());
    let keys = format!("path = \"/public\"\nalgorithms = {names:?}\njwks_file = {file}\naudience = [\"x\", \"hooks\"]");
    let daemon = setup.source("two", "jwt", &keys).start();
    for alg in ["HS256", "HS384", "HS512"] {
        let request = bearer(&secret().token(&json!({ "alg": alg }), &claims(&json!({}))));
        let told = accepted(&daemon.send(&request));
        assert_eq!(told, json!({ "status": "accepted", "id": digest_id(&request.body), "duplicate": false }));
        assert_eq!(key_of(&daemon, &told), fingerprint(SECRET), "{alg}");
        assert_eq!(accepted(&daemon.send(&request))["duplicate"], true);
    }
    for (key, kid, alg) in public {
        for header in [json!({ "alg": alg, "kid": kid, "typ": "JWT" }), json!({ "alg": alg })] {
            let token = key.token(&header, &claims(&json!({})));
            let told = accepted(&daemon.send(&bearer(&token).at("/public")));
            assert_eq!(key_of(&daemon, &told), kid, "{header}");
            assert!(daemon.scrape().get(LAST_USED, &[("source", "two"), ("key", kid)]) > 0.0, "{kid}");
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
            bytes[3] ^= 1;
            let forged = format!("{signed}.{}", base64url(bytes));
            refused(&daemon.send(&bearer(&forged).at("/public")), "token_mismatch");
        }
    }
    let record = daemon.access_where("any", |record| record["source"] == "two" && record["outcome"] == "accepted");
    assert_eq!(record["event_type"], "jwt");
    assert!(!daemon.out().contains(&base64url("{\"alg\"")), "no token is logged");
}

#[test]
fn what_is_not_pinned_or_not_of_its_key_is_refused() {
    let (own, other) = (p256(), p256());
    let setup = Setup::new();
    let jwks = json!({ "keys": [own.jwk("a"), rsa().jwk("b")] });
    let file = setup.write("jwks.json", &jwks.to_string());
    let keys =
        format!("path = \"{PATH}\"\nalgorithms = [\"ES256\", \"RS256\"]\njwks_file = {file}\naudience = \"hooks\"");
    let setup = setup.source("one", "jwt", &keys);
    let daemon = setup.start();
    let payload = claims(&json!({}));
    accepted(&daemon.send(&bearer(&own.token(&json!({ "alg": "ES256", "kid": "a" }), &payload))));
    let public = own.jwk("a").to_string();
    let unsigned = |header: &str| format!("{}.{}.", base64url(header), base64url(payload.to_string()));
    for token in [
        own.token(&json!({ "alg": "ES256", "kid": "c" }), &payload),
        own.token(&json!({ "alg": "ES256", "kid": "b" }), &payload),
        own.token(&json!({ "alg": "ES256", "kid": "A" }), &payload),
        own.token(&json!({ "alg": "RS256", "kid": "a" }), &payload),
        other.token(&json!({ "alg": "ES256", "kid": "a" }), &payload),
        other.token(&json!({ "alg": "ES256" }), &payload),
        other.token(&json!({ "alg": "ES256", "kid": "a", "jwk": other.jwk("a") }), &payload),
        other.token(&json!({ "alg": "ES256", "jku": "https://127.0.0.1:1/jwks" }), &payload),
        own.token(&json!({ "alg": "ES256", "kid": "a", "crit": ["exp"] }), &payload),
        rsa().token(&json!({ "alg": "RS512", "kid": "b" }), &payload),
        rsa().token(&json!({ "alg": "PS256", "kid": "b" }), &payload),
        Key::Secret(public.clone().into()).token(&json!({ "alg": "HS256", "kid": "a" }), &payload),
        Key::Secret(jwks.to_string().into()).token(&json!({ "alg": "HS256" }), &payload),
        Key::Secret(public.into()).signed("HS256", "{\"alg\":\"ES256\",\"kid\":\"a\"}", &payload.to_string()),
        unsigned("{\"alg\":\"none\"}"),
        unsigned("{\"alg\":\"NONE\"}"),
        unsigned("{\"alg\":\"ES256\",\"kid\":\"a\"}"),
    ] {
        refused(&daemon.send(&bearer(&token)), "token_mismatch");
    }
    assert_eq!(events(&setup), 1);
}

#[test]
fn times_issuer_and_audience_are_held_to_with_the_leeway() {
    let setup = symmetric("[\"HS256\"]", "max_drift = \"60s\"");
    let daemon = setup.start();
    for right in [
        json!({}),
        json!({ "exp": now() - 30 }),
        json!({ "nbf": now() + 30, "iat": now() + 30 }),
        json!({ "iat": now() - 86_400, "nbf": 0 }),
        json!({ "iat": null }),
        json!({ "aud": ["others", "hooks"] }),
        json!({ "exp": 4_102_444_800_i64 }),
    ] {
        accepted(&daemon.send(&bearer(&good(&right))));
    }
    for wrong in [
        json!({ "exp": null }),
        json!({ "exp": now() - 90 }),
        json!({ "exp": 0 }),
        json!({ "exp": -1 }),
        json!({ "exp": (now() + 60).to_string() }),
        json!({ "exp": (now() + 60) * 1000 }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": 1e300 }),
        json!({ "exp": [now() + 60] }),
        json!({ "exp": true }),
        json!({ "nbf": now() + 120 }),
        json!({ "nbf": "0" }),
        json!({ "iat": now() + 120 }),
        json!({ "iat": "0" }),
        json!({ "iss": null }),
        json!({ "iss": "https://sender.example/" }),
        json!({ "iss": ["https://sender.example"] }),
        json!({ "aud": null }),
        json!({ "aud": "Hooks" }),
        json!({ "aud": [] }),
        json!({ "aud": ["others"] }),
        json!({ "aud": ["hooks", 1] }),
    ] {
        refused(&daemon.send(&bearer(&good(&wrong))), "token_mismatch");
    }
    let twice = format!("{{\"exp\":0,{}", &claims(&json!({})).to_string()[1..]);
    refused(&daemon.send(&bearer(&secret().signed("HS256", "{\"alg\":\"HS256\"}", &twice))), "token_mismatch");
    assert_eq!(events(&setup), 7);
}

#[test]
fn what_is_written_otherwise_is_refused() {
    let setup = symmetric("[\"HS256\"]", "");
    let daemon = setup.start();
    let token = good(&json!({}));
    for word in ["bearer", "BEARER"] {
        accepted(&daemon.send(&post(&format!("{word} {token}"))));
    }
    let request = Request::post(PATH).header("Content-Type", "application/json").body(&nameless());
    refused(&daemon.send(&request), "missing_token");
    refused(&daemon.send(&post("")), "missing_token");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let long = good(&json!({ "more": "x".repeat(8 * 1024) }));
    for value in [
        token.clone(),
        format!("Bearer Bearer {token}"),
        format!("Bearer \"{token}\""),
        format!("JWT {token}"),
        format!("Bearer {token} ") + "x",
        format!("Bearer {token}."),
        format!("Bearer .{token}"),
        format!("Bearer {signed}"),
        format!("Bearer {signed}."),
        format!("Bearer {signed}.{signature}="),
        format!("Bearer {signed}.{}", &signature[1..]),
        format!("Bearer {signed}..{signature}"),
        format!("Bearer {}", token.replace('.', ",")),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {}", base64url(&token)),
        format!("Bearer {signed}.[signature redacted, made by key {}]", fingerprint(SECRET)),
        "Bearer a.b.c.d.e".to_owned(),
        "Bearer ...".to_owned(),
        "Bearer".to_owned(),
        format!("Bearer {long}"),
    ] {
        refused(&daemon.send(&post(&value)), "token_mismatch");
    }
    let twice = bearer(&token).header("Authorization", &format!("Bearer {token}"));
    refused(&daemon.send(&twice), "token_mismatch");
    assert_eq!(events(&setup), 2);
}

#[test]
fn it_is_judged_before_the_body_is_wanted_and_a_flood_stores_nothing() {
    let setup = symmetric("[\"HS256\"]", "");
    let daemon = setup.start();
    let forged = Key::Secret(b"another-secret-of-more-than-32-bytes".to_vec());
    let forged = forged.token(&json!({ "alg": "HS256" }), &claims(&json!({})));
    let expired = good(&json!({ "exp": now() - 4000 }));
    for line in ["", "Expect: 100-continue\r\n"] {
        for token in [&forged, &expired, "junk"] {
            let mut conn = daemon.connect();
            let head = format!(
                "POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\
                 {line}Authorization: Bearer {token}\r\n\r\n"
            );
            conn.send(head.as_bytes());
            refused(&conn.response(), "token_mismatch");
        }
    }
    let mut conn = daemon.connect();
    for _ in 0..200 {
        assert_eq!(conn.ask(&bearer(&forged)).status, 401);
    }
    assert_eq!(events(&setup), 0);
    let count = daemon.scrape().count("gatepost_refusals_total", &[("source", "one"), ("reason", "token_mismatch")]);
    assert_eq!(count, 206);
    accepted(&daemon.send(&bearer(&good(&json!({})))));
}

#[test]
fn a_token_may_name_its_body() {
    let setup = symmetric("[\"HS256\"]", "body_hash = \"/events/body~1hash\"");
    let daemon = setup.start();
    let naming = |hash: Value| good(&json!({ "events": { "body/hash": hash } }));
    let body = nameless();
    let digest = Sha256::digest(&body);
    let hex = hex::encode(digest);
    let send = |hash: Value, body: &[u8]| daemon.send(&bearer(&naming(hash)).body(body));
    for right in [
        hex.clone(),
        hex.to_uppercase(),
        STANDARD.encode(digest),
        URL_SAFE.encode(digest),
        URL_SAFE_NO_PAD.encode(digest),
    ] {
        assert_eq!(accepted(&send(json!(right), &body))["id"], digest_id(&body), "{right}");
    }
    for wrong in [json!(hex[1..]), json!(format!("sha256={hex}")), json!(""), json!(7), Value::Null, json!([hex])] {
        assert_refusal(&send(wrong, &body), 401, "signature_mismatch");
    }
    assert_refusal(&send(json!(hex), &nameless()), 401, "signature_mismatch");
    assert_refusal(&daemon.send(&bearer(&good(&json!({})))), 401, "signature_mismatch");
    assert_refusal(&send(json!(hex), b""), 401, "signature_mismatch");
    assert_eq!(events(&setup), 1);
}

#[test]
fn an_id_may_be_what_the_token_claims() {
    let setup = symmetric("[\"HS256\"]", "event_id = \"claim:jti\"");
    let daemon = setup.start();
    let (id, body) = (unique(), nameless());
    let send = |jti: Value, body: &[u8]| daemon.send(&bearer(&good(&json!({ "jti": jti }))).body(body));
    let told = accepted(&send(json!(id), &body));
    assert_eq!((&told["id"], &told["duplicate"]), (&json!(id), &json!(false)));
    // Another token for the same event, as a retry brings it.
    assert_eq!(accepted(&daemon.send(&bearer(&good(&json!({ "jti": id, "n": 1 }))).body(&body)))["duplicate"], true);
    assert_eq!(accepted(&send(json!(id), &nameless()))["status"], "quarantined");
    assert_eq!(accepted(&send(json!(-12), &body))["id"], "-12");
    assert_eq!(accepted(&send(Value::Null, &body))["id"], digest_id(&body), "absent: the digest");
    for wrong in [json!(""), json!(1.5), json!(true), json!(["a"]), json!({}), json!("a\u{7}"), json!("x".repeat(257))]
    {
        assert_refusal(&send(wrong, &body), 400, "invalid_event_id");
    }
    assert_eq!(events(&setup), 3);
    let elsewhere = Setup::new().source(
        "a",
        "token",
        "path = \"/a\"\nevent_id = \"claim:jti\"\ntokens = [{ value = \"a-token-of-sixteen-bytes\" }]",
    );
    let output = elsewhere.run(&["check"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(64) && told.contains("source[0].event_id"), "{told}");
}
