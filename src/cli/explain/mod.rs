//! `explain`, the signature doctor: which check refuses a request and why, in words, and what would mend it.
//!
//! Walks the checks in the order the daemon does, past the first refusal as far as the request can be judged. Prints no
//! secret, and no signature that was computed here.

mod print;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Config;
use crate::explain::{self, Shown, Specimen, Unreadable};
use crate::ingress::SourceSettings as Source;

use super::failure::{Failure, Status};
use super::invocation::{self, Invocation, with_store};
use super::{output, table};

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
    /// The sender's client certificate (PEM) in place of the one it showed
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
}

/// Explains one request.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let (mut specimen, kept_for) = match (&args.request, &args.id) {
        (Some(file), _) => (from_file(file, invocation.clock.now())?, None),
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
    output::print(&explained(&config.live.sources, source, specimen)?)?;
    Ok(Status::Done)
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

/// All that there is to say about `specimen` at `source`, one of `sources`, safe for a terminal.
fn explained(sources: &[Source], source: &Source, specimen: Specimen) -> Result<String, Failure> {
    let lines = print::lines(&explain::explain(sources, source, specimen)?);
    Ok(lines.iter().map(|line| table::visible(line, true)).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
