//! `explain`, the signature doctor: which check refuses a request and why, in words, and what would mend it.
//!
//! Walks the checks in the order the daemon does. Prints no secret, and no signature that it computed itself.

mod hmac;
mod request;
mod sigv4;

use std::path::PathBuf;

use crate::config::{Config, Source};
use crate::ingress::Wanted;
use crate::scheme::{self, Family, Refusal};

use super::failure::{Failure, Status};
use super::invocation::{self, Invocation, open_store};
use super::{console, quarantine, table};
use request::Specimen;

/// What to explain.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A refused request as `gatepost quarantine list` shows it
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    id: Option<String>,
    /// A raw HTTP/1.1 request instead: request line, headers, an empty line, the body byte for byte
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// The source it was meant for; default: the one it was kept for, or whose path it names
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
}

/// Explains one request.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let (specimen, kept_for) = match (&args.request, &args.id) {
        (Some(file), _) => (request::from_file(file, invocation.clock.now())?, None),
        (None, id) => from_quarantine(&config, id.as_deref().unwrap_or_default()).await?,
    };
    let name = args.source.or(kept_for);
    let source = match &name {
        Some(name) => invocation::source(&config, name)?,
        None => by_path(&config, &specimen)?,
    };
    let lines = diagnose(source, &specimen)?;
    console::print(&lines.iter().map(|line| table::visible(line, true)).collect::<Vec<_>>().join("\n"))?;
    Ok(Status::Done)
}

async fn from_quarantine(config: &Config, id: &str) -> Result<(Specimen, Option<String>), Failure> {
    let store = open_store(config).await?;
    let entry = quarantine::find(store.quarantine.as_ref(), id).await?;
    store.upkeep.close().await?;
    Ok((request::from_quarantine(&entry)?, Some(entry.source.to_string())))
}

fn by_path<'a>(config: &'a Config, specimen: &Specimen) -> Result<&'a Source, Failure> {
    let path = specimen.head.uri.path();
    config.sources.iter().find(|source| source.path == path).ok_or_else(|| {
        Failure::Usage(format!(
            "no source has the path {path}, so the daemon answers 404 not_found; --source names one to compare with"
        ))
    })
}

/// The verdict of every check up to the first that refuses, with what is to be said about that one.
fn diagnose(source: &Source, specimen: &Specimen) -> Result<Vec<String>, Failure> {
    let scheme = scheme::build(&source.scheme).map_err(|faults| Failure::from(crate::fault::Faults(faults)))?;
    let mut said = Said(specimen.notes.clone());
    said.note(format!("source {}, preset {}, {}", source.name, source.preset.name, specimen.line()));
    if let Some(reason) = &specimen.reason {
        said.note(format!("it was kept because of: {reason}"));
    }
    if !content_type(source, specimen, &mut said) || !window(source, specimen, &*scheme, &mut said) {
        return Ok(said.0);
    }
    let claims = match scheme.read(&specimen.head) {
        Ok(claims) => claims,
        Err(refusal) => {
            unreadable(source, specimen, &refusal, &mut said);
            return Ok(said.0);
        }
    };
    if let Ok(key) = scheme.verify(&specimen.head, &claims, &specimen.body.clone().into()) {
        said.good(format!("the signature verifies with key {}", scheme.keys().get(key.0).map_or("", String::as_str)));
    } else {
        said.bad("signature_mismatch", "the signature does not fit what arrived");
        said.0.extend(match source.scheme.family {
            Family::Hmac => hmac::causes(source, specimen),
            Family::SigV4 => sigv4::causes(source, specimen, &*scheme),
        });
        return Ok(said.0);
    }
    match Wanted::new(source).pick(&specimen.head, &specimen.body.clone().into()) {
        Ok(fields) => {
            said.good(format!("the body is fine: event id {}, type {}", fields.id, fields.kind));
            said.note(if specimen.reason.as_deref() == Some("id_conflict") {
                "its id was taken by an event with another body: the sender used one id for two events".to_owned()
            } else {
                "no check of content refuses it: it would be accepted now".to_owned()
            });
        }
        Err(reject) => {
            said.bad(reject.reason(), reject.detail().unwrap_or("the signed body is not what the source takes"));
        }
    }
    Ok(said.0)
}

/// The findings so far, a line each.
struct Said(Vec<String>);

impl Said {
    fn note(&mut self, line: String) {
        self.0.push(line);
    }

    fn good(&mut self, line: impl std::fmt::Display) {
        self.0.push(format!("  ok       {line}"));
    }

    fn bad(&mut self, reason: &str, why: &str) {
        self.0.push(format!("  REFUSED  {reason}: {why}"));
    }
}

fn content_type(source: &Source, specimen: &Specimen, said: &mut Said) -> bool {
    let given = specimen.header("content-type").unwrap_or_default();
    let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let taken = source.content_types.contains(&media);
    if taken {
        said.good(format!("content type {media}"));
    } else {
        let wanted = source.content_types.join(", ");
        said.bad("unsupported_media_type", &format!("the content type is {given:?}, and the source takes {wanted}"));
    }
    taken
}

fn window(source: &Source, specimen: &Specimen, scheme: &dyn scheme::Scheme, said: &mut Said) -> bool {
    let at = match scheme.timestamp(&specimen.head) {
        Ok(None) => return true,
        Ok(Some(at)) => at,
        Err(refusal) => {
            unreadable(source, specimen, &refusal, said);
            return false;
        }
    };
    let arrived = specimen.at.into();
    let (away, window) = (at.abs_diff(arrived), source.max_drift.as_secs());
    if away <= window {
        said.good(format!("signed {away} s from when it arrived, the window is {window} s"));
        return true;
    }
    let side = if at < arrived { "before" } else { "after" };
    said.bad(
        "timestamp_expired",
        &format!("it says it was signed {away} s {side} it arrived ({}), the window is {window} s", specimen.at),
    );
    let thousandth = crate::clock::UnixSeconds(at.0 / 1000);
    said.note(if thousandth.abs_diff(arrived) <= window {
        "the timestamp is in milliseconds: timestamp_unit = \"ms\" would read it".to_owned()
    } else if at < arrived {
        "a retry that kept its first signature, a queue on the way, or a clock that is slow; the sender must sign each attempt anew".to_owned()
    } else {
        "the sender's clock is fast, or this machine's is slow".to_owned()
    });
    false
}

fn unreadable(source: &Source, specimen: &Specimen, refusal: &Refusal, said: &mut Said) {
    let signature = match source.scheme.family {
        Family::SigV4 => "Authorization",
        Family::Hmac => source.scheme.signature_headers.first().map_or("", String::as_str),
    };
    let timestamp = match source.scheme.family {
        Family::SigV4 => "X-Amz-Date",
        Family::Hmac => source.scheme.timestamp_header.as_deref().unwrap_or(signature),
    };
    match refusal {
        Refusal::MissingTimestamp => {
            said.bad("missing_timestamp", &format!("{timestamp} is not there or holds no timestamp"));
        }
        Refusal::InvalidTimestamp => {
            said.bad("invalid_timestamp_format", &format!("{timestamp} stands twice or holds no valid time"));
        }
        Refusal::MissingSignature => {
            said.bad(
                "missing_signature",
                &format!("{signature} is not there or holds no signature of a known version"),
            );
        }
        Refusal::MalformedAuthorization(why) => said.bad("malformed_authorization", why),
        Refusal::SignatureMismatch => said.bad("signature_mismatch", "what it claims can never verify"),
    }
    let alike: Vec<&str> =
        specimen.names().filter(|name| name.contains("sign") || name.contains("timestamp")).collect();
    if !alike.is_empty() {
        said.note(format!("headers that look like it: {}", alike.join(", ")));
    }
    if source.scheme.family == Family::Hmac {
        said.0.extend(hmac::causes(source, specimen));
    }
}

#[cfg(test)]
mod tests;
