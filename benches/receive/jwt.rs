//! JSON Web Tokens as a sender makes them, with keys of this process: one token an algorithm, sent with every body.

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gatepost::clock::Clock;
use serde_json::{Value, json};

use crate::request::SECRET;
use crate::result::BenchResult;

/// How a token is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithm {
    /// HMAC with the secret of the HMAC sources.
    Hs256,
    /// 2048 bits.
    Rs256,
    /// P-256.
    Es256,
}

struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
}

fn keys() -> BenchResult<&'static Keys> {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    if let Some(keys) = KEYS.get() {
        return Ok(keys);
    }
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048)?;
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
    Ok(KEYS.get_or_init(|| Keys { rsa, p256 }))
}

/// The public keys, as `jwks_file` holds them.
pub(crate) fn jwks() -> BenchResult<Value> {
    let Keys { rsa, p256 } = keys()?;
    let (n, e) = (rsa.public_key().modulus(), rsa.public_key().exponent());
    let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
    // An uncompressed point: 4, then both coordinates (SEC 1, section 2.3.3).
    let point = p256.public_key().as_ref().get(1..).unwrap_or_default();
    let (x, y) = point.split_at(point.len() / 2);
    Ok(json!({ "keys": [
        { "kty": "RSA", "kid": "rsa", "n": base64url(n), "e": base64url(e) },
        { "kty": "EC", "crv": "P-256", "kid": "p256", "x": base64url(x), "y": base64url(y) },
    ] }))
}

/// A token that is good for a day.
pub(crate) fn token(algorithm: Algorithm) -> BenchResult<String> {
    let now = Clock::system().now().as_second();
    let (alg, kid) = match algorithm {
        Algorithm::Hs256 => ("HS256", None),
        Algorithm::Rs256 => ("RS256", Some("rsa")),
        Algorithm::Es256 => ("ES256", Some("p256")),
    };
    let header = kid.map_or(json!({ "alg": alg }), |kid| json!({ "alg": alg, "kid": kid }));
    let claims = json!({ "iss": "https://sender.example", "iat": now, "exp": now + 86_400 });
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let (random, text) = (SystemRandom::new(), signed.as_bytes());
    let signature = match algorithm {
        Algorithm::Hs256 => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text).as_ref().to_vec(),
        Algorithm::Rs256 => {
            let pair = &keys()?.rsa;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)?;
            signature
        }
        Algorithm::Es256 => keys()?.p256.sign(&random, text)?.as_ref().to_vec(),
    };
    Ok(format!("{signed}.{}", base64url(signature)))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
