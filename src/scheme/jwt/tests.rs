//! Known answers of the RFCs, and whatever else a header may hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use proptest::prelude::*;
use sha2::Sha256;

use crate::clock::UnixSeconds;
use crate::scheme::{self, ClaimValue, Moment, Refusal, Scheme, preset};
use crate::settings::{Diagnostics, Table};

/// RFC 7515, appendix A: what all its tokens say, and when that ends.
const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const EXP: i64 = 1_300_819_380;

/// Appendix A.1.
const HS256: (&str, &str) = ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
const SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
/// Appendix A.2.
const RS256: (&str, &str) = (
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);
pub(super) const RSA: &str = r#"{"kty":"RSA","kid":"a2","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
/// Appendix A.3.
const ES256: (&str, &str) =
    ("eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
pub(super) const P256: &str = r#"{"kty":"EC","crv":"P-256","kid":"a3","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
/// RFC 8037, appendix A.
pub(super) const ED25519: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"a4","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

fn token((header, signature): (&str, &str)) -> String {
    format!("{header}.{PAYLOAD}.{signature}")
}

fn settings(lines: &str) -> Arc<dyn scheme::Settings> {
    let vars = BTreeMap::new();
    let (mut table, mut diagnostics) = (Table::new("", "", lines.parse().unwrap()), Diagnostics::new(&vars));
    let settings = scheme::read(preset("jwt").unwrap(), None, &mut table, &mut diagnostics);
    assert!(diagnostics.errors.is_empty(), "{lines}: {:?}", diagnostics.errors);
    settings
}

fn with_secret() -> Arc<dyn Scheme> {
    let keys = format!("secrets = [{{ value = '{SECRET}', label = 'a1' }}]\nsecret_encoding = 'base64'");
    settings(&format!("algorithms = ['HS256']\n{keys}")).build().unwrap()
}

fn with_keys(algorithms: &str, keys: &[&str]) -> Arc<dyn Scheme> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{{\"keys\":[{}]}}", keys.join(","))).unwrap();
    let file = file.path().display();
    settings(&format!("algorithms = {algorithms}\njwks_file = '{file}'\nissuer = 'joe'")).build().unwrap()
}

fn head(value: &[u8]) -> Parts {
    let value = http::HeaderValue::from_bytes(value).unwrap();
    http::Request::post("/").header("authorization", value).body(()).unwrap().into_parts().0
}

fn bearer(token: &str) -> Parts {
    head(format!("Bearer {token}").as_bytes())
}

fn judged(scheme: &dyn Scheme, token: &str, now: i64) -> Result<String, Refusal> {
    let admitted = scheme.admit(&bearer(token), Moment { now: UnixSeconds(now), leeway: 10 })?;
    Ok(scheme.keys()[admitted.unwrap().key.0].clone())
}

#[test]
fn the_tokens_of_the_rfcs_hold_until_they_end() {
    let all = with_keys("['RS256', 'ES256', 'EdDSA']", &[RSA, P256, ED25519]);
    for (scheme, token, key) in
        [(&with_secret(), token(HS256), "a1"), (&all, token(RS256), "a2"), (&all, token(ES256), "a3")]
    {
        assert_eq!(judged(&**scheme, &token, EXP + 9).as_deref(), Ok(key));
        for now in [EXP + 10, i64::MAX] {
            assert_eq!(judged(&**scheme, &token, now), Err(Refusal::TokenMismatch), "{key}");
        }
    }
}

/// Its payload is no JSON, so that it goes with no source.
#[test]
fn the_signature_of_rfc_8037_holds() {
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let token = format!("{signed}.{signature}");
    let token = super::compact::Compact::split(token.as_bytes()).unwrap();
    let keys = super::jwks::parse(format!("{{\"keys\":[{ED25519}]}}").as_bytes(), &[]).unwrap();
    assert!(super::keys::made_by(&keys.keys[0].material, super::algorithm::Algorithm::EdDsa, &token));
    let other = super::jwks::parse(format!("{{\"keys\":[{P256}]}}").as_bytes(), &[]).unwrap();
    assert!(!super::keys::made_by(&other.keys[0].material, super::algorithm::Algorithm::EdDsa, &token));
}

#[test]
fn every_changed_letter_is_a_mismatch() {
    let all = with_keys("['ES256']", &[P256]);
    for (scheme, token) in [(&with_secret(), token(HS256)), (&all, token(ES256))] {
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(judged(&**scheme, &changed, EXP), Err(Refusal::TokenMismatch), "{at}");
        }
    }
}

/// Signed with the secret of appendix A.1, whatever it says.
fn made(header: &str, payload: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(header), part(payload));
    let key = URL_SAFE_NO_PAD.decode(SECRET).unwrap();
    let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

#[test]
fn a_header_says_nothing_but_algorithm_and_key() {
    let scheme = with_secret();
    let payload = format!(r#"{{"exp":{EXP}}}"#);
    let judged = |header: &str| judged(&*scheme, &made(header, &payload), EXP);
    for right in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","kid":"whatever","x5t":"a","cty":"json","more":[{}]}"#,
        r#" {"alg" : "HS256" } "#,
    ] {
        assert_eq!(judged(right).as_deref(), Ok("a1"), "{right}");
    }
    for wrong in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","\u0061lg":"HS256"}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","b64":true}"#,
        r#"{"alg":"HS256","jwk":{}}"#,
        r#"{"alg":"HS256","jku":"https://a.example"}"#,
        r#"{"alg":"HS256","x5u":"https://a.example"}"#,
        r#"{"alg":"HS256","x5c":[]}"#,
        r#"{"alg":"HS256","enc":"A128GCM"}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","cty":"JWT"}"#,
        r#"{"alg":"HS256","cty":"application/jwt"}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":"HS256","typ":{}}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        "",
    ] {
        assert_eq!(judged(wrong), Err(Refusal::TokenMismatch), "{wrong}");
    }
}

#[test]
fn a_payload_is_one_object_that_names_nothing_twice() {
    let scheme = with_secret();
    let judged = |payload: &str| judged(&*scheme, &made(r#"{"alg":"HS256"}"#, payload), EXP);
    assert!(judged(&format!(r#"{{"exp":{EXP},"a":{{}}}}"#)).is_ok());
    for wrong in [
        format!(r#"{{"exp":0,"exp":{EXP}}}"#),
        format!(r#"{{"exp":{EXP}}}x"#),
        format!(r#"[{{"exp":{EXP}}}]"#),
        format!("{EXP}"),
        "{}".to_owned(),
        String::new(),
    ] {
        assert_eq!(judged(&wrong), Err(Refusal::TokenMismatch), "{wrong}");
    }
    let long = format!(r#"{{"exp":{EXP},"a":"{}"}}"#, "x".repeat(8 * 1024));
    assert_eq!(judged(&long), Err(Refusal::TokenMismatch));
}

/// RFC 8725, section 2.1: whoever has the public key, in whatever writing, could sign with it.
#[test]
fn a_public_key_is_no_secret() {
    let scheme = with_keys("['RS256']", &[RSA]);
    let members: serde_json::Value = serde_json::from_str(RSA).unwrap();
    let modulus = URL_SAFE_NO_PAD.decode(members["n"].as_str().unwrap()).unwrap();
    for secret in [RSA.as_bytes(), members["n"].as_str().unwrap().as_bytes(), &modulus] {
        for alg in ["HS256", "RS256"] {
            let part = |text: String| URL_SAFE_NO_PAD.encode(text);
            let header = part(format!(r#"{{"alg":"{alg}","kid":"a2"}}"#));
            let signed = format!("{header}.{}", part(format!(r#"{{"iss":"joe","exp":{EXP}}}"#)));
            let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&signed).finalize().into_bytes();
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac));
            assert_eq!(judged(&*scheme, &token, EXP), Err(Refusal::TokenMismatch), "{alg}");
        }
    }
}

#[test]
fn a_claim_is_read_as_it_is_spelled_of_the_token_that_is_judged() {
    let settings = settings(&format!("algorithms = ['HS256']\nsecrets = [{{ value = '{SECRET}' }}]"));
    let token = made(r#"{"alg":"HS256"}"#, r#"{"jti":"a\u0062","n":-7,"f":1.0,"o":{}}"#);
    let claim = |name: &str| settings.claim(&bearer(&token), name);
    assert_eq!(claim("jti"), ClaimValue::Text("ab".into()));
    assert_eq!(claim("n"), ClaimValue::Text("-7".into()));
    assert_eq!((claim("f"), claim("o")), (ClaimValue::Other, ClaimValue::Other));
    assert_eq!(claim("none"), ClaimValue::Absent);
    let mut twice = bearer(&token);
    twice.headers.append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(settings.claim(&twice, "jti"), ClaimValue::Absent);
}

#[test]
fn what_is_kept_shows_what_was_wrong_and_lets_nobody_in() {
    let line = format!("secrets = [{{ value = '{SECRET}', label = 'a1' }}]\nsecret_encoding = 'base64'");
    let settings = settings(&format!("algorithms = ['HS256']\n{line}"));
    let scheme = settings.build().unwrap();
    let kept = |value: &str| settings.kept("authorization", value, true).unwrap();
    let good = token(HS256);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let by = format!("Bearer {signed}.[signature redacted, made by key a1]");
    assert_eq!(kept(&format!("Bearer {good}")), by);
    assert_eq!(kept(&format!("Bearer \"{good}\"")), by.replace("Bearer ", "Bearer \"") + "\"");
    let nobody = format!("bearer {signed}.[signature redacted, made by no key of this source]");
    assert_eq!(kept(&format!("bearer {signed}.{}", signature.replace('d', "e"))), nobody);
    // Nobody can write the note.
    assert_eq!(kept(&by), format!("Bearer {signed}.[signature redacted, not base64url]"));
    assert_eq!(kept(&format!("Bearer {signed}.")), format!("Bearer {signed}."));
    for (other, parts) in [("an-opaque-token", 1), ("a.b.c", 3), ("[signature redacted, made by key a1]", 1)] {
        assert_eq!(kept(&format!("Bearer {other}")), format!("Bearer [redacted, no JSON Web Token, parts: {parts}]"));
    }
    for (name, value) in [("x-strayed", format!("a={good};")), ("cookie", format!("s={good}"))] {
        let kept = settings.kept(name, &value, name == "cookie");
        assert!(kept.as_deref().is_none_or(|kept| kept == "[redacted]"), "{name}: {kept:?}");
    }
    assert!(!settings.kept("x-strayed", &good, false).unwrap().contains(signature));
    assert_eq!(settings.kept("x-other", "plain", false), None);
    let moment = Moment { now: UnixSeconds(EXP), leeway: 0 };
    let body = bytes::Bytes::new().into();
    for (value, known) in [(&by, true), (&nobody, false), (&format!("Bearer {good}"), false)] {
        let moment = Moment { now: UnixSeconds(EXP - 1), ..moment };
        assert_eq!(settings.remembered(&head(value.as_bytes()), &body, moment).is_some(), known, "{value}");
    }
    assert!(settings.remembered(&head(by.as_bytes()), &body, moment).is_none(), "it has ended");
    let moment = Moment { now: UnixSeconds(EXP - 1), ..moment };
    assert_eq!(scheme.admit(&head(by.as_bytes()), moment).err(), Some(Refusal::TokenMismatch));
}

proptest! {
    #[test]
    fn junk_is_refused_and_breaks_nothing(junk in prop::collection::vec(32_u8..=255, 0..300), dots in prop::collection::vec(0_usize..300, 0..6)) {
        let mut value = junk;
        for at in dots {
            let at = at.min(value.len());
            value.insert(at, b'.');
        }
        for value in [value.clone(), [b"Bearer ", value.as_slice()].concat()] {
            let Ok(text) = http::HeaderValue::from_bytes(&value) else { continue };
            let (mut head, ()) = http::Request::new(()).into_parts();
            head.headers.insert("authorization", text);
            let moment = Moment { now: UnixSeconds(EXP), leeway: 10 };
            prop_assert!(with_secret().admit(&head, moment).is_err());
        }
    }

    #[test]
    fn whatever_json_stands_in_a_token_breaks_nothing(header in "\\PC{0,80}", payload in "\\PC{0,80}", member in "[a-z]{1,4}", value in "[-0-9.eE\"\\[\\]{}a-z]{0,12}") {
        let scheme = with_secret();
        for (header, payload) in [
            (header, payload.clone()),
            (r#"{"alg":"HS256"}"#.to_owned(), payload),
            (r#"{"alg":"HS256"}"#.to_owned(), format!(r#"{{"{member}":{value},"exp":{value}}}"#)),
            (format!(r#"{{"alg":"HS256","{member}":{value}}}"#), format!(r#"{{"exp":{EXP},"nbf":{value}}}"#)),
        ] {
            drop(judged(&*scheme, &made(&header, &payload), EXP));
        }
    }
}
