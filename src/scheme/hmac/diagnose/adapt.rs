//! From what made the MAC to settings that read the request so: the fewest changes that build and verify it.

use std::sync::Arc;

use http::HeaderName;

use super::case::Case;
use super::search::{Form, Found, timestamps};
use crate::clock::UnixSeconds;
use crate::scheme::diagnose::{Cause, Diagnosis};
use crate::scheme::hmac::Hmac;
use crate::scheme::hmac::settings::Settings;
use crate::scheme::hmac::spelled::{Spelled, format};
use crate::scheme::hmac::time::Unit;
use crate::scheme::secret_encoding::{SECRET_ENCODING, SecretEncoding};
use crate::scheme::{Refusal, Scheme};
use crate::secret::Secret;

/// Bytes that are hashed for all attempts together.
const MAX_HASHED: usize = 256 * 1024 * 1024;

/// Settings that are tried at most, and at least.
const ATTEMPTS: std::ops::RangeInclusive<usize> = 16..=400;

/// Whether the request of `case` verifies with `settings`, by the code that verifies.
pub(super) fn verifies(case: &Case<'_>, settings: &Settings) -> bool {
    let Ok(scheme) = Hmac::new(settings) else { return false };
    let body = case.body.clone().into();
    scheme.read(case.head).is_ok_and(|claims| scheme.verify(case.head, &claims, &body).is_ok())
}

/// Says what differs between what `found` tells and how `case` is configured.
pub(super) fn explain(case: &Case<'_>, found: &Found<'_>, diagnosis: &mut Diagnosis) {
    if let Some((_, cause, words)) = &found.body {
        diagnosis.add(*cause, format!("what was signed is {words}"));
    }
    if let Some((cause, words)) = &found.candidate.meaning {
        diagnosis.add(*cause, words.clone());
    }
    // What the sender would have to mend is taken as mended, to see what else differs.
    let body = found.body.as_ref().map(|(body, ..)| bytes::Bytes::copy_from_slice(body));
    let mended = Case { body: body.as_ref().unwrap_or(case.body), ..*case };
    let secret = found.candidate.secret.as_ref().and_then(|text| Secret::token(text.to_vec()).ok());
    let Some(wanted) = attempts(case, found).into_iter().find(|settings| {
        let mut settings = settings.clone();
        settings.secrets.extend(secret.clone());
        verifies(&mended, &settings)
    }) else {
        inexpressible(case, found, diagnosis);
        return;
    };
    let mut wanted = in_time(case, wanted);
    if is_of_another(found) {
        // How another source's secret is written is no mistake of this one's.
        wanted.secret_encoding = case.settings.secret_encoding;
    }
    tell(case, &wanted, diagnosis);
    let sound = found.body.is_none() && found.candidate.meaning.is_none();
    if sound && !case.settings.changes(&wanted).is_empty() && verifies(case, &wanted) && reads_time(case, &wanted) {
        diagnosis.settings = Some(Arc::new(wanted));
    }
}

/// Whether the secret that fits is another source's.
fn is_of_another(found: &Found<'_>) -> bool {
    matches!(found.candidate.meaning, Some((Cause::OtherSourcesSecret, _)))
}

/// Settings that may read the request as `found` does, those with the fewest changes first.
fn attempts(case: &Case<'_>, found: &Found<'_>) -> Vec<Settings> {
    let mut attempts = vec![case.settings.clone()];
    let mut vary = |change: &dyn Fn(&mut Settings)| {
        let changed: Vec<Settings> = attempts
            .iter()
            .map(|settings| {
                let mut settings = settings.clone();
                change(&mut settings);
                settings
            })
            .collect();
        attempts.extend(changed);
    };
    vary(&|settings| settings.signed_content = Some(found.content.clone()));
    vary(&|settings| {
        if let Some(header) = found.id.as_ref().and_then(|id| id.header.clone()) {
            settings.id_header = Some(header.into());
        }
    });
    for encoding in encodings(found.candidate.form) {
        vary(&|settings| settings.secret_encoding = *encoding);
    }
    vary(&|settings| settings.algorithm = found.algorithm);
    let mut written = attempts.clone();
    for format in found.brought.formats.iter().filter_map(|text| format(text).ok()) {
        written.extend(attempts.iter().map(|settings| {
            let mut settings = settings.clone();
            settings.signature_format = Some(format.clone());
            set_header(&mut settings, &found.brought.header);
            settings
        }));
    }
    let mut times: Vec<Option<HeaderName>> = found.timestamp.iter().map(|text| text.header.clone()).collect();
    times.extend(timestamps(case, std::slice::from_ref(found.brought)).into_iter().map(|text| text.header));
    times.push(None);
    times.dedup();
    let mut all: Vec<Settings> = written.clone();
    for time in times {
        let timestamp_header: Option<Spelled<HeaderName>> = time.map(Into::into);
        all.extend(
            written.iter().map(|settings| Settings { timestamp_header: timestamp_header.clone(), ..settings.clone() }),
        );
    }
    let mut all: Vec<Settings> = all.into_iter().map(|settings| consistent(case, found, settings)).collect();
    all.sort_by_key(|settings| case.settings.changes(settings).len());
    all.dedup_by(|a, b| a.changes(b).is_empty());
    let work = (case.body.len().max(1)).saturating_mul(case.settings.secrets.len().max(1));
    all.truncate((MAX_HASHED / work).clamp(*ATTEMPTS.start(), *ATTEMPTS.end()));
    all
}

/// One source of the timestamp, and a unit where there is one.
fn consistent(case: &Case<'_>, found: &Found<'_>, mut settings: Settings) -> Settings {
    if settings.format_has_timestamp() {
        settings.timestamp_header = None;
    }
    if !settings.has_timestamp() {
        settings.timestamp_unit = None;
    } else if settings.timestamp_unit.is_none() {
        let text = found.timestamp.as_ref().map_or_else(|| header(case, &settings), |text| text.value.clone());
        settings.timestamp_unit = Some(unit_of(&text));
    }
    settings
}

fn header(case: &Case<'_>, settings: &Settings) -> String {
    let value = settings.timestamp_header.as_ref().and_then(|name| case.head.headers.get(&**name));
    value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// The unit that `text` looks like.
fn unit_of(text: &str) -> Unit {
    match (text.bytes().all(|byte| byte.is_ascii_digit()), text.len()) {
        (false, _) => Unit::Rfc3339,
        (true, 13..) => Unit::Millis,
        (true, _) => Unit::Seconds,
    }
}

/// The same, reading the timestamp from another header or in another unit where the configured one cannot and that can.
fn in_time(case: &Case<'_>, settings: Settings) -> Settings {
    if !settings.has_timestamp() || is_in_time(case, &settings) {
        return settings;
    }
    let covered = settings.signed_content.as_ref().is_some_and(|content| content.has_timestamp());
    let mut headers = vec![settings.timestamp_header.clone()];
    // A timestamp that is signed stands where the signature says; any other may stand anywhere.
    if !covered && settings.timestamp_header.is_some() {
        headers.extend(timestamps(case, &[]).into_iter().filter_map(|text| text.header).map(|name| Some(name.into())));
    }
    let other = headers.into_iter().find_map(|header| {
        Unit::ALL.iter().find_map(|unit| {
            let other = Settings { timestamp_header: header.clone(), timestamp_unit: Some(*unit), ..settings.clone() };
            is_in_time(case, &other).then_some(other)
        })
    });
    other.unwrap_or(settings)
}

/// The timestamp, as the scheme that verifies reads it.
pub(super) fn timestamp(case: &Case<'_>, settings: &Settings) -> Result<Option<UnixSeconds>, Refusal> {
    Hmac::new(settings).map_or(Err(Refusal::InvalidTimestamp), |scheme| scheme.timestamp(case.head))
}

fn is_in_time(case: &Case<'_>, settings: &Settings) -> bool {
    timestamp(case, settings).is_ok_and(|at| at.is_some_and(|at| at.abs_diff(case.at) <= case.window))
}

/// Whether the time can be read at all; the window is another check's matter.
fn reads_time(case: &Case<'_>, settings: &Settings) -> bool {
    timestamp(case, settings).is_ok()
}

/// Names what differs.
fn tell(case: &Case<'_>, wanted: &Settings, diagnosis: &mut Diagnosis) {
    for (key, value) in case.settings.changes(wanted) {
        let value = value.unwrap_or_default();
        match key {
            "signature_header" => diagnosis.add(Cause::SignatureElsewhere, format!("it is {value}")),
            "signature_format" => diagnosis.add(Cause::SignatureFormat, format!("it is {value}")),
            "signed_content" => diagnosis.add(Cause::ContentDiffers, format!("it is {value}")),
            "timestamp_header" if !value.is_empty() => {
                diagnosis.add(Cause::TimestampElsewhere, format!("it is {value}"));
            }
            "timestamp_unit" if !value.is_empty() => diagnosis.add(Cause::TimestampUnit, format!("it is {value}")),
            "id_header" => diagnosis.add(Cause::IdElsewhere, format!("it is {value}")),
            "algorithm" => diagnosis.add(Cause::OtherAlgorithm, format!("it is {value}")),
            SECRET_ENCODING => diagnosis.add(Cause::SecretEncoded, format!("it is {value}")),
            _ => {}
        }
    }
    if case.settings.has_timestamp() && !wanted.has_timestamp() {
        let words = "the lines below take requests without one: only the remembered id then stops a replay";
        diagnosis.add(Cause::TimestampMissing, words);
    } else if timestamp(case, wanted) == Err(Refusal::MissingTimestamp) {
        let header = wanted.timestamp_header.as_ref().or(wanted.signature_headers.first()).map_or("", Spelled::text);
        diagnosis.add(Cause::TimestampMissing, format!("{header} is not there; the signature holds without it"));
    }
}

/// Says what made the MAC where no settings can say it.
fn inexpressible(case: &Case<'_>, found: &Found<'_>, diagnosis: &mut Diagnosis) {
    let settings = case.settings;
    let none = "no configuration reads that: the sender must write it as configured";
    if settings.signed_content.as_ref() != Some(&found.content) {
        diagnosis.add(Cause::ContentDiffers, format!("it is {:?}", found.content.text()));
    }
    if found.algorithm != settings.algorithm {
        diagnosis.add(Cause::OtherAlgorithm, format!("it is {}; {none}", found.algorithm.name()));
    }
    if matches!(found.candidate.form, Form::Hex | Form::Base64) && !is_of_another(found) {
        diagnosis.add(
            Cause::SecretEncoded,
            format!(
                "it decodes the secret from {}; {none}",
                if found.candidate.form == Form::Hex { "hex" } else { "base64" }
            ),
        );
    }
    if settings.signature_headers.iter().all(|own| **own != found.brought.header) {
        diagnosis.add(Cause::SignatureElsewhere, format!("it is {}", found.brought.header));
    }
    if diagnosis.findings.is_empty() {
        diagnosis
            .add(Cause::SignatureFormat, format!("it stands in {} among other things; {none}", found.brought.header));
    }
}

/// What `secret_encoding` may say so that a text becomes the key it became.
const fn encodings(form: Form) -> &'static [SecretEncoding] {
    match form {
        Form::Text => &[SecretEncoding::Text],
        Form::Whsec => &[SecretEncoding::Text, SecretEncoding::Base64],
        Form::Hex => &[SecretEncoding::Hex],
        Form::Base64 => &[SecretEncoding::Base64],
    }
}

fn set_header(settings: &mut Settings, header: &HeaderName) {
    if settings.signature_headers.iter().all(|own| **own != *header) {
        settings.signature_headers = vec![header.clone().into()];
    }
}
