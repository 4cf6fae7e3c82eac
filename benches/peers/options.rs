//! The command line of the bench.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::name::Name;

/// What to measure, how often and for how long.
#[derive(Parser, Debug)]
#[command(name = "peers", about = "gatepost beside its floor and its peers, under the same load in the same run")]
pub(crate) struct Options {
    /// Rounds; in each every row gets one window for each number of connections, in an order drawn by lot.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Connections, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64])]
    pub connections: Vec<usize>,
    /// How long a window is to take; as many requests as that are signed before it.
    #[arg(long, default_value_t = 1.2)]
    pub seconds: f64,
    /// Arrivals a second that every row gets, whatever its answers do, instead of as many as it takes.
    #[arg(long)]
    pub at: Option<f64>,
    /// An empty database for the rows on PostgreSQL, such as `postgres://…`.
    #[arg(long)]
    pub postgres: Option<String>,
    /// The process of its server, whose CPU (and its children's) counts with those rows.
    #[arg(long, requires = "postgres")]
    pub database_pid: Option<u32>,
    /// Rows to measure, comma-separated; A is always among them.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub only: Vec<Name>,
    /// Another program than the gatepost of this build.
    #[arg(long)]
    pub program: Option<PathBuf>,
    /// A Python that has Starlette and uvicorn, such as that of a virtual environment.
    #[arg(long, default_value = "python3")]
    pub python: PathBuf,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
    /// Be one of the rows instead of measuring.
    #[arg(long, hide = true, value_enum, requires = "cert", requires = "key")]
    pub serve: Option<Serve>,
    /// Where that row listens.
    #[arg(long, hide = true, default_value_t = 0)]
    pub port: u16,
    /// Its certificate.
    #[arg(long, hide = true)]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, hide = true)]
    pub key: Option<PathBuf>,
    /// The floor's log of events.
    #[arg(long, hide = true)]
    pub log: Option<PathBuf>,
}

/// The rows that this program is itself.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Serve {
    /// A.
    Echo,
    /// A that verifies.
    Verify,
    /// The same with a durable log.
    Floor,
    /// The same with a table of PostgreSQL.
    FloorPostgres,
}

impl Options {
    /// The rows asked for, or all.
    pub(crate) fn names(&self) -> Vec<Name> {
        let asked = |name: &Name| *name == Name::A || self.only.is_empty() || self.only.contains(name);
        Name::value_variants().iter().copied().filter(asked).collect()
    }
}
