//! The doctor of AWS Signature Version 4: judges what the request claims, then undoes known mistakes, one or two at a
//! time, until the signature fits.

mod case;
mod claims;
mod headers;
mod model;
mod parts;
mod paths;
mod queries;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;

use self::case::Case;
use super::authorization::{self, ALGORITHM, Authorization};
use super::date::AmzDate;
use super::settings::{ScopePart, Settings, UnsignedHeader};
use super::{SECURITY_TOKEN, SigV4};
use crate::scheme::diagnose::{Cause, Diagnosis, REDACTED};
use crate::scheme::header::Occurrence;
use crate::scheme::mac::{Algorithm, Mac};
use crate::scheme::{Refusal, Scheme as _};

/// Says what could explain that the request of `case` does not verify.
pub(super) fn diagnose(case: &Case<'_>) -> Diagnosis {
    if case.head.uri.query().is_some_and(authorization::in_query) {
        return Diagnosis::of(Cause::QueryAuthentication, "no parameter of the query may authenticate");
    }
    let value = match Occurrence::of(&case.head.headers, AUTHORIZATION) {
        Occurrence::Absent => return absent(case),
        Occurrence::Repeated => return repeated(case),
        Occurrence::Once(value) => value,
    };
    match authorization::parse(value) {
        Ok(authorization) => of_claims(case, &authorization),
        Err(problem) => malformed(value, problem),
    }
}

fn of_claims(case: &Case<'_>, authorization: &Authorization<'_>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    match AmzDate::of(case.head) {
        Ok(_) => {}
        Err(Refusal::MissingTimestamp) => diagnosis.add(Cause::DateMissing, "the time that was signed is unknown"),
        Err(_) => diagnosis.add(Cause::DateMalformed, "the time that was signed is unknown"),
    }
    let found = signature(authorization.signature, &mut diagnosis)
        .and_then(|signature| search::search(case, authorization, &signature, &mut diagnosis));
    claims::check(case, authorization, found.is_some(), &mut diagnosis);
    if diagnosis.findings.is_empty() && !verifies(case, case.settings) {
        diagnosis.add(Cause::NothingFits, "the claims are in order: the secret access key differs, or something that is signed changed on the way in an unknown manner; compare the canonical request with the sender's, line by line");
    } else if found.is_none() && diagnosis.findings.iter().all(|finding| !is_decisive(finding.cause)) {
        diagnosis.add(Cause::NothingFits, "besides what is said above, no known change makes the signature fit");
    }
    diagnosis.settings =
        mended(case, authorization).map(|settings| Arc::new(settings) as Arc<dyn crate::scheme::Settings>);
    diagnosis
}

/// Whether a claim alone keeps a signature from being looked for.
const fn is_decisive(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::DateMissing
            | Cause::DateMalformed
            | Cause::SignatureMalformed
            | Cause::AccessKeyUnknown
            | Cause::HeaderGone
    )
}

/// The signature given; in upper case it is read all the same, and told.
fn signature(text: &str, diagnosis: &mut Diagnosis) -> Option<Mac> {
    let mac = Mac::from_hex(text.as_bytes(), Algorithm::Sha256);
    if mac.is_none() {
        diagnosis.add(Cause::SignatureMalformed, format!("it has {} characters", text.chars().count()));
    } else if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        diagnosis.add(Cause::SignatureUpperCase, "its value is not judged by that here");
    }
    mac
}

/// The settings with the fewest changes with which the request verifies; `None` where it does already or never does.
fn mended(case: &Case<'_>, authorization: &Authorization<'_>) -> Option<Settings> {
    let credential = &authorization.credential;
    let scoped = |settings: &Settings| Settings {
        region: ScopePart::parse(credential.region).ok(),
        service: ScopePart::parse(credential.service).ok(),
        ..settings.clone()
    };
    let allowing = |settings: &Settings| {
        let mut settings = settings.clone();
        let added = claims::added(case, authorization);
        // One that may not be left unsigned stays away, and then nothing verifies.
        settings.unsigned_headers.extend(added.into_iter().filter_map(|name| UnsignedHeader::parse(name).ok()));
        settings
    };
    if verifies(case, case.settings) {
        return None;
    }
    let attempts = [scoped(case.settings), allowing(case.settings), scoped(&allowing(case.settings))];
    attempts.into_iter().find(|settings| verifies(case, settings))
}

/// Whether the request verifies as it stands, by the code that verifies.
fn verifies(case: &Case<'_>, settings: &Settings) -> bool {
    let Ok(scheme) = SigV4::new(settings) else { return false };
    let body = case.body.clone().into();
    scheme.read(case.head).is_ok_and(|claims| scheme.verify(case.head, &claims, &body).is_ok())
}

/// No Authorization: a proxy or gateway may have moved it.
fn absent(case: &Case<'_>) -> Diagnosis {
    let elsewhere = case.head.headers.iter().find(|(_, value)| value.as_bytes().starts_with(b"AWS4-"));
    match elsewhere {
        Some((name, _)) => Diagnosis::of(Cause::AuthorizationMoved, format!("it stands in {name}")),
        None => Diagnosis::of(Cause::AuthorizationAbsent, "nothing in the request is signed"),
    }
}

/// Each of several may be the right one.
fn repeated(case: &Case<'_>) -> Diagnosis {
    let values: Vec<&HeaderValue> = case.head.headers.get_all(AUTHORIZATION).iter().take(8).collect();
    let fitting = values.iter().position(|value| {
        let mut head = case.head.clone();
        head.headers.insert(AUTHORIZATION, (*value).clone());
        verifies(&Case { head: &head, ..*case }, case.settings)
    });
    let words = match fitting {
        Some(position) => format!("{} stand there; number {} alone would verify", values.len(), position + 1),
        None => format!("{} stand there, and none of them verifies", values.len()),
    };
    Diagnosis::of(Cause::AuthorizationTwice, words)
}

fn malformed(value: &[u8], problem: &'static str) -> Diagnosis {
    if value == REDACTED.as_bytes() {
        return Diagnosis::of(Cause::AuthorizationRedacted, "a bearer token or a password, by its form");
    }
    let token = value.split(|byte| matches!(byte, b' ' | b'\t' | b',')).next().unwrap_or_default();
    let known: [(&[u8], &str); 5] = [
        (b"AWS", "AWS Signature Version 2"),
        (b"AWS4-ECDSA-P256-SHA256", "AWS Signature Version 4A"),
        (b"AWS4-HMAC-SHA1", "AWS4-HMAC-SHA1"),
        (b"AWS4-HMAC-SHA384", "AWS4-HMAC-SHA384"),
        (b"AWS4-HMAC-SHA512", "AWS4-HMAC-SHA512"),
    ];
    match known.iter().find(|(known, _)| *known == token) {
        Some((_, name)) => Diagnosis::of(Cause::OtherAlgorithm, format!("{name}; {ALGORITHM} is the one taken")),
        None => Diagnosis::of(Cause::AuthorizationMalformed, problem),
    }
}

/// Puts the session token of the key that the request claims back where the quarantine left it out.
pub(super) fn restore_token(head: &mut Parts, settings: &Settings) {
    if head.headers.get(SECURITY_TOKEN).is_none_or(|value| value.as_bytes() != REDACTED.as_bytes()) {
        return;
    }
    let authorization = Occurrence::of(&head.headers, AUTHORIZATION).once().map(authorization::parse);
    let Some(Ok(authorization)) = authorization else { return };
    let claimed = authorization.credential.access_key_id;
    let key = settings.keys.iter().find(|key| key.access_key_id == claimed);
    let token = key.and_then(|key| key.session_token.as_ref());
    if let Some(Ok(mut value)) = token.map(|token| HeaderValue::from_bytes(token.expose())) {
        value.set_sensitive(true);
        head.headers.insert(SECURITY_TOKEN, value);
    }
}
