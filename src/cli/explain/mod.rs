//! `explain`, the signature doctor: which check refuses a request and why, in words, and what would mend it.
//!
//! Walks the checks in the order the daemon does, past the first refusal as far as the request can be judged. Prints no
//! secret, and no signature that was computed here.

mod print;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Config;
use crate::explain::{self, Explanation, Shown, Specimen, Unreadable};
use crate::ingress::SourceSettings as Source;

use super::failure::{Failure, Status};
use super::invocation::{self, Invocation, with_store};
use super::{output, table};
use crate::time_arg::{self, TimeArg};

/// What to explain.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A refused request as `gatepost quarantine list` shows it
    #[arg(required_unless_present = "request", conflicts_with = "request")]
    id: Option<String>,
    /// A raw HTTP/1.1 request instead: request line, headers, an empty line, the body byte for byte
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// When it arrived: a time (2026-05-01T12:00:00Z), a date, or how long ago (2h); default: now
    #[arg(long, value_name = "WHEN", requires = "request", conflicts_with = "id", value_parser = time_arg::parse)]
    at: Option<TimeArg>,
    /// The source it was meant for; default: the one it was kept for, or whose path it names
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The sender's client certificate (PEM) in place of the one it showed
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Explains one request; 1 where it would be refused.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let (config, now) = (invocation.load()?, invocation.clock.now());
    let (mut specimen, kept_for) = match (&args.request, &args.id) {
        (Some(file), _) => (from_file(file, args.at.map_or(now, |at| at.resolve(now)))?, None),
        (None, id) => from_quarantine(&invocation, &config, id.as_deref().unwrap_or_default()).await?,
    };
    if let Some(file) = &args.cert {
        specimen.certificate = certificate(file)?;
    }
    let name = args.source.or(kept_for);
    let source = match &name {
        Some(name) => invocation::source(&config, name)?,
        None => by_path(&config, &specimen)?,
    };
    let told = explain::explain(&config.live.sources, source, specimen)?;
    let value = || serde_json::to_value(&told).unwrap_or_default();
    output::print_either(args.json, value, || words(&told))?;
    Ok(if told.refused.is_none() { Status::Done } else { Status::Failed })
}

async fn from_quarantine(
    invocation: &Invocation,
    config: &Config,
    id: &str,
) -> Result<(Specimen, Option<String>), Failure> {
    let entry = with_store(config, async |store| Ok(invocation.operations(config, store).refused(id).await?)).await?;
    Ok((explain::from_quarantine(&entry).map_err(|problem| unreadable(&problem))?, Some(entry.source.to_string())))
}

fn by_path<'a>(config: &'a Config, specimen: &Specimen) -> Result<&'a Source, Failure> {
    let path = specimen.head.uri.path();
    config.live.sources.iter().find(|source| source.path == path).ok_or_else(|| {
        Failure::Usage(format!(
            "no source has the path {path}, so the daemon answers 404 not_found; --source names one to compare with"
        ))
    })
}

/// A raw request in `file`.
fn from_file(file: &Path, now: Timestamp) -> Result<Specimen, Failure> {
    let bytes =
        std::fs::read(file).map_err(|error| Failure::Usage(format!("--request {}: {error}", file.display())))?;
    explain::read(&bytes, now).map_err(|problem| unreadable(&problem))
}

fn unreadable(problem: &Unreadable) -> Failure {
    match problem {
        Unreadable::NoRequestLine => Failure::Usage(format!("--request: {problem}")),
        Unreadable::Head(_) => Failure::Runtime(problem.to_string()),
    }
}

/// The certificate in the PEM file that `--cert` names.
fn certificate(file: &Path) -> Result<Shown, Failure> {
    let wrong = |problem: &str| Failure::Usage(format!("--cert {}: {problem}", file.display()));
    let pem = std::fs::read(file).map_err(|error| wrong(&error.to_string()))?;
    Shown::of_pem(&pem).ok_or_else(|| wrong("holds no certificate that can be read"))
}

/// All that there is to say, safe for a terminal.
fn words(told: &Explanation) -> String {
    print::lines(told).iter().map(|line| table::visible(line, true)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
