//! The command line of the bench.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::preload::Stored;

/// The sink of a backlog.
pub(crate) const SINK: &str = "refusing";

/// What to measure, how often, against which store.
#[derive(Parser, Debug)]
#[command(name = "receive", about = "What receiving costs, against a bare axum + tokio-rustls echo in the same run")]
pub(crate) struct Options {
    /// What to measure, comma-separated; without it everything quick.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub scenario: Vec<Scenario>,
    /// Connections of the accepted scenario, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    pub connections: Vec<usize>,
    /// Rounds of A and B each; medians are taken over them.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Requests in a round (a fifth of it with one connection).
    #[arg(long, default_value_t = 20_000)]
    pub events: usize,
    /// Body length in bytes.
    #[arg(long, default_value_t = 2048)]
    pub bytes: usize,
    /// Ids the store holds before anything is measured. A store filled once is kept and used again.
    #[arg(long, default_value_t = 0)]
    pub preload: u64,
    /// Body length of preloaded events.
    #[arg(long, default_value_t = 2048)]
    pub preload_bytes: usize,
    /// How many of the preloaded events have a delivery waiting, for a sink that refuses connections and gets every
    /// new event too; with 0 only the new ones. Those of earlier runs wait as well: to begin anew, remove the store.
    #[arg(long, requires = "preload")]
    pub backlog: Option<u64>,
    /// Another store than the bench's own file, such as `postgres://…`.
    #[arg(long)]
    pub store: Option<String>,
    /// Process of a database server whose CPU (and its children's) counts too.
    #[arg(long)]
    pub database_pid: Option<u32>,
    /// Idle connections.
    #[arg(long, default_value_t = 2000)]
    pub idle: usize,
    /// Handshakes in a round.
    #[arg(long, default_value_t = 2000)]
    pub handshakes: usize,
    /// Load of the rate scenario, as a part of saturation.
    #[arg(long, default_value_t = 0.3)]
    pub load: f64,
    /// Where the program's log goes.
    #[arg(long, value_enum, default_value_t = Log::Pipe)]
    pub log: Log,
    /// Lines of TOML put at the end of the program's configuration (sections such as `[[sink]]`).
    #[arg(long)]
    pub extra_config: Option<PathBuf>,
    /// Another program than the one of this build.
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// The directory of stores, on the disk to be measured; default: `bench` in cargo's directory for such files.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Be A instead of measuring it.
    #[arg(long, hide = true, requires = "cert", requires = "key")]
    pub serve_echo: bool,
    /// Certificate of A.
    #[arg(long, hide = true)]
    pub cert: Option<PathBuf>,
    /// Key of A.
    #[arg(long, hide = true)]
    pub key: Option<PathBuf>,
}

/// What can be measured.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scenario {
    /// Cognigy events, each new, at several numbers of connections.
    Accepted,
    /// The same with AWS Signature Version 4, 64 connections.
    Sigv4,
    /// The same with the parameter-list header, 64 connections.
    Nice,
    /// The same with a static token, 64 connections.
    Token,
    /// The same with a JSON Web Token: HS256, RS256, ES256, 64 connections.
    Jwt,
    /// Refused for the token, before the body.
    WrongToken,
    /// Refused for the signature.
    BadSignature,
    /// Refused for the time, before the body.
    Stale,
    /// Refused for the address, before the body.
    DeniedIp,
    /// Events that are stored already.
    Duplicate,
    /// Full TLS handshakes.
    Handshakes,
    /// Memory of idle TLS connections.
    Idle,
    /// From spawn to ready, and memory at rest.
    Start,
    /// Latency below saturation, arrivals independent of answers.
    Rate,
    /// Cognigy events while nobody follows, 20 follow by `tail`, 20 pages follow, and some of the tails take nothing.
    Followers,
}

/// Where a log goes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Log {
    /// A pipe that the bench empties, as a container runtime does.
    Pipe,
    /// A file in the bench's directory.
    File,
    /// A pipe, and nothing below warnings is written.
    Quiet,
}

impl Options {
    /// What was asked for, or everything.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        if self.scenario.is_empty() { Scenario::value_variants().to_vec() } else { self.scenario.clone() }
    }

    /// What the store holds before anything is measured.
    pub(crate) fn stored(&self) -> Stored {
        Stored {
            count: self.preload,
            bytes: self.preload_bytes,
            queued: self.backlog.unwrap_or(0).min(self.preload),
            sink: SINK,
        }
    }

    /// Requests in a round at `connections`: with one, waiting for the disk takes all the time.
    pub(crate) fn events_at(&self, connections: usize) -> usize {
        if connections < 4 { self.events / 5 } else { self.events }.max(1)
    }
}
