//! Makes tokens as a sender with the secret would. For `gatepost send`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken as jwt;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::algorithm::Algorithm;
use super::claims::Wanted;

/// How long a token is good for, seconds: shorter than what a stale one is dated back beyond its window.
const LIFETIME: i64 = 60;

/// What makes the signatures.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    pub(super) key: jwt::EncodingKey,
}

impl Signer {
    /// A token that is valid from `at` on and says what is `wanted`, the hash of a `body` at a pointer, and what is `said`
    /// besides. `None` where it cannot be signed.
    pub(super) fn token(
        &self,
        wanted: &Wanted,
        body: Option<(&str, &[u8])>,
        at: Timestamp,
        said: &[(&str, &str)],
    ) -> Option<String> {
        let mut claims: Map<String, Value> =
            said.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
        let mut say = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
        let seconds = at.as_second();
        say("iat", json!(seconds));
        say("nbf", json!(seconds));
        say("exp", json!(seconds.saturating_add(LIFETIME)));
        for (name, names) in [("iss", &wanted.issuers), ("aud", &wanted.audiences)] {
            if let Some(first) = names.first() {
                say(name, json!(first));
            }
        }
        if let Some((pointer, body)) = body {
            put(&mut claims, pointer, &hex::encode(Sha256::digest(body)));
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": self.algorithm.to_string(), "typ": "JWT" });
        let signed = format!("{}.{}", part(&header), part(&Value::Object(claims)));
        let signature = jwt::crypto::sign(signed.as_bytes(), &self.key, self.algorithm.theirs()).ok()?;
        Some(format!("{signed}.{signature}"))
    }
}

/// Puts `text` where an RFC 6901 pointer points, making the objects on the way.
fn put(claims: &mut Map<String, Value>, pointer: &str, text: &str) {
    let names = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    let names: Vec<String> = names.collect();
    let Some((last, outer)) = names.split_last() else { return };
    let mut object = claims;
    for name in outer {
        let inner = object.entry(name.clone()).or_insert_with(|| json!({}));
        if !inner.is_object() {
            *inner = json!({});
        }
        let Value::Object(next) = inner else { return };
        object = next;
    }
    object.insert(last.clone(), json!(text));
}
