//! `explain`, the signature doctor: which check refuses a request and why, in words, and what would mend it.
//!
//! Walks the checks in the order the daemon does, past the first refusal as far as the request can be judged. Prints no
//! secret, and no signature that was computed here.

mod advice;
mod certificate;
mod checks;
mod report;
mod request;

use std::path::PathBuf;

use crate::config::Config;
use crate::ingress::SourceSettings as Source;

use super::failure::{Failure, Status};
use super::invocation::{self, Invocation, with_store};
use super::{output, table};
use request::{Shown, Specimen};

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
        (Some(file), _) => (request::from_file(file, invocation.clock.now())?, None),
        (None, id) => from_quarantine(&invocation, &config, id.as_deref().unwrap_or_default()).await?,
    };
    if let Some(file) = &args.cert {
        specimen.certificate = Shown::of_file(file)?;
    }
    let name = args.source.or(kept_for);
    let source = match &name {
        Some(name) => invocation::source(&config, name)?,
        None => by_path(&config, &specimen)?,
    };
    output::print(&explain(&config.live.sources, source, specimen)?)?;
    Ok(Status::Done)
}

async fn from_quarantine(
    invocation: &Invocation,
    config: &Config,
    id: &str,
) -> Result<(Specimen, Option<String>), Failure> {
    let entry = with_store(config, async |store| Ok(invocation.operations(config, store).refused(id).await?)).await?;
    Ok((request::from_quarantine(&entry)?, Some(entry.source.to_string())))
}

fn by_path<'a>(config: &'a Config, specimen: &Specimen) -> Result<&'a Source, Failure> {
    let path = specimen.head.uri.path();
    config.live.sources.iter().find(|source| source.path == path).ok_or_else(|| {
        Failure::Usage(format!(
            "no source has the path {path}, so the daemon answers 404 not_found; --source names one to compare with"
        ))
    })
}

/// All that there is to say about `specimen` at `source`, one of `sources`, safe for a terminal.
fn explain(sources: &[Source], source: &Source, mut specimen: Specimen) -> Result<String, Failure> {
    source.scheme.restore(&mut specimen.head);
    let lines = checks::examine(sources, source, &specimen)?.lines(source, &specimen);
    let secrets = report::secrets(sources);
    let shown = lines.iter().map(|line| table::visible(&report::without(line, &secrets), true));
    Ok(shown.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests;
