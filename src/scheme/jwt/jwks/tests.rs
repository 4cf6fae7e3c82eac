//! What a file of public keys may hold.

use super::super::tests::{ED25519, P256, RSA};
use super::*;

const ALL: [Algorithm; 5] = [Algorithm::Rs256, Algorithm::Ps512, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];

fn set(keys: &[&str]) -> Vec<u8> {
    format!("{{\"keys\":[{}]}}", keys.join(",")).into_bytes()
}

fn refused(bytes: &[u8]) -> String {
    match parse(bytes, &ALL) {
        Ok(_) => panic!("taken: {}", String::from_utf8_lossy(bytes)),
        Err(problem) => problem,
    }
}

fn changed(key: &str, from: &str, to: &str) -> String {
    assert!(key.contains(from), "{key}");
    key.replace(from, to)
}

#[test]
fn keys_are_called_by_their_kid_and_verify_what_is_pinned_and_goes_with_them() {
    let jwks = parse(&set(&[RSA, P256, ED25519]), &ALL).unwrap();
    let told: Vec<String> = jwks.keys.iter().map(|key| format!("{} {}", key.name, names(&key.algorithms))).collect();
    assert_eq!(told, ["a2 RS256, PS512", "a3 ES256", "a4 EdDSA"]);
    let own = parse(&set(&[&changed(RSA, "\"kid\"", "\"alg\":\"PS512\",\"use\":\"sig\",\"kid\"")]), &ALL).unwrap();
    assert_eq!(names(&own.keys[0].algorithms), "PS512");
}

/// RFC 8037, appendix A.3, names the thumbprint of that key.
#[test]
fn a_key_without_a_kid_is_called_by_its_thumbprint() {
    let bare = changed(ED25519, "\"kid\":\"a4\",", "");
    let jwks = parse(&set(&[&bare]), &ALL).unwrap();
    let thumbprint = URL_SAFE_NO_PAD.decode("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").unwrap();
    assert_eq!(jwks.keys[0].name, hex::encode(&thumbprint[..4]));
    assert!(refused(&set(&[&bare, &bare])).contains("same key"));
}

#[test]
fn what_is_for_something_else_is_left_out_and_told() {
    let others = [
        (changed(RSA, "\"kid\"", "\"use\":\"enc\",\"kid\""), "use"),
        (changed(RSA, "\"kid\"", "\"alg\":\"RSA-OAEP\",\"kid\""), "RSA-OAEP"),
        (changed(RSA, "\"kid\"", "\"alg\":\"RS512\",\"kid\""), "RS512"),
        (changed(RSA, "\"kid\"", "\"key_ops\":[\"encrypt\"],\"kid\""), "key_ops"),
        (changed(RSA, "\"RSA\"", "\"AKP\""), "AKP"),
        (changed(P256, "\"P-256\"", "\"P-521\""), "P-521"),
        (changed(ED25519, "\"Ed25519\"", "\"X25519\""), "X25519"),
    ];
    for (key, word) in others {
        let other = if key.contains("a3") { ED25519 } else { P256 };
        let jwks = parse(&set(&[&key, other]), &ALL).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(jwks.keys.len(), 1, "{key}");
        assert!(jwks.left_out.len() == 1 && jwks.left_out[0].contains(word), "{:?}", jwks.left_out);
        assert!(refused(&set(&[&key])).contains(word), "{key}");
    }
}

#[test]
fn what_is_wrong_is_named_and_no_value_of_it() {
    let short = changed(RSA, "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wW", "");
    let rows = [
        (b"".to_vec(), "is empty"),
        (b" \n".to_vec(), "is empty"),
        (b"not JSON".to_vec(), "not one JSON object"),
        (b"[]".to_vec(), "not one JSON object"),
        (b"{}".to_vec(), "no member keys"),
        (b"{\"keys\":{}}".to_vec(), "no list"),
        (b"{\"keys\":[]}".to_vec(), "no key"),
        (b"{\"keys\":[1]}".to_vec(), "keys[0] is not an object"),
        (set(&["{}"]), "no kty"),
        (set(&[r#"{"kty":"oct","kid":"s","k":"c2VjcmV0LXRoYXQtbm9ib2R5LW1heS1yZWFk"}"#]), "is a secret (kty oct)"),
        (
            set(&[&changed(P256, "\"kid\"", "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\",\"kid\"")]),
            "private key (member d)",
        ),
        (set(&[&changed(RSA, "\"kid\"", "\"qi\":\"x\",\"kid\"")]), "private key (member qi)"),
        (set(&[P256, &changed(RSA, "\"a2\"", "\"a3\"")]), "stands twice"),
        (set(&[&changed(P256, "\"a3\"", "1")]), "its kid must be"),
        (set(&[&changed(P256, "\"a3\"", "\"\"")]), "its kid must be"),
        (set(&[&changed(P256, "\"a3\"", "\"\\u0007\"")]), "its kid must be"),
        (set(&[&short]), "bits"),
        (set(&[&changed(RSA, "AQAB", "AQAA")]), "n or e"),
        (set(&[&changed(RSA, "AQAB", "AQ")]), "n or e"),
        (set(&[&changed(RSA, "AQAB", "AQAB=")]), "member e"),
        (set(&[&changed(RSA, "\"e\"", "\"f\"")]), "member e"),
        (set(&[&changed(P256, "f83O", "f83P")]), "no public key of the curve P-256"),
        (set(&[&changed(P256, "\"P-256\"", "\"P-384\"")]), "48 bytes"),
        (set(&[&changed(P256, "\"crv\":\"P-256\",", "")]), "no crv"),
        (set(&[&changed(ED25519, "11qY", "")]), "no public key of the curve Ed25519"),
        (set(&[&changed(P256, "\"kid\"", "\"alg\":\"RS256\",\"kid\"")]), "its alg RS256"),
        (set(&[&changed(RSA, "\"kid\"", "\"alg\":\"HS256\",\"kid\"")]), "its alg HS256"),
        (set(&[&changed(P256, "\"kid\"", "\"kid\":\"a\",\"kid\"")]), "every name once"),
        (set(&vec![P256; 33]), "at most 32"),
    ];
    for (bytes, words) in rows {
        let told = refused(&bytes);
        assert!(told.contains(words), "wanted {words:?} in {told}");
        assert!(!told.contains("c2VjcmV0") && !told.contains("jpsQnn"), "{told}");
    }
}
