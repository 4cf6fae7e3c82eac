//! The doctor of HMAC schemes: which content, key and body the MACs in the request fit, and which settings would read
//! them so. What it advises is built and has verified the request before it is said.

mod adapt;
mod brought;
mod case;
mod search;

use http::HeaderName;
use http::header::CONTENT_ENCODING;
use http::request::Parts;

use self::case::Case;
use super::spelled::Spelled;
use crate::scheme::Refusal;
use crate::scheme::diagnose::{Cause, Diagnosis, REDACTED, bodies};
use crate::scheme::header::Occurrence;

/// Says what could explain that the request of `case` does not verify, or that its timestamp cannot be read.
pub(super) fn diagnose(case: &Case<'_>) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    let settings = case.settings;
    let signatures = settings.signature_headers.iter().map(|name| (name, Cause::SignatureTwice));
    for (name, cause) in signatures.chain(settings.timestamp_header.iter().map(|name| (name, Cause::TimestampTwice))) {
        if let Some(heads) = once_each(case, name) {
            return twice(case, &heads, name, cause);
        }
    }
    if is_compressed(case) {
        diagnosis.add(Cause::BodyCompressed, "what was signed is most likely the body before that");
    }
    let macs = brought::brought(&case.head.headers, &settings.signature_headers);
    if macs.is_empty() {
        absent(case, &mut diagnosis);
        return diagnosis;
    }
    match search::search(case, &macs) {
        Some(found) => adapt::explain(case, &found, &mut diagnosis),
        None if diagnosis.findings.is_empty() => nothing(case, &macs, &mut diagnosis),
        None => {}
    }
    diagnosis
}

/// Whether the body came compressed, by its own beginning or by what the head says.
fn is_compressed(case: &Case<'_>) -> bool {
    let coded = case.head.headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        let coding = value.as_bytes().trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    });
    coded || bodies::is_compressed(case.body)
}

/// The heads with one of several lines of header `name` each; `None` where it does not stand several times.
fn once_each(case: &Case<'_>, name: &HeaderName) -> Option<Vec<Parts>> {
    if Occurrence::of(&case.head.headers, name) != Occurrence::Repeated {
        return None;
    }
    let heads = case.head.headers.get_all(name).iter().take(8).map(|value| {
        let mut head = case.head.clone();
        head.headers.insert(name, value.clone());
        head
    });
    Some(heads.collect())
}

/// A header that stands several times: says so, and what each line alone would do.
fn twice(case: &Case<'_>, heads: &[Parts], name: &Spelled<HeaderName>, repeated: Cause) -> Diagnosis {
    let fitting = heads.iter().position(|head| adapt::verifies(&Case { head, ..*case }, case.settings));
    match fitting {
        Some(position) => Diagnosis::of(repeated, format!("{name}; line {} alone would verify", position + 1)),
        None => Diagnosis::of(repeated, format!("{name}; none of its lines alone would verify")),
    }
}

/// No header holds a MAC.
fn absent(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let names = joined(&case.settings.signature_headers);
    let value = |name: &Spelled<HeaderName>| case.head.headers.get(&**name);
    if let Some((name, value)) = case.settings.signature_headers.iter().find_map(|name| Some((name, value(name)?))) {
        if value.as_bytes() == REDACTED.as_bytes() {
            let words = format!("{name} held a bearer token or a password, by its form");
            diagnosis.add(Cause::AuthorizationRedacted, words);
            return;
        }
        let words = format!("{name} holds neither 20, 32, 48 nor 64 bytes in hex or base64");
        diagnosis.add(Cause::SignatureCut, words);
    } else {
        diagnosis.add(Cause::SignatureAbsent, format!("{names} is not there, and no other header looks like it"));
    }
}

/// MACs, and none that any known variant makes.
fn nothing(case: &Case<'_>, macs: &[brought::Brought], diagnosis: &mut Diagnosis) {
    let names = &case.settings.signature_headers;
    let mut headers: Vec<&HeaderName> = macs.iter().map(|mac| &mac.header).collect();
    headers.dedup();
    if !headers.iter().any(|header| names.iter().any(|name| **name == **header)) {
        let words = format!(
            "{} is not there or holds no MAC; what may be one stands in {}",
            joined(names),
            headers.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
        );
        diagnosis.add(Cause::SignatureAbsent, words);
    }
    let wants_id = case.settings.signed_content.as_ref().is_some_and(|content| content.has_id());
    if let Some(id) = case.settings.id_header.as_ref().filter(|_| wants_id)
        && Occurrence::of(&case.head.headers, &**id).once().is_none()
    {
        diagnosis.add(Cause::IdMissing, id.text());
    }
    let content = case.settings.signed_content.as_ref();
    if content.is_some_and(|content| content.has_timestamp())
        && adapt::timestamp(case, case.settings) == Err(Refusal::MissingTimestamp)
    {
        let header = case.settings.timestamp_header.as_ref().or(names.first()).map_or("", Spelled::text);
        diagnosis.add(Cause::TimestampMissing, format!("{header} holds none, and the signature covers it"));
    }
    let missing = |name: &&HeaderName| Occurrence::of(&case.head.headers, *name).once().is_none();
    if let Some(name) = content.and_then(|content| content.headers().find(missing)) {
        diagnosis.add(Cause::SignedHeaderMissing, format!("{name}; signed_content names it"));
    }
    diagnosis.add(Cause::NothingFits, format!("tried: {} with the secrets of this source and of the others, as they are, decoded, and with other ends; SHA-1, SHA-256, SHA-384, SHA-512; bodies written again and with line ends", search::usual(case).collect::<Vec<_>>().join(", ")));
}

fn joined(names: &[Spelled<HeaderName>]) -> String {
    names.iter().map(Spelled::text).collect::<Vec<_>>().join(", ")
}
