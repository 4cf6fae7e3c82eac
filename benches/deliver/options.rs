//! The command line of the bench.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::preload::Stored;

/// What the measured sink is called.
pub(crate) const SINK: &str = "measured";

/// Where to deliver, how much, from which store.
#[derive(Parser, Debug)]
#[command(name = "deliver", about = "What delivering costs, from a full queue to each kind of sink")]
pub(crate) struct Options {
    /// Kinds of sinks, comma-separated; `none` measures the latency only.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Http, Kind::Https, Kind::Nats, Kind::Sqs])]
    pub sink: Vec<Kind>,
    /// Rounds of each; medians are taken over them.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Events in a round, each with one delivery.
    #[arg(long, default_value_t = 50_000)]
    pub events: u64,
    /// Deliveries under way at once, comma-separated; 16 is what the program does by itself.
    #[arg(long, value_delimiter = ',', default_values_t = [16])]
    pub concurrency: Vec<usize>,
    /// Body length in bytes.
    #[arg(long, default_value_t = 2048)]
    pub body_bytes: usize,
    /// Events sent one at a time into an empty store, to see how long each takes to its http sink; 0 for none.
    #[arg(long, default_value_t = 1000)]
    pub latency: usize,
    /// Another store than the bench's own file, such as `postgres://…`.
    #[arg(long)]
    pub store: Option<String>,
    /// Process of a database server whose CPU (and its children's) counts too.
    #[arg(long)]
    pub database_pid: Option<u32>,
    /// Where the program's log goes.
    #[arg(long, value_enum, default_value_t = Log::Pipe)]
    pub log: Log,
    /// Another program than the one of this build.
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// The directory of stores, on the disk to be measured; default: `deliver` in cargo's directory for such files.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// A kind of sink.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Sink type `http`, without TLS, to a server in this process.
    Http,
    /// The same with TLS.
    Https,
    /// Sink type `nats`, to the nats-server on the path, into a stream on the disk.
    Nats,
    /// Sink type `sqs`, to a stand-in in this process that knows no more than to accept messages.
    Sqs,
    /// Nothing.
    None,
}

/// Where a log goes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Log {
    /// A pipe that the bench empties, as a container runtime does.
    Pipe,
    /// A file in the bench's directory.
    File,
}

impl Options {
    /// What the store holds before a round.
    pub(crate) fn stored(&self) -> Stored {
        Stored { count: self.events, bytes: self.body_bytes, queued: self.events, sink: SINK }
    }
}
