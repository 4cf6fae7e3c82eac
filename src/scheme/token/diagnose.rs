//! The doctor of tokens: what could explain that none was found or none fits. Tokens that the quarantine did not keep are
//! known again by their fingerprints. What it advises is built and has admitted the request before it is said.

use std::any::Any;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use super::settings::Settings;
use super::tokens::Tokens;
use crate::scheme::Refusal;
use crate::scheme::diagnose::{Case, Cause, Diagnosis, Finding, secrets};
use crate::scheme::header::Occurrence;
use crate::scheme::token_place::{Coding, Format, Header, Shape, around, fingerprint};

/// The other sources of `case` that have nothing but tokens.
pub(super) fn others<'a>(case: &Case<'a>) -> Vec<(&'a str, &'a Settings)> {
    let tokens = |(name, settings): &(&'a str, &'a dyn crate::scheme::Settings)| {
        let settings: &'a dyn Any = *settings;
        Some((*name, settings.downcast_ref::<Settings>()?))
    };
    case.others.iter().filter_map(tokens).collect()
}

/// What could explain that `settings` do not admit `head`, and settings that would.
pub(super) fn diagnose(
    settings: &Settings,
    others: &[(&str, &Settings)],
    head: &Parts,
) -> (Vec<Finding>, Option<Settings>) {
    let mut told = Diagnosis::default();
    let (Ok(tokens), Some(header)) = (Tokens::new(settings), &settings.header) else { return (told.findings, None) };
    match (tokens.admit(head), Occurrence::of(&head.headers, header.name())) {
        (Ok(_), _) => return (told.findings, None),
        (Err(Refusal::MissingToken), _) | (Err(_), Occurrence::Absent) => {}
        (Err(_), Occurrence::Repeated) => {
            told.add(Cause::CredentialTwice, header.to_string());
            return (told.findings, None);
        }
        (Err(_), Occurrence::Once(value)) => {
            let value = String::from_utf8_lossy(value);
            explain(settings, others, &Shape::of(settings.format.as_ref(), &value), &mut told);
            if told.findings.is_empty() {
                told.add(
                    Cause::CredentialUnknown,
                    format!("the token is known, and {header} is not written as configured"),
                );
            }
        }
    }
    let advised = adapted(settings, head);
    if let Some(advised) = advised.as_ref().and_then(|advised| advised.header.as_ref())
        && advised.name() != header.name()
    {
        told.findings.clear();
        told.add(Cause::CredentialElsewhere, format!("it stands in {advised}, and {header} is configured"));
    }
    if told.findings.is_empty() {
        told.add(Cause::CredentialAbsent, format!("{header} is not there or holds nothing"));
    }
    (told.findings, advised)
}

/// What is wrong with a value that is there.
fn explain(settings: &Settings, others: &[(&str, &Settings)], shape: &Shape<'_>, told: &mut Diagnosis) {
    around(settings.format.as_ref(), shape, told);
    match known(settings, shape) {
        Some((_, Known::AsIs)) => {}
        Some((name, Known::Encoded)) => {
            told.add(Cause::CredentialEncoded, format!("key {name} arrives in base64, and {{token}} is configured"));
        }
        Some((name, Known::Decoded)) => {
            told.add(Cause::CredentialEncoded, format!("key {name} arrives as text, and {{basic}} is configured"));
        }
        Some((name, Known::Ends(words))) => told.add(Cause::SecretEnds, format!("key {name}: {words}")),
        None => match others.iter().find(|(_, other)| self::known(other, shape).is_some()) {
            Some((other, _)) => told.add(Cause::OtherSourcesCredential, format!("it is one of source {other}")),
            None => told.add(Cause::CredentialUnknown, "as it is, in base64, decoded, and with other ends".to_owned()),
        },
    }
}

/// How a configured token stands in a request.
enum Known {
    AsIs,
    Encoded,
    Decoded,
    Ends(&'static str),
}

/// Which of the tokens of `settings` stands in `shape`, and how.
fn known(settings: &Settings, shape: &Shape<'_>) -> Option<(String, Known)> {
    let mark = shape.mark()?;
    let basic = settings.format.as_ref().is_some_and(|format| format.coding() == Coding::Basic);
    let is = |text: &[u8]| fingerprint(text).is_some_and(|other| other == mark);
    settings.tokens.iter().find_map(|token| {
        let (text, base64) = (token.expose(), STANDARD.encode(token.expose()));
        let how = match (is(text), is(base64.as_bytes())) {
            (true, _) if basic => Known::Decoded,
            (true, _) => Known::AsIs,
            (false, true) if basic => Known::AsIs,
            (false, true) => Known::Encoded,
            (false, false) => {
                let ends = secrets::ends(text);
                let ended = ends.iter().find(|(other, _)| is(other) || is(STANDARD.encode(&**other).as_bytes()));
                Known::Ends(ended?.1)
            }
        };
        Some((token.name(), how))
    })
}

/// Settings with the same tokens that admit `head` as it stands.
fn adapted(settings: &Settings, head: &Parts) -> Option<Settings> {
    let word = settings.format.as_ref().and_then(|format| format.word()).unwrap_or("Bearer");
    let formats = ["{token}", "Bearer {token}", "Basic {basic}", "Token {token}", "ApiKey {token}", "{basic}"];
    let formats =
        formats.map(str::to_owned).into_iter().chain([format!("{word} {{token}}"), format!("{word} {{basic}}")]);
    let formats: Vec<Format> = formats.filter_map(|text| Format::parse(&text).ok()).collect();
    let own = settings.header.iter().map(Header::name);
    let elsewhere = head.headers.keys().filter(|name| settings.header.as_ref().is_none_or(|own| own.name() != *name));
    for name in own.chain(elsewhere) {
        for format in settings.format.iter().chain(&formats) {
            let header = Header::parse(name.as_str()).ok();
            let wanted = Settings { header, format: Some(format.clone()), ..settings.clone() };
            if Tokens::new(&wanted).is_ok_and(|tokens| tokens.admit(head).is_ok()) {
                return Some(wanted);
            }
        }
    }
    None
}
