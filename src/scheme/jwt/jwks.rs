//! The file with the public keys (RFC 7517): what may stand in it, and what is wrong with what does.

use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::algorithm::{Algorithm, KeyType, names};
use super::keys::Key;
use super::object::{Object, Value};
use crate::file::read_regular;

/// The largest file, bytes.
const MAX_FILE: u64 = 256 * 1024;
/// The most keys: a token that names none is held against all that fit.
const MAX_KEYS: usize = 32;
/// The longest name of a key, bytes.
const MAX_KID: usize = 256;
/// Members that only a private key has (RFC 7518, sections 6.2.2 and 6.3.2).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
/// Modulus lengths that are verified, bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What stands in a file.
#[derive(Default)]
pub(super) struct Jwks {
    /// The keys that verify.
    pub(super) keys: Vec<Key>,
    /// What was left out and why, in words that follow the path of the file.
    pub(super) left_out: Vec<String>,
    /// SHA-256 of the file, in hex.
    pub(super) digest: String,
}

/// Why a key of the file does not count.
enum Unfit {
    /// It is for something else; others may be for us.
    Other(String),
    /// Something is wrong with it.
    Wrong(String),
}

/// Reads `file`; of its keys those that verify one of `pinned`, or whatever there is where nothing is pinned.
///
/// # Errors
/// What is wrong with it and what to do, in words that follow its path.
pub(super) fn read(file: &Path, pinned: &[Algorithm]) -> Result<Jwks, String> {
    let bytes = read_regular(file, MAX_FILE).map_err(|error| format!("cannot be read: {error}"))?;
    parse(&bytes, pinned)
}

/// Reads what a file holds.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(bytes: &[u8], pinned: &[Algorithm]) -> Result<Jwks, String> {
    const WANTED: &str = "put a JWKS there, {\"keys\":[…]}, as the sender publishes it";
    if bytes.trim_ascii().is_empty() {
        return Err(format!("is empty: {WANTED}"));
    }
    let set = Object::read(bytes).ok_or_else(|| format!("is not one JSON object with every name once: {WANTED}"))?;
    let keys = set.get("keys").ok_or_else(|| format!("has no member keys: {WANTED}"))?;
    let keys: Vec<&RawValue> =
        serde_json::from_str(keys.spelled()).map_err(|_| format!("has keys that are no list: {WANTED}"))?;
    if keys.len() > MAX_KEYS {
        return Err(format!("holds {} keys, and at most {MAX_KEYS} are taken: leave out those out of use", keys.len()));
    }
    let digest = hex::encode(Sha256::digest(bytes));
    let (mut jwks, mut kids) = (Jwks { digest, ..Jwks::default() }, Vec::new());
    for (position, raw) in keys.into_iter().enumerate() {
        let members = Object::read(raw.get().as_bytes());
        let members = members.ok_or_else(|| format!("keys[{position}] is not an object with every name once"))?;
        let kid = kid(&members).map_err(|problem| format!("keys[{position}]: {problem}"))?;
        let called = kid.as_ref().map_or_else(|| format!("keys[{position}]"), |kid| format!("key {kid:?}"));
        if let Some(kid) = &kid {
            if kids.contains(kid) {
                return Err(format!("{called} stands twice: a token could mean either, leave one out"));
            }
            kids.push(kid.clone());
        }
        match key(&members, kid, pinned) {
            Ok(key) if jwks.keys.iter().any(|known| known.name == key.name) => {
                return Err(format!("{called} is the same key as another without a kid: leave one out"));
            }
            Ok(key) => jwks.keys.push(key),
            Err(Unfit::Other(why)) => jwks.left_out.push(format!("{called} is left out: {why}")),
            Err(Unfit::Wrong(why)) => return Err(format!("{called}: {why}")),
        }
    }
    if jwks.keys.is_empty() {
        let why = if jwks.left_out.is_empty() { String::new() } else { format!(" ({})", jwks.left_out.join("; ")) };
        return Err(format!("holds no key that could verify anything here{why}: {WANTED}"));
    }
    Ok(jwks)
}

fn kid(members: &Object<'_>) -> Result<Option<String>, String> {
    let Some(value) = members.get("kid") else { return Ok(None) };
    let fits = |kid: &String| (1..=MAX_KID).contains(&kid.len()) && !kid.chars().any(char::is_control);
    value
        .text()
        .filter(fits)
        .map(Some)
        .ok_or_else(|| format!("its kid must be a string of 1 to {MAX_KID} bytes without control characters"))
}

fn key(members: &Object<'_>, kid: Option<String>, pinned: &[Algorithm]) -> Result<Key, Unfit> {
    let text = |name: &str| members.get(name).and_then(Value::text);
    let kty = text("kty").ok_or_else(|| Unfit::Wrong("it has no kty that says what it is".to_owned()))?;
    if kty == "oct" {
        return Err(Unfit::Wrong(
            "it is a secret (kty oct), which no file of public keys may hold: configure it in secrets instead"
                .to_owned(),
        ));
    }
    if let Some(member) = PRIVATE.into_iter().find(|name| members.get(name).is_some()) {
        return Err(Unfit::Wrong(format!(
            "it is a private key (member {member}): put its public half here, and make a new one, for this file was readable"
        )));
    }
    let (key_type, material) = material(&kty, text("crv").as_deref(), members)?;
    let purpose = text("use");
    if let Some(purpose) = purpose.filter(|purpose| purpose != "sig") {
        return Err(Unfit::Other(format!("its use is {purpose:?}, not \"sig\"")));
    }
    if let Some(operations) = members.get("key_ops").and_then(Value::texts)
        && !operations.iter().any(|operation| operation == "verify")
    {
        return Err(Unfit::Other("its key_ops do not name \"verify\"".to_owned()));
    }
    let algorithms = algorithms(key_type, text("alg"), pinned)?;
    let name = kid.clone().unwrap_or_else(|| thumbprint(&kty, members));
    Ok(Key { name, kid, algorithms, material })
}

/// What the key verifies, of what is pinned.
fn algorithms(key_type: KeyType, own: Option<String>, pinned: &[Algorithm]) -> Result<Vec<Algorithm>, Unfit> {
    let mut algorithms: Vec<Algorithm> =
        Algorithm::ALL.iter().map(|(_, it)| *it).filter(|it| it.key_type() == key_type).collect();
    if let Some(own) = own {
        let known = Algorithm::named(&own).ok_or_else(|| Unfit::Other(format!("its alg is {own:?}")))?;
        if known.key_type() != key_type {
            return Err(Unfit::Wrong(format!("its alg {own} does not go with what it is")));
        }
        algorithms = vec![known];
    }
    let fitting: Vec<Algorithm> = algorithms.iter().copied().filter(|it| pinned.contains(it)).collect();
    match (pinned, fitting.as_slice()) {
        // What is pinned is wrong or missing, and told.
        ([], _) => Ok(algorithms),
        (_, []) => Err(Unfit::Other(format!("it verifies {}, and algorithms names none of them", names(&algorithms)))),
        _ => Ok(fitting),
    }
}

fn material(kty: &str, crv: Option<&str>, members: &Object<'_>) -> Result<(KeyType, DecodingKey), Unfit> {
    let bytes = |name: &str| {
        let text = members.get(name).and_then(Value::text);
        let decoded = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        decoded.ok_or_else(|| Unfit::Wrong(format!("its member {name} is missing or not base64url without padding")))
    };
    let no_point = |_| Unfit::Wrong(format!("it is no public key of the curve {}", crv.unwrap_or_default()));
    let point = |half: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        if x.len() != half || y.len() != half {
            return Err(Unfit::Wrong(format!("its x and y must have {half} bytes each")));
        }
        Ok([vec![4], x, y].concat())
    };
    match (kty, crv) {
        ("RSA", _) => rsa(&bytes("n")?, &bytes("e")?).map(|key| (KeyType::Rsa, key)),
        ("EC", Some("P-256")) => {
            let point = point(32)?;
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(no_point)?;
            Ok((KeyType::P256, DecodingKey::from_ec_der(&point)))
        }
        ("EC", Some("P-384")) => {
            let point = point(48)?;
            ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point).map_err(no_point)?;
            Ok((KeyType::P384, DecodingKey::from_ec_der(&point)))
        }
        ("OKP", Some("Ed25519")) => {
            let x = bytes("x")?;
            ParsedPublicKey::new(&ED25519, &x).map_err(no_point)?;
            Ok((KeyType::Ed25519, DecodingKey::from_ed_der(&x)))
        }
        ("EC" | "OKP", Some(curve)) => Err(Unfit::Other(format!("no algorithm here is on its curve {curve:?}"))),
        ("EC" | "OKP", None) => Err(Unfit::Wrong("it has no crv that names its curve".to_owned())),
        _ => Err(Unfit::Other(format!("its kty {kty:?} is none that is known here"))),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<DecodingKey, Unfit> {
    let zeros = n.iter().take_while(|byte| **byte == 0).count();
    let modulus = n.get(zeros..).unwrap_or_default();
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        let (from, to) = (RSA_BITS.start(), RSA_BITS.end());
        return Err(Unfit::Wrong(format!("its modulus has {bits} bits, and {from} to {to} are taken")));
    }
    let exponent = e.iter().try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add(u64::from(*byte)));
    if !exponent.is_some_and(|e| e % 2 == 1 && (3..1 << 33).contains(&e)) || modulus.last().is_none_or(|n| n % 2 == 0) {
        return Err(Unfit::Wrong("its n or e is none of an RSA key".to_owned()));
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, e))
}

/// What a key without a kid is called: the beginning of its thumbprint (RFC 7638).
fn thumbprint(kty: &str, members: &Object<'_>) -> String {
    let names: &[&str] = match kty {
        "RSA" => &["e", "kty", "n"],
        "EC" => &["crv", "kty", "x", "y"],
        _ => &["crv", "kty", "x"],
    };
    let members = names.iter().filter_map(|name| Some(format!("{name:?}:{}", members.get(name)?.spelled())));
    let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    hex::encode(Sha256::digest(text).get(..4).unwrap_or_default())
}

#[cfg(test)]
mod tests;
