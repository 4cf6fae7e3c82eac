//! The command line of the bench.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// How full the store is, and how often each page is asked for.
#[derive(Parser, Debug)]
#[command(name = "pages", about = "How long each page and listing of the admin listener takes with a full store")]
pub(crate) struct Options {
    /// Events the store holds. A SQLite store filled once is kept and used again.
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// `sqlite`, `postgres` (a server of its own, from the packages that the tests use), or the URL of an empty database.
    #[arg(long, default_value = "sqlite")]
    pub store: String,
    /// Body length of each event in bytes.
    #[arg(long, default_value_t = 2048)]
    pub bytes: usize,
    /// How often each address is asked for; the first time does not count.
    #[arg(long, default_value_t = 20)]
    pub requests: usize,
    /// Only addresses that contain this text.
    #[arg(long)]
    pub only: Option<String>,
    /// Where the program's log goes.
    #[arg(long, value_enum, default_value_t = Log::Pipe)]
    pub log: Log,
    /// Another program than the one of this build.
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// The directory of the store; default: `pages` in cargo's directory for such files.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Process of a database server.
    #[arg(long, hide = true)]
    pub database_pid: Option<u32>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// Where a log goes.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Log {
    /// A pipe that the bench empties, as a container runtime does.
    Pipe,
    /// A file in the bench's directory.
    File,
}
