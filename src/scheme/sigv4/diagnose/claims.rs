//! What a parsed request claims, against the configuration and the rules; true whether or not the signature fits.

use http::header::{AUTHORIZATION, CONTENT_ENCODING, HOST};

use super::case::Case;
use super::parts::hash;
use crate::scheme::diagnose::{Cause, Diagnosis, bodies};
use crate::scheme::header::Occurrence;
use crate::scheme::sigv4::amz_headers::{CONTENT_SHA256, SECURITY_TOKEN};
use crate::scheme::sigv4::authorization::Authorization;
use crate::scheme::sigv4::settings::ScopePart;
use crate::scheme::sigv4::signing_key::TERMINATOR;
use crate::scheme::sigv4::{canonical, date, must_be_signed};

/// Characters of a sender's text that are shown.
const SHOWN: usize = 256;

/// Adds what is wrong with the claims; `fits`: the signature was explained.
pub(super) fn check(case: &Case<'_>, authorization: &Authorization<'_>, fits: bool, diagnosis: &mut Diagnosis) {
    key(case, authorization, diagnosis);
    scope(case, authorization, fits, diagnosis);
    token(case, authorization, diagnosis);
    signed_headers(case, authorization, diagnosis);
    payload(case, diagnosis);
}

/// Sender's text, cut.
fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn key(case: &Case<'_>, authorization: &Authorization<'_>, diagnosis: &mut Diagnosis) {
    let claimed = authorization.credential.access_key_id;
    if case.settings.keys.iter().all(|key| key.access_key_id != claimed) {
        diagnosis.add(Cause::AccessKeyUnknown, format!("{:?} is what Credential names", cut(claimed)));
    }
}

fn scope(case: &Case<'_>, authorization: &Authorization<'_>, fits: bool, diagnosis: &mut Diagnosis) {
    let credential = &authorization.credential;
    let holds = if fits { "the signature holds for it" } else { "and the signature does not hold for it either" };
    for (cause, given, wanted) in [
        (Cause::OtherRegion, credential.region, case.settings.region.as_ref()),
        (Cause::OtherService, credential.service, case.settings.service.as_ref()),
    ] {
        let wanted = wanted.map_or("", ScopePart::as_str);
        if wanted != given {
            diagnosis.add(cause, format!("{:?}, configured is {wanted:?}; {holds}", cut(given)));
        }
    }
    if credential.terminator != TERMINATOR {
        diagnosis.add(Cause::OtherTerminator, format!("it ends in {:?}", cut(credential.terminator)));
    }
    if let Some(at) = Occurrence::of(&case.head.headers, date::HEADER).once()
        && !at.starts_with(credential.date.as_bytes())
    {
        let words = format!("{:?}, and X-Amz-Date is {:?}", cut(credential.date), cut(&String::from_utf8_lossy(at)));
        diagnosis.add(Cause::DateDiffers, words);
    }
}

fn token(case: &Case<'_>, authorization: &Authorization<'_>, diagnosis: &mut Diagnosis) {
    let claimed = authorization.credential.access_key_id;
    let Some(key) = case.settings.keys.iter().find(|key| key.access_key_id == claimed) else { return };
    let given = Occurrence::of(&case.head.headers, SECURITY_TOKEN);
    match (given, &key.session_token) {
        (Occurrence::Absent, Some(_)) => diagnosis.add(Cause::TokenMissing, format!("key {claimed}")),
        (Occurrence::Once(_), None) => diagnosis.add(Cause::TokenUnexpected, format!("key {claimed}")),
        (Occurrence::Once(given), Some(token)) if !bool::from(subtle::ConstantTimeEq::ct_eq(given, token.expose())) => {
            diagnosis.add(Cause::TokenDiffers, format!("key {claimed}"));
        }
        (Occurrence::Repeated, _) => diagnosis.add(Cause::TokenDiffers, "X-Amz-Security-Token stands more than once"),
        (Occurrence::Absent, None) | (Occurrence::Once(_), Some(_)) => {}
    }
}

fn signed_headers(case: &Case<'_>, authorization: &Authorization<'_>, diagnosis: &mut Diagnosis) {
    let headers = &case.head.headers;
    let signed: Vec<&str> = authorization.signed_headers.split(';').collect();
    let list = |names: Vec<&str>| cut(&names.join(", "));
    let has = |name: &&str| {
        if *name == HOST.as_str() { canonical::host(case.head).is_some() } else { headers.contains_key(*name) }
    };
    let gone: Vec<&str> = signed.iter().copied().filter(|name| !has(name)).collect();
    if !gone.is_empty() {
        diagnosis.add(Cause::HeaderGone, list(gone));
    }
    let unsigned: Vec<&str> = [HOST.as_str(), date::HEADER].into_iter().filter(|name| !signed.contains(name)).collect();
    if !unsigned.is_empty() {
        diagnosis.add(Cause::MustBeSigned, list(unsigned));
    }
    if signed.contains(&AUTHORIZATION.as_str()) {
        diagnosis.add(Cause::MustNotBeSigned, "no request can sign its own signature");
    }
    let added = added(case, authorization);
    if !added.is_empty() {
        diagnosis.add(Cause::HeaderUnsigned, list(added));
    }
}

/// The `x-amz-*` headers that arrived unsigned and may not.
pub(super) fn added<'a>(case: &Case<'a>, authorization: &Authorization<'_>) -> Vec<&'a str> {
    let names = case.head.headers.keys().map(http::HeaderName::as_str);
    let unsigned =
        |name: &&str| *name != date::HEADER && !authorization.signed_headers.split(';').any(|own| own == *name);
    let allowed = &case.settings.unsigned_headers;
    names.filter(|name| must_be_signed(allowed, name)).filter(unsigned).collect()
}

/// What the sender says of the body, against the body.
fn payload(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let explained = diagnosis.findings.iter().any(|finding| {
        matches!(
            finding.cause,
            Cause::BodyEmpty | Cause::BodyLineEnd | Cause::BodyTrimmed | Cause::BodyMark | Cause::BodyRewritten
        )
    });
    let chunked = case
        .head
        .headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase().contains("aws-chunked"));
    match Occurrence::of(&case.head.headers, CONTENT_SHA256) {
        Occurrence::Once(b"UNSIGNED-PAYLOAD") => diagnosis.add(Cause::BodyUnsigned, "x-amz-content-sha256 says so"),
        Occurrence::Once(text) if text.starts_with(b"STREAMING-") || chunked => {
            diagnosis.add(Cause::BodyStreamed, "x-amz-content-sha256 or Content-Encoding says so");
        }
        Occurrence::Once(text) if text != hash(case.body) && text.eq_ignore_ascii_case(&hash(case.body)) => {
            diagnosis.add(Cause::BodyHashUpperCase, "it is the hash of the body that arrived all the same");
        }
        Occurrence::Once(text) if text != hash(case.body) && !explained => {
            diagnosis.add(Cause::BodyChanged, "x-amz-content-sha256 is not the hash of the body that arrived");
        }
        Occurrence::Repeated => diagnosis.add(Cause::BodyChanged, "x-amz-content-sha256 stands more than once"),
        Occurrence::Absent if chunked => diagnosis.add(Cause::BodyStreamed, "Content-Encoding is aws-chunked"),
        Occurrence::Absent | Occurrence::Once(_) => {}
    }
    if bodies::is_compressed(case.body) {
        diagnosis.add(Cause::BodyCompressed, "the body begins as compressed data does");
    }
}
