//! What is wrong with a token, in words.

use jiff::Timestamp;

use super::super::algorithm::names;
use super::super::compact::MAX_TOKEN;
use super::super::fault::{Fault, Malformed};
use super::super::scheme::Jwt;
use super::case::Case;
use crate::clock::UnixSeconds;
use crate::scheme::diagnose::{Cause, Diagnosis};

/// A thousand years in milliseconds: times as large are none in seconds.
const MILLIS: std::ops::Range<u64> = 253_402_300_800..100_000_000_000_000;

/// Adds `fault` to what is told.
pub(super) fn say(fault: &Fault, of: &Case<'_>, verifier: &Jwt, told: &mut Diagnosis) {
    let (cause, detail) = match fault {
        Fault::Malformed(malformed) => form(malformed),
        Fault::Header(name) => (Cause::JwtHeader, header(name)),
        Fault::Algorithm(found) => (Cause::JwtAlgorithm, algorithm(found, verifier)),
        Fault::KeyUnknown(kid) => (Cause::JwtKeyUnknown, unknown(kid, verifier)),
        Fault::KeyMisfit(kid) => {
            let key = kid.as_ref().map_or_else(|| "no key".to_owned(), |kid| format!("key {kid:?} is none that"));
            (Cause::JwtKeyMisfit, format!("{key} goes with the algorithm that its header names"))
        }
        Fault::Endless => (Cause::JwtEndless, "there is no claim exp".to_owned()),
        Fault::NotATime(name, spelled) => (Cause::JwtTime, time(name, spelled)),
        Fault::Expired(at) => (Cause::JwtExpired, format!("it ended {}", apart(*at, of, "before it arrived"))),
        Fault::NotYet(at) => (Cause::JwtNotYet, format!("it begins {}", apart(*at, of, "after it arrived"))),
        Fault::Future(at) => {
            (Cause::JwtFuture, format!("it says it was issued {}", apart(*at, of, "after it arrived")))
        }
        Fault::Issuer(found) => {
            let found = found.as_ref().map_or_else(|| "it has no iss".to_owned(), |it| format!("its iss is {it:?}"));
            (Cause::JwtIssuer, format!("{found}, and issuer is {}", list(&verifier.wanted.issuers)))
        }
        Fault::Audience(found) => {
            let found =
                if found.is_empty() { "it has no aud".to_owned() } else { format!("its aud is {}", list(found)) };
            let wanted = &verifier.wanted.audiences;
            let wanted = if wanted.is_empty() { "not set".to_owned() } else { list(wanted) };
            (Cause::JwtAudience, format!("{found}, and audience is {wanted}"))
        }
        Fault::Signature => (Cause::JwtSignature, "none of the keys that go with it".to_owned()),
    };
    told.add(cause, detail);
}

/// What is wrong with the form of a token.
fn form(fault: &Malformed) -> (Cause, String) {
    let malformed = |detail: String| (Cause::JwtMalformed, detail);
    match fault {
        Malformed::TooLong(bytes) => malformed(format!("it has {bytes} bytes, and at most {MAX_TOKEN} are read")),
        Malformed::Parts(5) => (Cause::JwtEncrypted, "it has five parts, as encrypted tokens (JWE) have".to_owned()),
        Malformed::Parts(1) => malformed("it has no dots, and a token has three parts between two".to_owned()),
        Malformed::Parts(parts) => malformed(format!("it has {parts} parts, and a token has three")),
        Malformed::NotBase64(part) => malformed(format!("its {part} is not base64url without padding")),
        Malformed::NotAnObject(part) => malformed(format!("its {part} is not one JSON object with every name once")),
        Malformed::Unsigned => (Cause::JwtUnsigned, "nothing stands behind its claims".to_owned()),
    }
}

fn unknown(kid: &str, verifier: &Jwt) -> String {
    let known = verifier.keys.all.iter().filter_map(|key| key.kid.clone());
    let known = list(&known.collect::<Vec<_>>());
    let known = if known.is_empty() { "none has one".to_owned() } else { format!("there are {known}") };
    format!("its kid is {kid:?}, and of the keys in jwks_file {known}")
}

fn header(name: &str) -> String {
    match name {
        "alg" | "kid" | "typ" => format!("its {name} is missing or no string"),
        "cty" => "its cty says that another token stands in it".to_owned(),
        "jwk" | "jku" | "x5u" | "x5c" => {
            format!("it brings a key or says where one is ({name}), which is never followed")
        }
        "crit" | "b64" => format!("it asks for an extension ({name}) that is not known here"),
        _ => format!("it is encrypted or compressed ({name})"),
    }
}

fn algorithm(found: &str, verifier: &Jwt) -> String {
    let pinned = names(&verifier.algorithms);
    if found.eq_ignore_ascii_case("none") {
        return format!(
            "its alg is {found:?}: it is not signed at all, and anybody can write such a token; pinned is {pinned}"
        );
    }
    format!("its alg is {found:?}, and algorithms pins {pinned}")
}

fn time(name: &str, spelled: &str) -> String {
    if spelled.parse().is_ok_and(|millis: u64| MILLIS.contains(&millis)) {
        return format!("{name} is {spelled}, which is milliseconds; it must be seconds since 1970");
    }
    format!("{name} is {spelled}; it must be a number of seconds since 1970")
}

/// A time, and how far it is from when the request arrived.
fn apart(at: UnixSeconds, of: &Case<'_>, side: &str) -> String {
    let text = Timestamp::from_second(at.0).map_or_else(|_| at.to_string(), |at| at.to_string());
    format!("at {text}, {} s {side}, and the leeway is {} s", at.abs_diff(of.at), of.window)
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}
