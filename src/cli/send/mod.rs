//! `send`: signs a sample event exactly as a source's vendor does and POSTs it; or, with `--fault`, one that is wrong
//! on purpose. Knows the configuration's secrets, prints none of them.

mod client;
mod compose;
mod curl;
mod fault;
mod outgoing;
mod report;
mod sample;
mod target;
mod wrong_token;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;

use client::Client;
use compose::{Composer, Given};
use fault::Kind;
use report::{Report, Sent};
use target::{Identity, Target};

use super::failure::{Failure, Status};
use super::invocation::{self, Invocation};
use super::output;
use super::progress::Progress;

/// What to send, where to, how often.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The source as configured, such as cognigy
    source: String,
    /// Where to; default: `https://localhost`, the port of listener.address, the source's path
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Send this file instead of a sample; - reads stdin
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// How many events, each with an id of its own; prints a summary with p50 and p99 when there are several
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// How many connections send at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=4096))]
    concurrency: u64,
    /// Print the equivalent curl command instead of sending
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "dry_run")]
    json: bool,
    /// Send one wrong on purpose, and succeed when it is answered as it should be
    #[arg(long, value_name = "KIND")]
    fault: Option<Kind>,
    /// Trust the authorities in this PEM file; default: certs-dev/ca.pem for a loopback URL, else those of the system
    #[arg(long, value_name = "PEM")]
    ca_file: Option<PathBuf>,
    /// Show this client certificate (PEM, leaf first)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Sends, or prints how curl would.
pub(super) async fn run(args: Args, invocation: Invocation) -> Result<Status, Failure> {
    let config = invocation.load()?;
    let source = invocation::source(&config, &args.source)?;
    let identity = args.cert.zip(args.key).filter(|_| args.fault != Some(Kind::NoCertificate));
    let identity = identity.map(|(cert_file, key_file)| Identity { cert_file, key_file });
    let target = Target::new(args.url.as_deref(), &config.boot.listener, &source.path, args.ca_file)?;
    let target = Target { identity, ..target };
    let given = args.body.as_deref().map(read_body).transpose()?;
    let composer = Composer::new(source, target.clone(), given, args.fault, invocation.clock)?;
    if let Some(key) = composer.key_of_several() {
        output::tell(&format!("signed with the first of several keys, which logs and metrics call {key}"));
    }
    if args.dry_run {
        let origins = curl::Origins {
            session_token: config.session_token_origin(&source.name),
            token: source.scheme.token(),
            token_origin: config.token_origin(&source.name),
        };
        for _ in 0..args.count {
            for message in composer.compose()? {
                output::print(&curl::command(&target, &message, &origins))?;
            }
        }
        return Ok(Status::Done);
    }
    if let Some(warning) = target.warning() {
        output::tell(&warning);
    }
    let client = Client::new(&target)?;
    let report = send_all(composer, client, args.count, args.concurrency).await?;
    report.print(args.json)?;
    Ok(if report.all_as_expected() { Status::Done } else { Status::Failed })
}

/// A body to send, and the file it came from unless that was stdin.
fn read_body(path: &Path) -> Result<Given, Failure> {
    let from_stdin = path == Path::new("-");
    let read = if from_stdin {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    let bytes = read.map_err(|error| Failure::Usage(format!("--body {}: {error}", path.display())))?;
    Ok(Given { bytes: Bytes::from(bytes), file: (!from_stdin).then(|| path.to_owned()) })
}

/// Sends `count` events over `concurrency` connections; a server that cannot be reached ends it.
async fn send_all(composer: Composer, client: Client, count: u64, concurrency: u64) -> Result<Report, Failure> {
    let (composer, client) = (Arc::new(composer), Arc::new(client));
    let started = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let bar = Arc::new(Progress::new("events sent"));
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.min(count) {
        let (composer, client, started) = (Arc::clone(&composer), Arc::clone(&client), Arc::clone(&started));
        let bar = Arc::clone(&bar);
        workers.spawn(async move {
            let mut sent = Vec::new();
            let mut connection = client.connect().await?;
            while started.fetch_add(1, Ordering::Relaxed) < count {
                for message in composer.compose()? {
                    if !connection.is_open().await {
                        connection = client.connect().await?;
                    }
                    let at = Instant::now();
                    let answer = connection.post(&message).await;
                    sent.push(Sent::new(message.expected, answer, at.elapsed()));
                }
                if count > 1 {
                    bar.add(count);
                }
            }
            Ok::<_, Failure>(sent)
        });
    }
    let mut all = Vec::new();
    while let Some(ended) = workers.join_next().await {
        all.append(&mut ended.map_err(|error| Failure::runtime("a sender ended early", &error))??);
    }
    Ok(Report::new(all, begin.elapsed(), count > 1))
}
