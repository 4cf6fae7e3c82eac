//! The doctor of tokens: what could explain that one is not believed. The signature is judged where it is there, and by
//! what the quarantine noted of it where it is not. What is advised has accepted the request before it is said.

mod adapt;
mod case;
mod signature;
mod words;

use std::sync::Arc;

use super::compact::{Compact, Header};
use super::fault::Malformed;
use super::object::Object;
use super::redact::{is_token, noted_parts};
use super::scheme::Jwt;
use crate::scheme::diagnose::{Cause, Diagnosis, bodies};
use crate::scheme::header::Occurrence;
use crate::scheme::settings;
use crate::scheme::token_place::{Shape, around};
use case::{Case, moment};

/// What could explain that the request of `case` is not believed.
pub(super) fn diagnose(case: &Case<'_>) -> Diagnosis {
    let mut told = Diagnosis::default();
    let (Ok(verifier), Some(header)) = (case.settings.verifier(), &case.settings.place.header) else { return told };
    match Occurrence::of(&case.head.headers, header.name()) {
        Occurrence::Repeated => told.add(Cause::CredentialTwice, header.to_string()),
        Occurrence::Absent | Occurrence::Once(b"") => match elsewhere(case) {
            Some(found) => {
                told.add(Cause::CredentialElsewhere, format!("it stands in {found}, and {header} is configured"));
            }
            None => told.add(Cause::CredentialAbsent, format!("{header} is not there or holds nothing")),
        },
        Occurrence::Once(value) => {
            let value = String::from_utf8_lossy(value);
            let shape = Shape::of(case.settings.place.format.as_ref(), &value);
            around(case.settings.place.format.as_ref(), &shape, &mut told);
            within(case, &verifier, shape.core, &mut told);
        }
    }
    let advised = adapt::adapted(case);
    told.settings = advised.map(|settings| Arc::new(settings) as Arc<dyn settings::Settings>);
    told
}

/// Another header that holds a token.
fn elsewhere(case: &Case<'_>) -> Option<String> {
    let format = case.settings.place.format.as_ref();
    let holds = |value: &[u8]| is_token(Shape::of(format, &String::from_utf8_lossy(value)).core);
    let found = case.head.headers.iter().find(|(_, value)| holds(value.as_bytes()));
    found.map(|(name, _)| name.to_string())
}

/// What is wrong with a token.
fn within(case: &Case<'_>, verifier: &Jwt, core: &str, told: &mut Diagnosis) {
    let token = match Compact::unsigned(core) {
        Ok(token) => token,
        Err(fault) => {
            let fault = noted_parts(core).map_or(fault, Malformed::Parts);
            return words::say(&fault.into(), case, verifier, told);
        }
    };
    match Header::read(&token) {
        Ok(header) => signature::check(case, verifier, &token, &header, told),
        Err(fault) => words::say(&fault, case, verifier, told),
    }
    match token.claims() {
        Ok(claims) => {
            for fault in verifier.wanted.faults(&claims, moment(case)) {
                words::say(&fault, case, verifier, told);
            }
            body(case, verifier, &claims, told);
        }
        Err(fault) => words::say(&fault.into(), case, verifier, told),
    }
}

/// Whether the body is the one that the token names.
fn body(case: &Case<'_>, verifier: &Jwt, claims: &Object<'_>, told: &mut Diagnosis) {
    let (Some(pointer), Some(hash)) = (&verifier.body_hash, verifier.body_of(claims)) else { return };
    if hash.is_of(&case.body.clone().into()) {
        return;
    }
    if claims.at(pointer).is_none() {
        return told.add(Cause::JwtBodyHashAbsent, format!("there is no claim {pointer}"));
    }
    if !hash.is_hash() {
        let detail = format!("the claim {pointer} is no SHA-256 in hex, base64 or base64url");
        return told.add(Cause::JwtBodyHash, detail);
    }
    let meant = bodies::variants(case.body);
    let meant = meant.iter().find(|(bytes, ..)| hash.is_of(&bytes::Bytes::copy_from_slice(bytes).into()));
    match meant {
        Some((_, why, how)) => told.add(*why, format!("the claim {pointer} is the hash of the body {how}")),
        None => told.add(Cause::JwtBodyHash, format!("the claim {pointer} is the hash of another body")),
    }
}
