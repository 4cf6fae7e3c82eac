//! The command line of the bench.

use clap::Parser;

/// How large the attacks are, and how long to look.
#[derive(Parser, Debug)]
#[command(name = "edge", about = "What a good sender notices of an attack: latency with and without each")]
pub(crate) struct Options {
    /// Rounds of each attack; the median round by its p99 is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: u64,
    /// Good requests in a round, one every 2 ms on one kept-alive connection.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: u64,
    /// Slow connections of an attack.
    #[arg(long, default_value_t = 300)]
    pub peers: usize,
    /// Connections that push forged bodies of 1 MiB.
    #[arg(long, default_value_t = 16)]
    pub pushers: usize,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    pub bench: bool,
}
