//! JSON Web Tokens that are not believed, as senders get them wrong and as the quarantine keeps them.

use ::hmac::{Hmac, KeyInit as _, Mac as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384};

use super::{Fixture, causes, now, told};
use super::{Shown, Specimen};
use crate::scheme::Cause;

const SECRET: &str = "development-only-jwt-secret-0123456789ab";
pub(super) const OTHER_SECRET: &str = "the-secret-of-another-source-of-tokens";
const BODY: &[u8] = b"{\"id\":\"1\"}";

/// RFC 7515, appendix A.3, and a key of 2048 bits of appendix A.2.
pub(super) const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"2026-a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
{"kty":"RSA","kid":"2026-b","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#;

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let signed = format!("{}.{}", part(header), part(claims));
    let mac = if header["alg"] == "HS384" {
        Hmac::<Sha384>::new_from_slice(key).unwrap().chain_update(&signed).finalize().into_bytes().to_vec()
    } else {
        Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&signed).finalize().into_bytes().to_vec()
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// What a good token claims, with `changes`; null takes a claim away.
fn claims(changes: &Value) -> Value {
    let seconds = now().as_second();
    let mut claims = json!({
        "iss": "https://sender.example", "aud": ["https://hooks.example"], "exp": seconds + 60, "iat": seconds,
        "jti": "a-1", "body_sha256": hex::encode(Sha256::digest(BODY)),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn good() -> String {
    claiming(&json!({}))
}

fn claiming(changes: &Value) -> String {
    signed(&json!({ "alg": "HS256" }), &claims(changes), SECRET.as_bytes())
}

fn headed(header: &Value) -> String {
    signed(header, &claims(&json!({})), SECRET.as_bytes())
}

/// As the quarantine keeps it.
fn kept(token: &str, note: &str) -> String {
    format!("{}.[signature redacted, {note}]", token.rsplit_once('.').unwrap().0)
}

fn of(source: &str, headers: &[(&str, &str)]) -> Specimen {
    let path = if source == "jwt" { "/webhooks/jwt".to_owned() } else { format!("/{source}") };
    let head = http::Request::post(path).header("host", "x").header("content-type", "application/json");
    let head = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
    let (head, ()) = head.body(()).unwrap().into_parts();
    Specimen {
        head,
        body: Bytes::from_static(BODY),
        at: now(),
        reason: None,
        notes: Vec::new(),
        certificate: Shown::Unknown,
    }
}

fn at(headers: &[(&str, &str)], causes: &[Cause]) -> Fixture {
    Fixture { source: "jwt", specimen: of("jwt", headers), causes: causes.to_vec() }
}

fn bearer(token: &str, causes: &[Cause]) -> Fixture {
    at(&[("authorization", &format!("Bearer {token}"))], causes)
}

/// Wrong in what is around the token, or in what it is.
fn written() -> Vec<Fixture> {
    let good = good();
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let authorization = |value: &str, cause: Cause| at(&[("authorization", value)], &[cause]);
    vec![
        at(&[], &[Cause::CredentialAbsent]),
        at(&[("x-jwt", &good)], &[Cause::CredentialElsewhere]),
        at(&[("x-jwt", &kept(&good, "made by no key of this source"))], &[Cause::CredentialElsewhere]),
        at(&[("authorization", &good), ("authorization", &good)], &[Cause::CredentialTwice]),
        authorization(&format!("Bearer Bearer {good}"), Cause::CredentialWordTwice),
        authorization(&good, Cause::CredentialWord),
        authorization(&format!("JWT {good}"), Cause::CredentialWord),
        authorization(&format!("Bearer \"{good}\""), Cause::CredentialQuoted),
        bearer("an-opaque-token", &[Cause::JwtMalformed]),
        bearer("[redacted, no JSON Web Token, parts: 1]", &[Cause::JwtMalformed]),
        bearer(&good.replace('.', "~"), &[Cause::JwtMalformed]),
        bearer(&format!("{good}="), &[Cause::JwtMalformed]),
        bearer(&kept(&good, "not base64url"), &[Cause::JwtMalformed]),
        bearer(unsigned, &[Cause::JwtUnsigned]),
        bearer(&format!("{unsigned}."), &[Cause::JwtUnsigned]),
        bearer("a.b.c.d.e", &[Cause::JwtEncrypted]),
        bearer("[redacted, no JSON Web Token, parts: 5]", &[Cause::JwtEncrypted]),
        bearer(&headed(&json!({ "alg": "HS256", "crit": ["x"] })), &[Cause::JwtHeader]),
        bearer(&headed(&json!({ "alg": "HS256", "jku": "https://a.example" })), &[Cause::JwtHeader]),
        bearer(&headed(&json!({ "alg": "HS384" })), &[Cause::JwtAlgorithm]),
        bearer(
            &format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims(&json!({})))),
            &[Cause::JwtUnsigned, Cause::JwtAlgorithm],
        ),
    ]
}

/// Wrong in what it says, or in who signed it.
fn said() -> Vec<Fixture> {
    let seconds = now().as_second();
    let claim = |changes: Value, cause: Cause| bearer(&claiming(&changes), &[cause]);
    let other = signed(&json!({ "alg": "HS256" }), &claims(&json!({})), OTHER_SECRET.as_bytes());
    let nobody = signed(&json!({ "alg": "HS256" }), &claims(&json!({})), b"a-secret-that-nobody-here-has-got");
    let decoded = URL_SAFE_NO_PAD.decode(SECRET).unwrap();
    let encoded = signed(&json!({ "alg": "HS256" }), &claims(&json!({})), &decoded);
    let ended = signed(&json!({ "alg": "HS256" }), &claims(&json!({})), format!("{SECRET}\n").as_bytes());
    let hash = |body: &[u8]| json!({ "body_sha256": hex::encode(Sha256::digest(body)) });
    let of_key = |header: Value, cause: Cause| {
        let token = signed(&header, &claims(&json!({ "aud": null })), b"no-private-key-at-all");
        let specimen = of("jwks", &[("authorization", &format!("Bearer {token}"))]);
        Fixture { source: "jwks", specimen, causes: vec![cause] }
    };
    vec![
        claim(json!({ "exp": null }), Cause::JwtEndless),
        claim(json!({ "exp": (seconds + 60) * 1000 }), Cause::JwtTime),
        claim(json!({ "exp": "tomorrow" }), Cause::JwtTime),
        claim(json!({ "exp": seconds - 400 }), Cause::JwtExpired),
        bearer(&kept(&claiming(&json!({ "exp": seconds - 400 })), "made by key x"), &[Cause::JwtExpired]),
        claim(json!({ "nbf": seconds + 400 }), Cause::JwtNotYet),
        claim(json!({ "iat": seconds + 400 }), Cause::JwtFuture),
        claim(json!({ "iss": "https://other.example" }), Cause::JwtIssuer),
        claim(json!({ "aud": "https://other.example" }), Cause::JwtAudience),
        claim(json!({ "aud": null }), Cause::JwtAudience),
        claim(json!({ "body_sha256": null }), Cause::JwtBodyHashAbsent),
        claim(hash(b"another body"), Cause::JwtBodyHash),
        claim(json!({ "body_sha256": "junk" }), Cause::JwtBodyHash),
        claim(hash(b""), Cause::BodyEmpty),
        claim(hash(b"{\"id\": \"1\"}"), Cause::BodyRewritten),
        bearer(&other, &[Cause::OtherSourcesCredential]),
        bearer(&nobody, &[Cause::JwtSignature]),
        bearer(&kept(&nobody, "made by no key of this source"), &[Cause::JwtSignature]),
        bearer(&encoded, &[Cause::SecretEncoded]),
        bearer(&ended, &[Cause::SecretEnds]),
        of_key(json!({ "alg": "ES256", "kid": "2025-z" }), Cause::JwtKeyUnknown),
        of_key(json!({ "alg": "RS256", "kid": "2026-a" }), Cause::JwtKeyMisfit),
        of_key(json!({ "alg": "ES256", "kid": "2026-a" }), Cause::JwtSignature),
        bearer(
            &signed(&json!({ "alg": "HS256" }), &claims(&json!({ "exp": seconds - 400, "aud": "x" })), b"whoever"),
            &[Cause::JwtSignature, Cause::JwtExpired, Cause::JwtAudience],
        ),
    ]
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let mut all = written();
    all.extend(said());
    all
}

#[test]
fn a_good_token_is_said_to_be_good_also_where_its_signature_was_not_kept() {
    let key = crate::secret::Secret::new(SECRET).unwrap().fingerprint();
    let token = good();
    for value in [token.clone(), kept(&token, &format!("made by key {key}"))] {
        let told = told("jwt", &of("jwt", &[("authorization", &format!("Bearer {value}"))]));
        assert!(told.starts_with("ok  ") && told.contains(&format!("key {key}")), "{told}");
        assert!(told.contains("event id a-1") && causes(&told).is_empty(), "{told}");
    }
}

#[test]
fn what_is_told_says_how_much_and_what_there_is() {
    let seconds = now().as_second();
    let told = |source: &str, token: &str| told(source, &of(source, &[("authorization", &format!("Bearer {token}"))]));
    let expired = told("jwt", &claiming(&json!({ "exp": seconds - 400 })));
    assert!(
        expired.contains("it ended at 2026-05-01T11:53:20Z, 400 s before it arrived, and the leeway is 300 s"),
        "{expired}"
    );
    let audience = told("jwt", &claiming(&json!({ "aud": ["a", "b"] })));
    assert!(audience.contains("its aud is \"a\", \"b\", and audience is \"https://hooks.example\""), "{audience}");
    let none = told("jwt", &format!("{}.{}.", part(&json!({ "alg": "nOnE" })), part(&claims(&json!({})))));
    assert!(none.contains("it is not signed at all, and anybody can write such a token"), "{none}");
    let unknown = told("jwks", &signed(&json!({ "alg": "ES256", "kid": "z" }), &claims(&json!({})), b"x"));
    assert!(unknown.contains("there are \"2026-a\", \"2026-b\""), "{unknown}");
    let millis = told("jwt", &claiming(&json!({ "iat": seconds * 1000 })));
    assert!(millis.contains("milliseconds"), "{millis}");
    let open = told("jwt-other", &signed(&json!({ "alg": "HS256" }), &claims(&json!({})), OTHER_SECRET.as_bytes()));
    assert!(
        open.contains("audience is not set") && open.contains("    audience = \"https://hooks.example\""),
        "{open}"
    );
}
