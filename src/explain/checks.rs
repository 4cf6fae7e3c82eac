//! The checks of the daemon, one after the other, by the functions that make them; what each says of one request.

use http::Method;
use http::header::HOST;

use crate::clock::UnixSeconds;
use crate::ingress::{self, Extractor, SourceSettings as Source};
use crate::request_outcome::Reason;
use crate::scheme::{self, Case, Diagnosis, Refusal, Remembered, Scheme};
use crate::settings::ConfigErrors;

use super::certificate;
use super::report::{Check, Report};
use super::request::Specimen;

/// What every check of `source`, one of `sources`, says of `specimen`; and what could explain the signature or the
/// timestamp where they do not hold.
pub(super) fn examine(sources: &[Source], source: &Source, specimen: &Specimen) -> Result<Report, ConfigErrors> {
    let scheme = source.scheme.build().map_err(ConfigErrors)?;
    let mut report = Report::default();
    head(source, specimen, &mut report);
    let admitted = token(source, specimen, &*scheme, &mut report);
    certificate::check(source, specimen, &mut report);
    let timely = window(source, specimen, &*scheme, &mut report);
    // A token alone is all there is to hold.
    let signed = !source.scheme.proves_only_the_sender();
    let signed = !signed || signature(source, specimen, &*scheme, &mut report);
    let holds = admitted && signed;
    if holds && timely {
        content(source, specimen, &mut report);
    } else {
        report.diagnosis = diagnosis(sources, source, specimen);
    }
    report.holds = Some(holds);
    if !signed {
        report.canonical = source.scheme.canonical_request(&specimen.head, &specimen.body.clone().into());
    }
    Ok(report)
}

fn diagnosis(sources: &[Source], source: &Source, specimen: &Specimen) -> Diagnosis {
    let others: Vec<_> = sources
        .iter()
        .filter(|other| other.name != source.name)
        .map(|other| (other.name.as_str(), &*other.scheme))
        .collect();
    scheme::diagnose(&Case {
        settings: &*source.scheme,
        others: &others,
        path: &source.path,
        head: &specimen.head,
        body: &specimen.body,
        at: specimen.at.into(),
        window: source.max_drift.as_secs(),
    })
}

/// What is judged before anything about the sender.
fn head(source: &Source, specimen: &Specimen, report: &mut Report) {
    let head = &specimen.head;
    if head.uri.authority().is_none() && !head.headers.contains_key(HOST) {
        // Files written by hand often have none; what else is wrong is worth more than that.
        report.notes.push("there is no Host line: the daemon would answer 400 bad_request".to_owned());
    } else if let Err(reject) = ingress::well_formed(head) {
        report.refused(reject.reason(), reject.detail().unwrap_or("it is not HTTP as it should be"));
    }
    let methods = source.handshake.as_ref().map_or("POST", |handshake| handshake.row.methods());
    if !methods.split(", ").any(|method| head.method == method) {
        report.refused(Reason::MethodNotAllowed, &format!("it is a {}, and webhooks are POSTed", head.method));
    } else if head.method != Method::POST {
        report.notes.push("it asks for the source's handshake; what follows would hold for an event".to_owned());
    }
    match ingress::check_content(&head.headers, &source.content_types) {
        Ok(()) => report.ok(format!("content type {}", specimen.header("content-type").unwrap_or_default())),
        Err(why) => {
            let given = |name| specimen.lines(name).unwrap_or_else(|| "absent".to_owned());
            let (kind, coding) = (given("content-type"), given("content-encoding"));
            let wanted = source.content_types.join(", ");
            let why = format!(
                "{why}; Content-Type is {kind}, Content-Encoding {coding}, and the source takes {wanted}, not compressed"
            );
            report.refused(Reason::UnsupportedMediaType, &why);
        }
    }
    if specimen.body.len() > source.body_bytes {
        let why = format!("{} bytes, and the source takes {}", specimen.body.len(), source.body_bytes);
        report.refused(Reason::PayloadTooLarge, &why);
    }
}

/// Whether a token of the source came along, where it has any.
fn token(source: &Source, specimen: &Specimen, scheme: &dyn Scheme, report: &mut Report) -> bool {
    if let Some(known) = remembered(source, specimen) {
        report.ok(format!("the token was made by key {}; its signature was looked at then, and not kept", known.key));
        return true;
    }
    match scheme.admit(&specimen.head, source.moment(specimen.at)) {
        Ok(None) => true,
        Ok(Some(admission)) => {
            report.ok(format!("the token is key {}", scheme.keys().get(admission.key.0).map_or("", String::as_str)));
            true
        }
        Err(refusal) => {
            let (reason, why) = in_words(source, &refusal);
            report.refused(reason, &why);
            false
        }
    }
}

/// What was noted of a token that holds, where its signature was not kept.
fn remembered(source: &Source, specimen: &Specimen) -> Option<Remembered> {
    source.scheme.remembered(&specimen.head, &specimen.body.clone().into(), source.moment(specimen.at))
}

/// Whether the timestamp, where there is one, is inside the window.
fn window(source: &Source, specimen: &Specimen, scheme: &dyn Scheme, report: &mut Report) -> bool {
    let at = match scheme.timestamp(&specimen.head) {
        Ok(None) => return true,
        Ok(Some(at)) => at,
        Err(refusal) => {
            let (reason, why) = in_words(source, &refusal);
            report.refused(reason, &why);
            return false;
        }
    };
    let arrived = UnixSeconds::from(specimen.at);
    let (away, window) = (at.abs_diff(arrived), source.max_drift.as_secs());
    if away <= window {
        report.ok(format!("signed {away} s from when it arrived, the window is {window} s"));
        return true;
    }
    let (side, cause) = if at < arrived {
        (
            "before",
            "a retry that kept its first signature, a queue on the way, or a clock that is slow; the sender must sign each attempt anew",
        )
    } else {
        ("after", "the sender's clock is fast, or this machine's is slow")
    };
    let why = format!("it says it was signed {away} s {side} it arrived ({}), the window is {window} s", specimen.at);
    report.refused(Reason::TimestampExpired, &why);
    let thousandth = UnixSeconds(at.0 / 1000);
    report.time = Some(if thousandth.abs_diff(arrived) <= window {
        "the timestamp is in milliseconds".to_owned()
    } else {
        cause.to_owned()
    });
    false
}

/// Whether the signature holds, whatever the window says.
fn signature(source: &Source, specimen: &Specimen, scheme: &dyn Scheme, report: &mut Report) -> bool {
    let body = specimen.body.clone().into();
    if remembered(source, specimen).and_then(|known| known.body) == Some(true) {
        report.ok("the body is the one that the token names".to_owned());
        return true;
    }
    match scheme.read(&specimen.head).and_then(|claims| scheme.verify(&specimen.head, &claims, &body)) {
        Ok(key) => {
            report.ok(match scheme.keys().get(key.0) {
                Some(key) => format!("the signature holds, with key {key}"),
                None => "nothing is signed: the client certificate alone says who sends".to_owned(),
            });
            true
        }
        Err(refusal) => {
            let (reason, why) = in_words(source, &refusal);
            // A request without a signature is told once, though its timestamp is missing with it.
            if !report.checks.iter().any(|check| matches!(check, Check::Refused(told, _) if *told == reason)) {
                report.refused(reason, &why);
            }
            false
        }
    }
}

fn in_words(source: &Source, refusal: &Refusal) -> (Reason, String) {
    let signature = source.scheme.signature_headers().join(", ");
    let timestamp = source.scheme.timestamp_header().unwrap_or_else(|| signature.clone());
    let token = source.scheme.token().map(|token| token.header).unwrap_or_default();
    match refusal {
        Refusal::MissingToken => (Reason::MissingToken, format!("{token} is not there or holds nothing")),
        Refusal::TokenMismatch => {
            (Reason::TokenMismatch, format!("{token} stands more than once or holds no token that this source takes"))
        }
        Refusal::MissingTimestamp => {
            (Reason::MissingTimestamp, format!("{timestamp} is not there or holds no timestamp"))
        }
        Refusal::InvalidTimestamp => {
            (Reason::InvalidTimestampFormat, format!("{timestamp} stands more than once or holds no valid time"))
        }
        Refusal::MissingSignature => {
            (Reason::MissingSignature, format!("{signature} is not there or holds no signature of a known version"))
        }
        Refusal::MalformedAuthorization(why) => (Reason::MalformedAuthorization, (*why).to_owned()),
        Refusal::SignatureMismatch => (Reason::SignatureMismatch, "the signature does not fit what arrived".to_owned()),
    }
}

/// What is judged of a body that is signed.
fn content(source: &Source, specimen: &Specimen, report: &mut Report) {
    if ingress::asks_handshake(source, &specimen.body) {
        report.ok("it asks for the source's handshake, which is answered and not stored".to_owned());
        return;
    }
    match Extractor::new(source).extract(&specimen.head, &specimen.body.clone().into()) {
        Ok(fields) => {
            report.ok(format!("the body is fine: event id {}, type {}", fields.id, fields.kind));
            if specimen.reason.as_deref() == Some(Reason::IdConflict.as_str()) {
                let why = "its id was taken by an event with another body: the sender used one id for two events";
                report.refused(Reason::IdConflict, why);
            }
        }
        Err(reject) => {
            report.refused(reject.reason(), reject.detail().unwrap_or("the signed body is not what the source takes"));
        }
    }
}
